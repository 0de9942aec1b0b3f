"""Only who was written to may have a message again: retry receipts of others, and of lying servers."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fake_whatsapp import Device, Person
from tests.support.memory_aws import MemoryAccount
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import changed, facts
from tocsin.multidevice.directory import PHONE_QUESTIONS_PER_HOUR
from tocsin.multidevice.retry_rights import (
    GUESSES_PER_HOUR,
    MAX_DEVICES_AGAIN,
    RetryRights,
)
from tocsin.notify.notification import Notification
from tocsin.signal.curve import key_pair
from tocsin.whatsapp.node import Node

DAY = 86_400


@pytest.fixture
def wired() -> WiredFunctions:
    return WiredFunctions(MemoryAccount().furnish())


def asks(
    wired: WiredFunctions, notification: Notification, device: Device, *, keys: bool = True, **attrs: object
) -> str:
    """`device` asks for a notification, in its own name or another's; what that leads to."""
    node = wired.network.retry_receipt(device, notification.message_id, "NoSession", with_keys=keys)
    return wired.receive(changed(node, **attrs)).outcome


def mallory(wired: WiredFunctions) -> Person:
    return wired.network.person("6281111111111", "6666", devices=2)


# -- another person --------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [False, True])
def test_nobody_asks_for_somebody_else_s_device(wired: WiredFunctions, keys: bool) -> None:
    """`from` one person and `participant` another, outside groups."""
    notification, thief = wired.tell(1), mallory(wired).devices[0]
    before = facts(wired)
    outcome = asks(wired, notification, thief, keys=keys, participant=wired.siti.devices[0].jid)
    assert outcome == "refused"
    assert (facts(wired), texts(thief)) == (before, [])


def new_owner(wired: WiredFunctions) -> Person:
    """Siti's number goes to somebody else, which we learn when we are told of that person."""
    owner = wired.network.person(wired.siti.phone, "7777", devices=2)
    wired.paired.keys.contacts.learn(str(wired.siti.pn), str(owner.user))
    return owner


