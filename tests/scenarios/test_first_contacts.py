"""A refused first contact: the account waits by itself, a person gets it once they wrote, and nobody is tried
against what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from tests.support.fake_whatsapp import message_from, wrapped
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import orders, our_bundle
from tocsin.accounts.limits import FEW_NEW_CHATS, FIRST_CONTACTS, NEW_CHATS, Limit
from tocsin.accounts.state import AccountState
from tocsin.connector_client import protocol
from tocsin.multidevice.leased_connectors import LeasedConnectors
from tocsin.notify.cold import MUST_WRITE_FIRST
from tocsin.notify.notification import Notification, State
from tocsin.notify.parking import Maintainer
from tocsin.notify.queues import Order
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import device_sent, text_message

DAY = 86400


@pytest.fixture
def wired() -> WiredFunctions:
    return WiredFunctions(MemoryAws())


def refuse(wired: WiredFunctions, word: str, until: float = 0, code: int = 463) -> None:
    """The next message is refused, and the connector found out why."""
    wired.network.refuse_with = [code]
    wired.network.verdict = {protocol.VERDICT: word, protocol.VERDICT_UNTIL: str(int(until))}


def cold(wired: WiredFunctions, number: int = 1) -> Notification:
    planned = wired.plan(number)
    refuse(wired, protocol.COLD)
    assert wired.deliver(planned).cause == MUST_WRITE_FIRST
    # Nothing of ours arrived: who writes begins the session.
    wired.siti.devices[0].begin(our_bundle(wired))
    return planned


def handed_over(wired: WiredFunctions) -> int:
    return len(wired.network.messages)


def let_go(wired: WiredFunctions) -> list[str]:
    """Carry out what lies in the queue; ids of what was sent."""
    sent = []
    for body in orders(wired):
        notification = wired.stores.notifications.get(body["notification"])
        assert notification is not None
        if wired.delivery.deliver(Order.of(notification)).outcome == "sent":
            sent.append(notification.id)
    return sent


# -- one person ----------------------------------------------------------------------------------------------


def test_a_cold_recipient_becomes_a_dead_letter_of_its_own_with_its_remedy(wired: WiredFunctions) -> None:
    notification = wired.stored(cold(wired))
    assert notification.state is State.FAILED
    assert notification.last_error is not None
    assert (notification.last_error.code, notification.last_error.class_) == (MUST_WRITE_FIRST, "permanent")
    assert "tocsin people invite" in notification.last_error.detail
    [letter] = wired.aws.messages("dead-letters")
    assert letter["reason"] == MUST_WRITE_FIRST
    assert wired.paired.keys.account.limits() == {}


def test_nothing_more_is_tried_until_they_write(wired: WiredFunctions) -> None:
    cold(wired)
    before = handed_over(wired)
    assert wired.deliver(wired.plan(2)).cause == MUST_WRITE_FIRST
    assert handed_over(wired) == before


def test_once_they_write_all_of_it_goes_out_by_itself(wired: WiredFunctions) -> None:
    first = cold(wired)
    second = wired.plan(2)
    wired.deliver(second)
    wired.reply("Halo")
    assert sorted(let_go(wired)) == sorted([first.id, second.id])
    assert sorted(texts(wired.siti.devices[0])) == ["Tiket 1", "Tiket 2"]
    wired.tell(3)


def test_what_they_write_next_sends_nothing_twice(wired: WiredFunctions) -> None:
    cold(wired)
    wired.reply("Halo")
    assert len(let_go(wired)) == 1
    wired.reply("Terima kasih", "R2")
    assert let_go(wired) == []


def test_who_writes_stop_gets_nothing_of_it(wired: WiredFunctions) -> None:
    first = cold(wired)
    wired.reply("STOP")
    let_go(wired)
    assert wired.stored(first).state is State.SUPPRESSED


def test_a_token_of_theirs_opens_the_chat_too(wired: WiredFunctions) -> None:
    first = cold(wired)
    token = Node(
        "token",
        {"jid": wired.paired.own.pn, "t": str(int(wired.paired.now)), "type": "trusted_contact"},
        b"t" * 16,
    )
    attrs = {"from": wired.siti.pn, "sender_lid": wired.siti.user, "type": "privacy_token", "id": "n"}
    wired.receive(Node("notification", attrs, (Node("tokens", {}, (token,)),)))
    assert let_go(wired) == [first.id]


def test_so_does_what_the_owner_writes_to_them_from_the_phone(wired: WiredFunctions) -> None:
    first = cold(wired)
    phone = wired.paired.own.devices[0]
    phone.begin(our_bundle(wired))
    plain = device_sent(wired.siti.user, text_message("dari ponsel"))
    wired.receive(wrapped(phone, wired.paired.own, "O1", phone.encrypt(plain), recipient=wired.siti.user))
    assert let_go(wired) == [first.id]


def test_an_operators_redrive_tries_all_the_same(wired: WiredFunctions) -> None:
    first = cold(wired)
    step = wired.stores.notifications.reset_for_redrive(
        first.id, at=0, expires_at=int(wired.paired.now + DAY) * 1000
    )
    assert wired.delivery.deliver(Order.of(step.notification)).outcome == "sent"


def test_a_message_in_a_group_opens_no_chat(wired: WiredFunctions) -> None:
    cold(wired)
    person = wired.stores.people.find(ACCOUNT, str(wired.siti.user))
    assert person.must_write_first_at is not None
    group = JID("1203630", "g.us")
    wired.receive(
        message_from(
            wired.siti.devices[0], wired.siti, "G1", "Halo", **{"from": group, "participant": wired.siti.user}
        )
    )
    assert let_go(wired) == []


# -- the account ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "word", "cause"),
    [(463, protocol.LOCKED, "first-contact-restricted"), (475, protocol.CAPPED, "first-contact-quota")],
)
def test_a_limit_of_the_account_parks_it_until_the_end_that_is_known(
    wired: WiredFunctions, code: int, word: str, cause: str
) -> None:
    planned, end = wired.plan(), int(wired.paired.now) + 3 * DAY
    refuse(wired, word, end, code)
    verdict = wired.deliver(planned)
    assert (verdict.outcome, verdict.cause) == ("parked", cause)
    waiting = wired.stored(planned)
    assert (waiting.due_at, waiting.held_until) == (end * 1000, end * 1000)


@pytest.mark.parametrize("days", [1, 7])
def test_a_lock_that_lasts_as_long_as_its_expiry_or_longer_doesnt_use_it_up(
    wired: WiredFunctions, days: int
) -> None:
    planned, end = wired.plan(), wired.paired.now + days * DAY
    refuse(wired, protocol.LOCKED, end)
    wired.deliver(planned)
    wired.paired.now = end + 1
    assert not wired.stored(planned).expired(int(wired.paired.now * 1000))


def test_a_lock_that_outlasts_everything_is_said_at_once(wired: WiredFunctions) -> None:
    planned = wired.plan()
    refuse(wired, protocol.LOCKED, wired.paired.now + 40 * DAY)
    verdict = wired.deliver(planned)
    assert (verdict.outcome, verdict.cause) == ("failed", "held-too-long")


@pytest.mark.parametrize("kind", [FIRST_CONTACTS, NEW_CHATS])
def test_what_is_known_is_not_tried(wired: WiredFunctions, kind: str) -> None:
    now = int(wired.paired.now)
    wired.paired.keys.account.note_limit(Limit(kind, "x", now + DAY, now))
    before = handed_over(wired)
    assert wired.deliver(wired.plan()).outcome == "parked"
    assert handed_over(wired) == before


def test_a_connector_of_before_finds_nothing_out_and_a_day_is_taken(wired: WiredFunctions) -> None:
    planned = wired.plan()
    wired.network.refuse_with = [463]
    assert wired.deliver(planned).cause == "first-contact-restricted"
    assert wired.stored(planned).due_at == int(wired.paired.now + DAY) * 1000


def locked(wired: WiredFunctions, number: int = 1) -> Notification:
    """One that a lock of six days keeps back."""
    planned, end = wired.plan(number), int(wired.paired.now) + 6 * DAY
    refuse(wired, protocol.LOCKED, end)
    assert wired.deliver(planned).outcome == "parked"
    now = int(wired.paired.now)
    wired.paired.keys.account.note_limit(Limit(FIRST_CONTACTS, "reachout-lock", end, now))
    wired.siti.devices[0].begin(our_bundle(wired))
    return planned


def swept(wired: WiredFunctions) -> list[str]:
    """What goes out with the next look at what waits."""
    connectors = Limited(wired.paired.table, lambda: wired.paired.sealer, cast("Any", None))
    upkeep = Maintainer(
        wired.stores, wired.queue, wired.dead_letters, connectors, clock=lambda: wired.paired.now
    )
    upkeep.resume(ACCOUNT, lambda: 60.0)
    return let_go(wired)


class Limited(LeasedConnectors):
    """The connector of an account that is connected, under the limits that are noted."""

    def state(self, account: str) -> AccountState:
        return AccountState.RESTRICTED

    def resumed(self, account: str) -> None:
        raise AssertionError("nothing was being held back")


def test_who_writes_while_the_account_is_locked_gets_what_waited_for_them(wired: WiredFunctions) -> None:
    """In chats in which they wrote WhatsApp lets it pass."""
    first = locked(wired)
    second = wired.plan(2)
    assert wired.deliver(second).cause == "behind"
    assert swept(wired) == []
    wired.reply("Halo")
    assert swept(wired) == [first.id, second.id]


def test_what_nobody_answered_waits_on(wired: WiredFunctions) -> None:
    """The twin: a group's talk is no chat with them."""
    locked(wired)
    attrs = {"from": JID("1203630", "g.us"), "participant": wired.siti.user}
    wired.receive(message_from(wired.siti.devices[0], wired.siti, "G1", "Halo", **attrs))
    assert swept(wired) == []


