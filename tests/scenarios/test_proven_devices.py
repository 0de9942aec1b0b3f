"""Listed devices are proven devices: a server that lies about who has which device gains nothing by it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.support.fake_whatsapp import Device, message_from
from tests.support.memory_aws import MemoryAccount
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import our_bundle, replies
from tocsin.multidevice import directory
from tocsin.multidevice.directory import PHONE_QUESTIONS_PER_HOUR
from tocsin.signal.curve import key_pair
from tocsin.whatsapp.jid import HOSTED_DEVICE

SPY = "1234:7@lid"


@pytest.fixture
def wired() -> WiredFunctions:
    return WiredFunctions(MemoryAccount().furnish())


def unvouched(wired: WiredFunctions, device: Device) -> None:
    device.vouched = False


def vouched_by_another_phone(wired: WiredFunctions, device: Device) -> None:
    device.vouched_by = key_pair(os.urandom(32))


def not_counted(wired: WiredFunctions, device: Device) -> None:
    wired.siti.unlinked.add(device.jid.device)


LIES = [unvouched, vouched_by_another_phone, not_counted]


def listed_spy(wired: WiredFunctions, lie: Callable[[WiredFunctions, Device], None]) -> Device:
    """The server lists a device that Siti never linked."""
    spy = wired.siti.devices[7] = Device(wired.siti.user.with_device(7))
    lie(wired, spy)
    return spy


# -- sending ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", LIES)
def test_a_device_that_nobody_vouches_for_gets_no_copy_and_is_named(
    wired: WiredFunctions, lie: Callable[[WiredFunctions, Device], None]
) -> None:
    spy = listed_spy(wired, lie)
    verdict = wired.deliver(notification := wired.plan())
    assert (verdict.outcome, verdict.unproven) == ("sent", 1)
    assert (texts(spy), texts(wired.siti.devices[0])) == ([], ["Tiket 1"])
    assert wired.stored(notification).attempts[-1].left_out == {SPY: "unproven device"}


@pytest.mark.parametrize("lie", LIES)
def test_a_device_that_is_added_later_to_somebody_known_gets_none_either(
    wired: WiredFunctions, lie: Callable[[WiredFunctions, Device], None]
) -> None:
    wired.tell(1)
    spy = listed_spy(wired, lie)
    wired.paired.now += 2 * 86_400
    notification = wired.tell(2)
    assert texts(spy) == []
    assert wired.stored(notification).attempts[-1].left_out == {SPY: "unproven device"}
    assert texts(wired.siti.devices[1]) == ["Tiket 1", "Tiket 2"]


def test_twin_that_believes_the_list_tells_the_server_everything(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.keys.establish.is_proven", lambda *_: True)
    spy = listed_spy(wired, vouched_by_another_phone)
    wired.tell(1)
    assert texts(spy) == ["Tiket 1"]


def test_twin_that_heeds_no_list_of_key_indexes_writes_to_who_was_unlinked(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory.DeviceList, "unlinked", lambda self, phone: [])
    monkeypatch.setattr(directory.DeviceList, "vouched", lambda self, bundle: bundle)
    spy = listed_spy(wired, not_counted)
    wired.tell(1)
    assert texts(spy) == ["Tiket 1"]


def test_it_costs_the_next_send_no_request(wired: WiredFunctions) -> None:
    listed_spy(wired, unvouched)
    wired.tell(1)
    wired.network.queries.clear()
    wired.tell(2)
    assert wired.network.queries == []


def test_a_hosted_device_has_prefixes_of_its_own(wired: WiredFunctions) -> None:
    hosted = wired.siti.devices[HOSTED_DEVICE] = Device(wired.siti.user.with_device(HOSTED_DEVICE))
    wired.tell(1)
    assert texts(hosted) == ["Tiket 1"]


def test_our_own_account_s_companions_are_vouched_for_by_the_phone_that_linked_us(
    wired: WiredFunctions,
) -> None:
    own = wired.paired.own
    tablet = own.devices[2] = Device(own.user.with_device(2))
    spy = own.devices[7] = Device(own.user.with_device(7), vouched_by=key_pair(os.urandom(32)))
    wired.tell(1)
    assert (texts(tablet), texts(spy)) == (["Tiket 1"], [])


# -- another phone ---------------------------------------------------------------------------------------


def test_a_phone_installed_anew_is_found_by_its_new_list_and_vouches_for_its_new_companions(
    wired: WiredFunctions,
) -> None:
    wired.tell(1)
    wired.siti.devices[0].reinstall()
    linked = wired.siti.devices[2] = Device(wired.siti.user.with_device(2))
    del wired.siti.devices[1]
    wired.paired.now += 2 * 86_400
    wired.tell(2)
    assert (texts(linked), texts(wired.siti.devices[0])) == (["Tiket 2"], ["Tiket 1", "Tiket 2"])
    assert wired.network.retries == []


def test_a_companion_of_the_old_phone_gets_nothing_from_then_on(wired: WiredFunctions) -> None:
    wired.tell(1)
    old = wired.siti.devices[0].identity
    wired.siti.devices[0].reinstall()
    wired.siti.devices[1].vouched_by = old
    wired.tell(2)
    wired.answer_retries()
    notification = wired.tell(3)
    assert texts(wired.siti.devices[0]) == ["Tiket 1", "Tiket 2", "Tiket 3"]
    assert "Tiket 3" not in texts(wired.siti.devices[1])
    assert "1234:1@lid" in wired.stored(notification).attempts[-1].left_out


def test_a_list_that_nobody_s_phone_signed_counts_no_companion(wired: WiredFunctions) -> None:
    wired.siti.list_signed_by = key_pair(os.urandom(32))
    notification = wired.tell(1)
    assert (texts(wired.siti.devices[0]), texts(wired.siti.devices[1])) == (["Tiket 1"], [])
    assert wired.stored(notification).attempts[-1].left_out == {"1234:1@lid": "unproven device"}


# -- receiving -------------------------------------------------------------------------------------------


def begun(wired: WiredFunctions, number: int = 7) -> Device:
    """A companion that has founded a session with us."""
    device = wired.siti.devices.setdefault(number, Device(wired.siti.user.with_device(number)))
    device.begin(our_bundle(wired))
    return device


@pytest.mark.parametrize("lie", [unvouched, vouched_by_another_phone])
def test_a_message_of_an_unproven_companion_is_refused_by_name(
    wired: WiredFunctions, lie: Callable[[WiredFunctions, Device], None]
) -> None:
    wired.tell(1)
    spy = begun(wired)
    lie(wired, spy)
    report = wired.reply("STOP", "S1", spy)
    assert (report.outcome, report.cause) == ("unproven-device", "UnprovenDevice")
    assert replies(wired) == []
    assert wired.network.written == []
    assert wired.deliver(wired.plan(2)).outcome == "sent"


def test_twin_that_asks_for_no_proof_takes_a_stranger_s_stop(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.keys.receive.is_proven", lambda *_: True)
    wired.tell(1)
    spy = begun(wired)
    spy.vouched = False
    assert wired.reply("STOP", "S1", spy).outcome == "reply"


def test_somebody_whose_companion_writes_first_is_read_once_their_phone_is_known(
    wired: WiredFunctions,
) -> None:
    tablet = begun(wired, 1)
    wired.network.queries.clear()
    assert wired.reply("halo", "S1", tablet).outcome == "reply"
    assert [query for query in wired.network.queries if "bundle" in query] == ["bundle 1234@lid"]


def test_a_companion_that_a_new_phone_linked_is_read(wired: WiredFunctions) -> None:
    wired.tell(1)
    wired.siti.devices[0].reinstall()
    linked = begun(wired, 2)
    assert wired.reply("halo", "S1", linked).outcome == "reply"


def test_a_stranger_makes_us_ask_for_the_phone_a_few_times_an_hour(wired: WiredFunctions) -> None:
    wired.tell(1)
    spy = begun(wired)
    spy.vouched_by = key_pair(os.urandom(32))
    wired.network.queries.clear()
    for number in range(20):
        assert wired.reply("STOP", f"S{number}", spy).outcome == "unproven-device"
    assert wired.network.queries == ["bundle 1234@lid"] * PHONE_QUESTIONS_PER_HOUR


def test_a_removed_companion_s_first_message_is_a_duplicate_under_another_id(wired: WiredFunctions) -> None:
    wired.tell(1)
    tablet = begun(wired, 1)
    first = message_from(tablet, wired.siti, "S1", "STOP")
    assert wired.receive(first).outcome == "reply"
    told = len(replies(wired))
    wired.paired.keys.sending.remove_device(wired.paired.profile, "1234@lid", 1)
    again = type(first)(first.tag, {**first.attrs, "id": "S2"}, first.content)
    assert wired.receive(again).outcome == "duplicate"
    assert len(replies(wired)) == told