def test_a_number_s_new_owner_who_knows_an_old_id_gets_nothing(wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    wired.paired.now += 20 * DAY
    owner = new_owner(wired)
    assert asks(wired, notification, owner.devices[0]) == "foreign-device"
    assert asks(wired, notification, owner.devices[1], keys=False) == "foreign-device"
    assert texts(owner.devices[0]) == []


def by_number(wired: WiredFunctions, notification: Notification, device: Device) -> str:
    """The phone asks as the number alone, as whoever has it may."""
    return asks(wired, notification, device, **{"from": wired.siti.pn, "sender_pn": None})


def test_a_number_alone_is_asked_for_before_anything_of_its_last_owner_s_is_sent(
    wired: WiredFunctions,
) -> None:
    notification = wired.tell(1)
    wired.paired.now += 20 * DAY
    owner = wired.network.person(wired.siti.phone, "7777")
    wired.network.people.pop("1234")
    assert by_number(wired, notification, owner.devices[0]) == "number-moved"
    assert texts(owner.devices[0]) == []


def test_twin_a_number_that_is_still_theirs_is_served(wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    wired.siti.devices[0].forget()
    assert by_number(wired, notification, wired.siti.devices[0]) == "resent"


def test_the_number_s_old_owner_goes_on_being_served(wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    new_owner(wired)
    wired.siti.devices[0].forget()
    assert asks(wired, notification, wired.siti.devices[0], sender_pn=None) == "resent"
    assert len(wired.siti.devices[0].plaintexts) == 2


def test_twin_that_judges_by_the_number_tells_the_new_owner(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        RetryRights,
        "_addressees",
        staticmethod(lambda account, notification: account.names_of(notification.recipient)),
    )
    notification = wired.tell(1)
    assert asks(wired, notification, new_owner(wired).devices[0]) == "resent"


# -- another device --------------------------------------------------------------------------------------


def spy(wired: WiredFunctions, *, listed: bool, number: int = 7) -> Device:
    """A device in Siti's name that her phone never linked."""
    device = Device(wired.siti.user.with_device(number), vouched_by=key_pair(os.urandom(32)))
    if listed:
        wired.siti.devices[number] = device
    return device


@pytest.mark.parametrize(("listed", "outcome"), [(False, "unknown-device"), (True, "unproven-device")])
def test_a_made_up_device_with_keys_of_its_own_gets_neither_this_text_nor_a_later_one(
    wired: WiredFunctions, listed: bool, outcome: str
) -> None:
    notification = wired.tell(1)
    device = spy(wired, listed=listed)
    assert asks(wired, notification, device) == outcome
    wired.paired.now += 2 * DAY
    later = wired.tell(2)
    assert (texts(device), facts(wired, 7)) == ([], None)
    assert "1234:7@lid" not in wired.stored(later).attempts[-1].copies


def test_a_device_that_the_phone_linked_since_is_served(wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    device = wired.siti.devices[7] = Device(wired.siti.user.with_device(7))
    assert asks(wired, notification, device) == "resent"
    assert texts(device) == ["Tiket 1"]


def test_keys_that_show_no_proof_are_not_used_and_the_server_s_are(wired: WiredFunctions) -> None:
    """A client that leaves its device identity out of a retry receipt is served all the same."""
    notification = wired.tell(1)
    device = wired.siti.devices[7] = Device(wired.siti.user.with_device(7))
    node = wired.network.retry_receipt(device, notification.message_id, "NoSession", with_keys=True)
    keys = node.require_child("keys")
    kept = Node("keys", {}, tuple(part for part in keys.children() if part.tag != "device-identity"))
    parts = tuple(kept if part.tag == "keys" else part for part in node.children())
    report = wired.receive(Node(node.tag, node.attrs, parts))
    assert (report.outcome, report.facts["rebuilt"]) == ("resent", "bundle")
    assert texts(device) == ["Tiket 1"]


def test_our_own_companions_are_judged_by_the_phone_that_linked_us(wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    own = wired.paired.own
    tablet = own.devices[2] = Device(own.user.with_device(2))
    stranger = own.devices[3] = Device(own.user.with_device(3), vouched_by=key_pair(os.urandom(32)))
    assert asks(wired, notification, tablet) == "resent"
    assert asks(wired, notification, stranger) == "unproven-device"
    assert (texts(tablet), texts(stranger)) == (["Tiket 1"], [])


def test_no_message_goes_to_more_devices_than_a_person_has(wired: WiredFunctions) -> None:
    wired.restart(recoveries_per_hour=1000)
    notification = wired.tell(1)
    outcomes = []
    for number in range(10, 10 + MAX_DEVICES_AGAIN + 2):
        device = wired.siti.devices[number] = Device(wired.siti.user.with_device(number))
        outcomes.append(asks(wired, notification, device))
    assert outcomes == ["resent"] * MAX_DEVICES_AGAIN + ["too-many-devices"] * 2


def test_a_device_of_the_old_phone_makes_us_ask_for_the_new_one_a_few_times_an_hour(
    wired: WiredFunctions,
) -> None:
    notification, tablet = wired.tell(1), wired.siti.devices[1]
    old = wired.siti.devices[0].identity
    wired.siti.devices[0].reinstall()
    tablet.vouched_by = old
    wired.tell(2)
    wired.answer_retries()
    wired.network.queries.clear()
    outcomes = {asks(wired, notification, tablet, keys=False) for _ in range(10)}
    assert outcomes == {"unproven-device"}
    assert wired.network.queries.count("bundle 1234@lid") == PHONE_QUESTIONS_PER_HOUR
    assert [shown for _, shown in tablet.shown].count("Tiket 1") == 1


# -- guessing --------------------------------------------------------------------------------------------


def guess(wired: WiredFunctions, device: Device, number: int) -> str:
    message_id = "3EB0" + f"{number:018X}"
    node = wired.network.retry_receipt(device, message_id, "NoSession", with_keys=True, count=1)
    return wired.receive(node).outcome


def test_wrong_guesses_cost_what_could_be_had_by_a_right_one(wired: WiredFunctions) -> None:
    notification = wired.tell(1)
    linked = wired.siti.devices[7] = Device(wired.siti.user.with_device(7))
    for number in range(GUESSES_PER_HOUR):
        assert guess(wired, linked, number) == "unknown-message"
    assert asks(wired, notification, linked) == "guessing"
    wired.paired.now += 3600
    assert asks(wired, notification, linked) == "resent"


def test_they_cost_no_device_what_it_was_sent(wired: WiredFunctions) -> None:
    """Whoever guesses in Siti's name takes nothing from her phone."""
    notification = wired.tell(1)
    for number in range(2 * GUESSES_PER_HOUR):
        guess(wired, wired.siti.devices[1], number)
    wired.siti.devices[0].forget()
    assert asks(wired, notification, wired.siti.devices[0]) == "resent"


def test_twin_without_the_budget_lets_somebody_guess_on(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryRights, "_demand_patience", lambda *_: None)
    with pytest.raises(AssertionError):
        test_wrong_guesses_cost_what_could_be_had_by_a_right_one(wired)


# -- whoever it is ---------------------------------------------------------------------------------------

REQUESTS = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["siti", "new owner", "mallory", "ourselves"]),
        "number": st.integers(0, 3),
        "listed": st.booleans(),
        "vouched": st.booleans(),
        "keys": st.booleans(),
        "as_participant": st.booleans(),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUESTS, min_size=1, max_size=6))
def test_a_device_reads_a_message_again_only_if_it_is_of_whom_it_was_sent_to_and_proven(
    requests: list[dict[str, object]],
) -> None:
    wired = WiredFunctions(MemoryAccount().furnish())
    wired.restart(recoveries_per_hour=100)
    notification = wired.tell(1)
    people = {
        "siti": wired.siti,
        "ourselves": wired.paired.own,
        "mallory": mallory(wired),
        "new owner": new_owner(wired),
    }
    entitled = {id(device) for device in (*wired.siti.devices.values(), *wired.paired.own.devices.values())}
    devices: list[Device] = []
    for request in requests:
        person, number = people[str(request["who"])], request["number"]
        device = person.devices.get(number) or Device(person.user.with_device(number))  # type: ignore[call-overload, arg-type]
        if id(device) not in entitled and number:
            device.vouched = bool(request["vouched"])
            if request["listed"]:
                person.devices[number] = device  # type: ignore[index]
        devices.append(device)
        listed = person.devices.get(number) is device  # type: ignore[call-overload]
        honest = listed and device.vouched and not request["as_participant"]
        if request["who"] in ("siti", "ourselves") and honest:
            entitled.add(id(device))
        attrs = {"participant": wired.siti.devices[0].jid} if request["as_participant"] else {}
        asks(wired, notification, device, keys=bool(request["keys"]), **attrs)
    for device in devices:
        if id(device) not in entitled:
            assert texts(device) == []
