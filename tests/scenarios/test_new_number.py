"""An account that moves to another number: what waits, what people wished, who they are and what was said
about their tickets stays; what WhatsApp held against the old number goes; open tickets are told once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.notifications import a_notification, an_id
from tests.support.paired_account import ACCOUNT, PairedAccount
from tests.support.settings import chosen
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import our_bundle
from tocsin.accounts.limits import FIRST_CONTACTS, Limit
from tocsin.connector_client import protocol
from tocsin.connector_client.errors import NotConnected
from tocsin.keys.timers import ChatTimer
from tocsin.notify.cold import MUST_WRITE_FIRST
from tocsin.notify.content import Edit, Quote, Text
from tocsin.notify.notification import Notification
from tocsin.notify.planning import spellings_of
from tocsin.notify.texts.languages import DEFAULTS
from tocsin.notify.threads import NEWS_SECONDS, placed
from tocsin.whatsapp.content import content_of
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin.whatsapp.proto.pairing_pb2 import SignedDeviceIdentity

NEW_PHONE, NEW_LID = "6280000000009", "8888"
NOTE = "_We write from a new number now._\n\n"


@pytest.fixture
def wired() -> WiredFunctions:
    """Siti has had one notification from the old number, about ticket 1."""
    made = WiredFunctions(MemoryAws())
    made.paired.keys.account.take_over(f"{made.paired.own.phone}@s.whatsapp.net")
    said(made, 1, "TicketCreated")
    return made


def move(wired: WiredFunctions, phone: str = NEW_PHONE, lid: str = NEW_LID) -> None:
    """As the connector does it: unlinked, then another phone scans the code."""
    paired: PairedAccount = wired.paired
    paired.keys.account.renew()
    paired.own = paired.network.person(phone, lid)
    paired.keys.account.take_over(str(JID(phone, PN)))
    paired.keys.account.save_pairing(
        jid=str(JID(phone, PN, 4)),
        lid=str(JID(lid, LID, 4)),
        device_identity=SignedDeviceIdentity(
            account_signature_key=paired.own.devices[0].identity.public
        ).SerializeToString(),
    )
    paired.now += 60
    wired.since = int(paired.now)  # type: ignore[attr-defined]
    wired.restart()


def planned(
    wired: WiredFunctions, ticket: int, event: str, revision: int = 1, **settings: Any
) -> Notification:
    """As the planner writes it, with what `tocsin pair` set when the number changed."""
    wired.paired.now += 1
    since = getattr(wired, "since", 0)
    [person] = wired.stores.people.address(ACCOUNT, [spellings_of(wired.siti.phone)])
    notification = a_notification(
        id=an_id(ACCOUNT, f"TCK-{ticket}", event, revision, "customer", wired.siti.phone),
        account=ACCOUNT,
        ticket_id=f"TCK-{ticket}",
        event_type=event,
        revision=revision,
        audience="customer",
        recipient=wired.siti.phone,
        language="en",
        content=Text(f"Tiket {ticket}.{revision}"),
        created_at=int(wired.paired.now * 1000),
        expires_at=int(wired.paired.now + 86400) * 1000,
        person=person.id,
        lane=person.lane,
    )
    wishes = {"new_number_since": since, "quote_first_message": True, **settings}
    notification = placed(notification, wired.stores, chosen(**wishes)())
    wired.stores.notifications.put_new(notification)
    return notification


def said(
    wired: WiredFunctions, ticket: int, event: str = "TicketUpdated", revision: int = 1, **settings: Any
) -> Notification:
    notification = planned(wired, ticket, event, revision, **settings)
    assert wired.deliver(notification).outcome == "sent"
    return notification


def read(wired: WiredFunctions) -> str:
    return content_of(Message.FromString(wired.siti.devices[0].plaintexts[-1])).text or ""


# -- what stays ------------------------------------------------------------------------------------------


def test_what_waits_goes_out_from_the_new_number_and_once(wired: WiredFunctions) -> None:
    waiting = planned(wired, 1, "TicketUpdated", 2)
    wired.network.away = NotConnected("logged_out")
    assert wired.deliver(waiting).outcome == "parked"
    before = len(wired.siti.devices[0].shown)
    wired.network.away = None
    move(wired)
    wired.stores.parking.requeue(waiting.id)
    order = wired.stored(waiting)
    assert [wired.deliver(order).outcome for _ in range(2)] == ["sent", "dropped"]
    assert len(wired.siti.devices[0].shown) == before + 1


def test_what_was_sent_from_the_old_number_is_not_sent_again(wired: WiredFunctions) -> None:
    sent = said(wired, 1, revision=2)
    before = len(wired.network.messages)
    move(wired)
    assert wired.deliver(sent).outcome == "dropped"
    assert len(wired.network.messages) == before


def test_opt_outs_and_people_stay(wired: WiredFunctions) -> None:
    wired.reply("STOP")
    move(wired)
    assert wired.deliver(planned(wired, 2, "TicketCreated")).outcome == "suppressed"


def test_a_thread_goes_on_with_its_first_message(wired: WiredFunctions) -> None:
    move(wired)
    content = planned(wired, 1, "TicketUpdated", 2).content
    assert isinstance(content, Text)
    assert content.quote == Quote(a_first(wired).message_id, "Tiket 1.1")


def a_first(wired: WiredFunctions) -> Notification:
    found = wired.stores.notifications.get(
        an_id(ACCOUNT, "TCK-1", "TicketCreated", 1, "customer", wired.siti.phone)
    )
    assert found is not None
    return found


# -- what goes -------------------------------------------------------------------------------------------


def test_what_whatsapp_held_against_the_old_number_goes(wired: WiredFunctions) -> None:
    now = int(wired.paired.now)
    wired.paired.keys.account.note_limit(Limit(FIRST_CONTACTS, "463", now + 86400, now))
    wired.paired.keys.contacts.save_salt("9999@lid", b"salt")
    wired.paired.keys.contacts.keep_timer("9999@lid", "1234@lid", ChatTimer(86400, now))
    move(wired)
    assert wired.paired.keys.account.limits() == {}
    assert wired.paired.keys.contacts.salt(f"{NEW_LID}@lid") is None
    assert wired.paired.keys.contacts.timer(f"{NEW_LID}@lid", "1234@lid") is None


def test_twin_the_same_number_linked_again_keeps_its_limits(wired: WiredFunctions) -> None:
    now = int(wired.paired.now)
    wired.paired.keys.account.note_limit(Limit(FIRST_CONTACTS, "463", now + 86400, now))
    move(wired, wired.paired.own.phone, "9999")
    assert set(wired.paired.keys.account.limits()) == {FIRST_CONTACTS}


def test_no_message_of_the_old_number_is_edited_from_the_new_one(wired: WiredFunctions) -> None:
    """Phones would ignore the edit, and the update would be lost."""
    move(wired)
    update = said(wired, 1, revision=2, updates_as="edit")
    assert isinstance(update.content, Text)
    later = planned(wired, 1, "TicketUpdated", 3, updates_as="edit")
    assert isinstance(later.content, Edit)  # of what the new number said


def test_an_edit_that_waited_through_the_move_becomes_a_message(wired: WiredFunctions) -> None:
    waiting = planned(wired, 1, "TicketUpdated", 2, updates_as="edit")
    assert isinstance(waiting.content, Edit)
    move(wired)
    wired.delivery._settings = chosen(new_number_since=wired.since)  # type: ignore[attr-defined]
    assert wired.deliver(waiting).outcome == "sent"
    assert read(wired) == "Tiket 1.2"


# -- to whom the new number is a stranger ---------------------------------------------------------------


def known(wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch, revision: int) -> int:
    """What the connector is told of when Siti last heard of us, with the next message."""
    seen: list[str] = []
    hand_over = wired.network.send_message

    def noted(profile: Any, node: Any, **how: Any) -> Any:
        seen.append(how["pace"])
        return hand_over(profile, node, **how)

    with monkeypatch.context() as listening:
        listening.setattr(wired.network, "send_message", noted)
        said(wired, 1, revision=revision)
    said_at = protocol.known_at(seen[-1].split())
    assert said_at is not None
    return said_at


def heed_the_move(wired: WiredFunctions) -> int:
    """As once the console has asked whether the number is meant, and set when it changed."""
    since: int = wired.since  # type: ignore[attr-defined]
    wired.restart(new_number_since=since)
    return since


def test_the_connector_is_told_when_somebody_last_heard_of_us_and_knows_whether_from_this_number(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It alone knows since when the account has its number, also while the console still asks."""
    wired.receipt(a_first(wired))
    move(wired)
    since: int = wired.since  # type: ignore[attr-defined]
    assert known(wired, monkeypatch, 2) < since
    wired.receipt(said(wired, 1, revision=3))
    assert known(wired, monkeypatch, 4) >= since