@pytest.mark.parametrize("urgent", [True, False])
def test_where_the_last_new_chats_are_for_what_is_urgent_that_goes(
    wired: WiredFunctions, urgent: bool
) -> None:
    """It met a cap, which was lifted before its cycle's end; after the second warning the rest waits on."""
    planned = replace(wired.plan(), urgent=urgent, id="0" * 18)
    wired.stores.notifications.put_new(planned)
    account, now = wired.paired.keys.account, int(wired.paired.now)
    refuse(wired, protocol.CAPPED, now + 9 * DAY, 475)
    assert wired.deliver(planned).outcome == "parked"
    account.note_limit(Limit(NEW_CHATS, "new-chat-quota", now + 9 * DAY, now))
    assert swept(wired) == []
    account.note_limit(Limit(NEW_CHATS, "new-chat-quota", 0, now))
    account.note_limit(Limit(FEW_NEW_CHATS, "new-chat-quota", now + 9 * DAY, now))
    assert swept(wired) == ([planned.id] if urgent else [])


# -- one message ---------------------------------------------------------------------------------------------


def test_one_refused_message_holds_its_line_up_for_minutes_and_not_for_hours(wired: WiredFunctions) -> None:
    """A 403 is tried once more, then it is a dead letter; what is behind it goes on."""
    first, second = wired.plan(1), wired.plan(2)
    wired.network.refuse_with = [403]
    assert wired.deliver(first).outcome == "parked"
    assert wired.deliver(second).cause == "behind"
    due_at = wired.stored(first).due_at
    assert due_at is not None
    assert due_at - wired.paired.now * 1000 <= 5 * 60 * 1000
    wired.network.refuse_with = [403]
    again = wired.stores.parking.requeue(first.id).notification
    assert wired.delivery.deliver(Order.of(again)).outcome == "failed"
    after = wired.stores.parking.requeue(second.id).notification
    assert wired.delivery.deliver(Order.of(after)).outcome == "sent"
