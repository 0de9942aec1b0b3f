"""Linked anew, over an old link: what is out of reach then, and what the world keeps."""

from __future__ import annotations

import pytest

from tests.support.fake_whatsapp import message_from
from tests.support.memory_aws import MemoryAws
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions, texts
from tocsin.connector_client.errors import NotConnected
from tocsin.notify.notification import State


@pytest.fixture
def linked_anew() -> WiredFunctions:
    """Siti has had a notification and withdrawn her consent to none; then the account was linked anew."""
    wired = WiredFunctions(MemoryAws())
    wired.first = wired.tell(1)  # type: ignore[attr-defined]
    wired.late = message_from(wired.siti.devices[0], wired.siti, "L", "terlambat")  # type: ignore[attr-defined]
    wired.old = wired.paired.profile  # type: ignore[attr-defined]
    wired.paired.keys.account.renew()
    wired.paired.pair(7)
    wired.restart()
    return wired


def test_no_session_of_before_is_within_reach(linked_anew: WiredFunctions) -> None:
    keys = linked_anew.paired.keys
    assert keys.sending.session_facts(linked_anew.paired.profile, "1234@lid", 0) is None
    assert keys.account.prekey_count() == 0


def test_what_is_sent_next_founds_new_sessions_and_arrives(linked_anew: WiredFunctions) -> None:
    linked_anew.tell(2)
    assert texts(linked_anew.siti.devices[0]) == ["Tiket 1", "Tiket 2"]
    assert linked_anew.network.retries == []


def test_a_message_for_the_old_link_is_refused_and_not_tried_on_the_new(linked_anew: WiredFunctions) -> None:
    report = linked_anew.receive(linked_anew.late, incarnation=linked_anew.old.incarnation)  # type: ignore[attr-defined]
    assert (report.outcome, report.cause) == ("refused", "other-pairing")


def test_a_late_receipt_for_a_message_of_before_still_counts(linked_anew: WiredFunctions) -> None:
    linked_anew.receipt(linked_anew.first)  # type: ignore[attr-defined]
    assert linked_anew.stored(linked_anew.first).state is State.DELIVERED  # type: ignore[attr-defined]


def test_a_device_that_asks_again_for_a_message_of_before_gets_it_in_a_new_session(
    linked_anew: WiredFunctions,
) -> None:
    device = linked_anew.siti.devices[1]
    message_id = linked_anew.first.message_id  # type: ignore[attr-defined]
    device.shown.clear()
    device.forget()
    linked_anew.receive(linked_anew.network.retry_receipt(device, message_id, "NoSession"))
    assert texts(device) == ["Tiket 1"]


def test_opt_outs_and_addresses_outlive_the_link() -> None:
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    wired.reply("STOP")
    wired.paired.keys.account.renew()
    wired.paired.pair(7)
    wired.restart()
    assert wired.deliver(wired.plan(2)).outcome == "suppressed"
    assert wired.paired.keys.contacts.address(str(wired.siti.pn))["lid"] == "1234@lid"


def test_while_nothing_is_linked_notifications_wait() -> None:
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    wired.paired.keys.account.renew()
    wired.restart()
    planned = wired.plan(2)
    assert (wired.deliver(planned).outcome, wired.deliver(planned).cause) == ("parked", "waiting")
    wired.network.away = NotConnected("pairing")
    wired.paired.pair(7)
    wired.restart()
    third = wired.plan(3)
    assert wired.deliver(third).outcome == "parked"
    wired.network.away = None
    assert wired.stored(planned).state is wired.stored(third).state is State.WAITING