def test_who_writes_to_the_new_number_knows_it(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired.receipt(a_first(wired))
    move(wired)
    since = heed_the_move(wired)
    wired.siti.devices[0].begin(our_bundle(wired))
    wired.reply("Halo")
    assert known(wired, monkeypatch, 2) >= since


def test_who_had_to_write_to_the_old_number_first_is_tried_once_by_the_new_one(wired: WiredFunctions) -> None:
    wired.network.refuse_with, wired.network.verdict = [463, 463], {protocol.VERDICT: protocol.COLD}
    assert wired.deliver(planned(wired, 2, "TicketCreated")).cause == MUST_WRITE_FIRST
    move(wired)
    heed_the_move(wired)
    before = len(wired.network.messages)
    for ticket in (3, 4):
        assert wired.deliver(planned(wired, ticket, "TicketCreated")).cause == MUST_WRITE_FIRST
    assert len(wired.network.messages) == before + 1


# -- open tickets are told, once ------------------------------------------------------------------------


def test_the_next_message_about_an_open_ticket_tells_of_the_new_number_and_no_later_one(
    wired: WiredFunctions,
) -> None:
    move(wired)
    said(wired, 1, revision=2)
    assert read(wired) == f"{NOTE}Tiket 1.2"
    said(wired, 1, revision=3)
    assert read(wired) == "Tiket 1.3"
    said(wired, 1, "TicketResolved", 4)
    assert read(wired) == "Tiket 1.4"


def test_planned_a_second_time_it_says_the_same(wired: WiredFunctions) -> None:
    move(wired)
    first = planned(wired, 1, "TicketUpdated", 2)
    again = placed(first, wired.stores, chosen(new_number_since=wired.since)())  # type: ignore[attr-defined]
    assert again == first


def test_a_ticket_that_is_new_needs_no_introduction(wired: WiredFunctions) -> None:
    move(wired)
    said(wired, 7, "TicketCreated")
    assert read(wired) == "Tiket 7.1"


def test_where_no_thread_was_written_down_what_goes_on_is_told(wired: WiredFunctions) -> None:
    """Without quotes, edits and digests nobody notes what was said."""
    move(wired)
    said(wired, 8, revision=2, quote_first_message=False)
    assert read(wired) == f"{NOTE}Tiket 8.2"
    said(wired, 8, revision=3, quote_first_message=False)
    assert read(wired) == "Tiket 8.3"


def test_after_some_weeks_it_is_no_news(wired: WiredFunctions) -> None:
    move(wired)
    wired.paired.now += NEWS_SECONDS
    said(wired, 1, revision=2)
    assert read(wired) == "Tiket 1.2"


def test_an_account_that_did_not_move_says_nothing(wired: WiredFunctions) -> None:
    said(wired, 1, revision=2)
    assert read(wired) == "Tiket 1.2"


@pytest.mark.parametrize("language", sorted(path.name for path in DEFAULTS.iterdir() if path.is_dir()))
def test_each_language_has_the_sentence(language: str) -> None:
    assert json.loads((DEFAULTS / language / "words.json").read_text(encoding="utf-8"))["new-number"]
