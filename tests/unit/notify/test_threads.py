"""Messages about one ticket hang together: quotes of the first, edits of the last, and what keeps an id from
ever saying two things."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.fake_whatsapp import message_from
from tests.support.memory_aws import MemoryAccount, everything_in
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.settings import chosen
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_groups import WiredGroup
from tocsin.dynamo.writes import Delete
from tocsin.notify.config import Environment, PlanConfig
from tocsin.notify.content import Edit, Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.events.samples import sample_body
from tocsin.notify.failure import Wait
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.planning import Planner
from tocsin.notify.queues import DeadLettersQueue, Order, TicketEventsDeadQueue
from tocsin.notify.texts.template import Templates
from tocsin.notify.threads import EDIT_SECONDS
from tocsin.notify.verdict import Verdict
from tocsin.tables.notifications import notification_key
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.proto.message_pb2 import Message

VARIABLES = {
    "KEYS_TABLE": "k",
    "NOTIFICATIONS_TABLE": "n",
    "NOTIFICATIONS_QUEUE_URL": "q",
    "TEXTS_SECRET_ARN": "s",
    "TICKET_EVENTS_DEAD_QUEUE_URL": "d",
    "DEAD_LETTERS_QUEUE_URL": "l",
}


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


class Desk:
    """A planner in front of the wired functions. Siti is the customer of one ticket."""

    def __init__(self, account: MemoryAccount, **settings: Any) -> None:
        self.wired = WiredFunctions(account.furnish())
        self.configure(**settings)

    def configure(self, **settings: Any) -> None:
        config = PlanConfig.read(Environment(VARIABLES))
        wired = self.wired
        self.planner = Planner(
            wired.stores,
            wired.queue,
            TicketEventsDeadQueue(wired.aws.sqs, wired.aws.queues["dead-letters"]),
            DeadLetters(wired.stores, DeadLettersQueue(wired.aws.sqs, wired.aws.queues["dead-letters"])),
            Templates(),
            config,
            settings=chosen(settings),
            clock=lambda: wired.paired.now,
        )

    def plan(self, event_type: str, revision: int = 1, url: str = "") -> Notification:
        customer = {"id": "C-1", "name": "Siti", "phone": f"+{self.wired.siti.phone}", "language": "en"}
        ticket = {"id": "TCK-1", "revision": revision, "subject": f"No internet {revision}", "url": url}
        ticket["description"] = "since 09:00"
        planned = self.planner.handle(
            sample_body(event_type, detail={"ticket": ticket, "customer": customer})
        )
        [found] = [*planned.new, *planned.repeated]
        notification = self.wired.stores.notifications.get(found)
        assert notification is not None
        return notification

    def tell(self, event_type: str, revision: int = 1) -> Notification:
        planned = self.plan(event_type, revision)
        assert self.wired.deliver(planned).outcome == "sent"
        return self.wired.stored(planned)

    def later(self, seconds: float) -> None:
        self.wired.paired.now += seconds

    def read(self, device: int = 0) -> list[Message]:
        return [Message.FromString(one) for one in self.wired.siti.devices[device].plaintexts]

    def all(self) -> list[Notification]:
        items = everything_in(self.wired.aws.notifications_table)
        ids = [item["id"] for item in items if item["sk"] == "state"]
        return [found for found in map(self.wired.stores.notifications.get, ids) if found]


@pytest.fixture
def quoting(account: MemoryAccount) -> Desk:
    return Desk(account, quote_first_message=True)


@pytest.fixture
def editing(account: MemoryAccount) -> Desk:
    return Desk(account, updates_as="edit")


# -- as it was -------------------------------------------------------------------------------------------


def test_without_the_settings_every_event_is_a_plain_message(account):
    desk = Desk(account)
    desk.tell("TicketCreated")
    desk.tell("TicketUpdated", 2)
    assert all(message.conversation for message in desk.read())
    assert desk.wired.stores.threads.get(desk.wired.plan(1)) is None


# -- quotes ----------------------------------------------------------------------------------------------


def test_later_messages_quote_the_first(quoting):
    first = quoting.tell("TicketCreated")
    quoting.tell("TicketUpdated", 2)
    resolved = quoting.tell("TicketResolved", 3)
    plain, *others = quoting.read()
    assert plain.conversation == first.text
    for message in others:
        context = message.extended_text.context_info
        assert (context.stanza_id, context.quoted_message.conversation) == (first.message_id, first.text)
        assert context.participant == quoting.wired.transport.account("default").own_user
    assert others[-1].extended_text.text == resolved.text


def test_planned_again_it_quotes_what_it_quoted(quoting):
    first = quoting.tell("TicketCreated")
    assert quoting.plan("TicketCreated") == first
    second = quoting.plan("TicketUpdated", 2)
    quoting.wired.aws.notifications_table.delete(Delete(notification_key(first.id)))
    assert quoting.plan("TicketUpdated", 2).content == second.content


def test_a_first_message_that_is_forgotten_or_never_arrived_is_not_quoted(quoting):
    first = quoting.plan("TicketCreated")
    quoting.wired.stores.notifications.fail(first.id, Problem("refused", "permanent"), 1)
    assert quoting.plan("TicketUpdated", 2).content.quote is None
    quoting.wired.aws.notifications_table.delete(Delete(notification_key(first.id)))
    assert quoting.plan("TicketUpdated", 3).content.quote is None


def test_a_quote_survives_a_retry_receipt(quoting):
    quoting.tell("TicketCreated")
    quoting.wired.siti.devices[0].corrupt()
    quoting.tell("TicketUpdated", 2)
    quoting.wired.answer_retries()
    assert quoting.read(0)[-1] == quoting.read(1)[-1]
    assert quoting.read(0)[-1].extended_text.context_info.stanza_id


# -- edits -----------------------------------------------------------------------------------------------


def test_an_update_within_twenty_minutes_edits_the_last_message(editing):
    first = editing.tell("TicketCreated")
    editing.later(EDIT_SECONDS - 1)
    update = editing.tell("TicketUpdated", 2)
    protocol = editing.read()[-1].edited.message.protocol
    assert (protocol.type, protocol.key.id, protocol.key.from_me) == (14, first.message_id, True)
    assert protocol.edited_message.conversation == update.text
    assert update.message_id != first.message_id
    node = editing.wired.network.messages[-1]
    assert (node.attr_str("edit"), node.attr_str("type")) == ("1", "text")
    encs = [to.require_child("enc") for to in node.require_child("participants").children("to")]
    assert {enc.attrs.get("decrypt-fail") for enc in encs} == {"hide"}


@pytest.mark.parametrize("event_type", ["TicketAssigned", "TicketResolved"])
def test_what_people_must_hear_of_is_a_message(editing, event_type):
    editing.tell("TicketCreated")
    editing.tell(event_type, 2)
    assert editing.read()[-1].conversation


def test_an_update_of_an_unknown_ticket_and_a_late_one_are_messages(editing):
    editing.tell("TicketUpdated", 1)
    editing.later(EDIT_SECONDS)
    late = editing.tell("TicketUpdated", 2)
    assert [message.conversation != "" for message in editing.read()] == [True, True]
    editing.later(60)
    editing.tell("TicketUpdated", 3)
    assert editing.read()[-1].edited.message.protocol.key.id == late.message_id


def test_planned_again_at_another_time_it_is_what_it_was(editing):
    editing.tell("TicketCreated")
    edit = editing.plan("TicketUpdated", 2)
    assert isinstance(edit.content, Edit)
    editing.later(EDIT_SECONDS)
    assert editing.plan("TicketUpdated", 2) == edit
    message = editing.plan("TicketUpdated", 3)
    assert isinstance(message.content, Text)
    assert editing.plan("TicketUpdated", 3) == message
    assert len(editing.all()) == 3


def test_an_edit_that_comes_too_late_is_a_message_of_its_own(editing):
    first = editing.tell("TicketCreated")
    edit = editing.plan("TicketUpdated", 2)
    editing.later(EDIT_SECONDS)
    assert editing.wired.deliver(edit).outcome == "sent"
    assert editing.read()[-1].conversation == edit.text
    stored = editing.wired.stored(edit)
    assert (stored.state, stored.last_error.code) == (State.SUPPRESSED, "edit-too-late")
    [message] = [one for one in editing.all() if one.id not in (first.id, edit.id)]
    assert (message.state, type(message.content)) == (State.SENT, Text)
    assert len({first.message_id, edit.message_id, message.message_id}) == 3


def test_an_edit_of_a_message_that_never_arrived_is_one_too(editing):
    first = editing.plan("TicketCreated")
    editing.wired.stores.notifications.fail(first.id, Problem("refused", "permanent"), 1)
    edit = editing.plan("TicketUpdated", 2)
    assert isinstance(edit.content, Edit)
    assert editing.wired.deliver(edit).outcome == "sent"
    assert editing.read()[-1].conversation == edit.text


def test_a_crash_on_the_way_to_the_message_in_its_place_says_it_once(editing, monkeypatch):
    editing.tell("TicketCreated")
    edit = editing.plan("TicketUpdated", 2)
    editing.later(EDIT_SECONDS)
    with monkeypatch.context() as crashing:
        crashing.setattr(editing.wired.stores.notifications, "suppress", crash)
        with pytest.raises(KeyboardInterrupt):
            editing.wired.deliver(edit)
    assert editing.wired.deliver(edit, receives=2) == Verdict("suppressed", "edit-too-late")
    assert editing.wired.deliver(edit, receives=3) == Verdict("dropped", "suppressed")
    assert [message.conversation for message in editing.read()].count(edit.text) == 1


def crash(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_message_in_its_place_retries_and_waits_like_any_other(editing):
    editing.tell("TicketCreated")
    edit = editing.plan("TicketUpdated", 2)
    editing.later(EDIT_SECONDS)
    editing.wired.network.lose_acks = 1
    verdict = editing.wired.deliver(edit)
    assert (verdict.outcome, verdict.cause) == ("retry", "ack-timeout")
    editing.wired.network.away = None
    monkey = editing.wired.transport.check
    editing.wired.transport.check = waiting  # type: ignore[method-assign]
    assert editing.wired.deliver(edit, receives=2).outcome == "parked"
    editing.wired.transport.check = monkey  # type: ignore[method-assign]
    [row] = editing.wired.stores.parking.waiting("default")
    message = editing.wired.stores.notifications.get(row.notification)
    assert (type(message.content), message.retries_used) == (Text, 1)
    assert editing.wired.stored(edit).state is State.SUPPRESSED


def waiting(account: str, *, resumed: bool) -> None:
    raise Wait("not-connected")


def test_an_older_edit_never_sets_back_a_younger_one(editing):
    editing.tell("TicketCreated")
    older = editing.plan("TicketUpdated", 2)
    editing.later(60)
    younger = editing.plan("TicketUpdated", 3)
    assert editing.wired.deliver(younger).outcome == "sent"
    assert editing.wired.deliver(older) == Verdict("suppressed", "superseded")
    assert editing.wired.stored(older).state is State.SUPPRESSED
    assert len(editing.read()) == 2


def test_an_edit_is_tried_again_under_its_own_id_and_says_the_same(editing):
    editing.tell("TicketCreated")
    edit = editing.plan("TicketUpdated", 2)
    editing.wired.network.lose_acks = 1
    assert editing.wired.deliver(edit).outcome == "retry"
    editing.wired.restart()
    assert editing.wired.deliver(edit, receives=2).outcome == "sent"
    assert len(set(editing.wired.siti.devices[0].plaintexts[1:])) == 1
    ids = [node.attr_str("id") for node in editing.wired.network.messages[1:]]
    assert ids == [edit.message_id] * 2


def test_a_device_that_cannot_read_an_edit_gets_the_very_same(editing):
    editing.tell("TicketCreated")
    editing.wired.siti.devices[0].corrupt()
    editing.tell("TicketUpdated", 2)
    editing.wired.answer_retries()
    assert editing.read(0)[-1] == editing.read(1)[-1]
    again = editing.wired.network.messages[-1]
    assert again.attr_str("edit") == "1"
    assert again.require_child("enc").attrs["decrypt-fail"] == "hide"


def test_edits_and_quotes_go_together(account):
    desk = Desk(account, updates_as="edit", quote_first_message=True)
    first = desk.tell("TicketCreated")
    assert desk.tell("TicketUpdated", 2).content.message_id == first.message_id
    assert desk.tell("TicketResolved", 3).content.quote.message_id == first.message_id


# -- previews --------------------------------------------------------------------------------------------


def test_a_link_is_previewed_only_where_that_is_wanted(account):
    desk = Desk(account)
    assert desk.plan("TicketCreated", 1, url="https://t.example/1").content.preview is None
    desk.configure(link_previews=True)
    technician = {"id": "T-1", "name": "Budi", "phone": f"+{desk.wired.siti.phone}", "language": "en"}
    ticket = {"id": "TCK-2", "revision": 1, "subject": "*No* internet", "url": "https://t.example/2"}
    planned = desk.planner.handle(
        sample_body("TicketCreated", detail={"ticket": ticket, "technicians": [technician]})
    )
    [notification] = map(desk.wired.stores.notifications.get, planned.new)
    assert notification.content.preview.url in notification.text
    assert notification.content.preview.title == "∗No∗ internet"
    desk.wired.deliver(notification)
    written = desk.read()[-1].extended_text
    assert (written.matched_text, written.title) == ("https://t.example/2", "∗No∗ internet")


# -- reactions -------------------------------------------------------------------------------------------


@pytest.fixture
def thankful(account: MemoryAccount) -> WiredFunctions:
    wired = WiredFunctions(account.furnish())
    wired.restart(thanks="👍")
    planned = wired.tell(1)
    wired.receipt(planned)
    return wired


def carry_out(wired: WiredFunctions) -> list[Verdict]:
    """Deliver what lies in the queue."""
    return [wired.delivery.deliver(Order(**order)) for order in orders(wired)]


def orders(wired: WiredFunctions) -> list[dict[str, object]]:
    return wired.aws.messages("notifications")


def reactions(wired: WiredFunctions) -> list[Message]:
    read = map(Message.FromString, wired.siti.devices[0].plaintexts)
    return [message for message in read if message.HasField("reaction")]


def test_an_answer_gets_a_reaction(thankful):
    thankful.reply("thank you", "R7")
    [verdict] = carry_out(thankful)
    assert verdict.outcome == "sent"
    [message] = reactions(thankful)
    reaction = message.reaction
    assert (reaction.text, reaction.key.id, reaction.key.from_me) == ("👍", "R7", False)
    assert reaction.key.remote_jid == str(thankful.siti.user)
    node = thankful.network.messages[-1]
    assert node.attr_str("type") == "reaction"
    assert node.attr_str("id") != "R7"


def test_it_gets_one_however_often_its_stanza_comes(thankful):
    node = message_from(thankful.siti.devices[0], thankful.siti, "R7", "thank you")
    thankful.receive(node)
    thankful.receive(node)
    thankful.restart(thanks="👍")
    thankful.receive(node)
    carry_out(thankful)
    thankful.receive(node)
    assert orders(thankful) == []
    assert len(reactions(thankful)) == 1


@pytest.mark.parametrize("word", ["STOP", "berhenti", "START"])
def test_a_word_of_consent_is_confirmed_in_words_and_nothing_else(thankful, word):
    thankful.reply(word)
    carry_out(thankful)
    assert reactions(thankful) == []


def test_whoever_opted_out_gets_no_reactions(thankful):
    thankful.reply("STOP", "R1")
    carry_out(thankful)
    thankful.reply("and another thing", "R2")
    assert orders(thankful) == []


def test_an_answer_to_nothing_we_know_of_gets_none(account):
    wired = WiredFunctions(account.furnish())
    wired.restart(thanks="👍")
    wired.tell(1)
    wired.reply("who is this?")
    assert orders(wired) == []


def test_an_answer_after_a_reaction_is_about_the_notification(thankful):
    thankful.reply("thank you", "R1")
    carry_out(thankful)
    [reaction] = [
        thankful.stores.notifications.get(node.attr_str("id").removeprefix("3EB0").lower())
        for node in thankful.network.messages[-1:]
    ]
    thankful.receipt(reaction)
    conduct = thankful.stores.people.find("default", str(thankful.siti.pn))
    assert conduct.last_notification != reaction.id


def test_without_the_parameter_there_are_none(account):
    wired = WiredFunctions(account.furnish())
    wired.receipt(wired.tell(1))
    wired.reply("thank you")
    assert orders(wired) == []


@pytest.mark.parametrize("mode", ["lid", "pn"])
def test_an_answer_in_a_group_gets_a_reaction_that_names_its_author(account, mode):
    wired = WiredGroup(account.furnish(), mode=mode)
    wired.restart(thanks="👍")
    notification = wired.tell_group(1)
    siti, budi = wired.colleagues[:2]
    sent = siti.write(wired.group, "I go", quote=notification.message_id)
    wired.hear()
    carry_out(wired)
    [shown] = [entry for entry in budi.messages() if entry.kind == "reaction"]
    key = Message.FromString(shown.message).reaction.key
    assert (key.id, key.remote_jid, key.from_me) == (sent.id, str(wired.group.jid), False)
    assert JID.parse(key.participant).user == siti.device.address(wired.group.server).user
    assert list(sent.reactions.values()) == ["👍"]


def test_a_group_sees_an_edit_too(account):
    wired = WiredGroup(account.furnish())
    notification = wired.tell_group(1)
    edit = replace(wired.plan_for_group(2), id="ed" * 9, content=Edit(notification.message_id, "solved", 1))
    wired.stores.notifications.put_new(edit)
    assert wired.deliver(edit).outcome == "sent"
    for phone in wired.colleagues:
        [shown] = [entry for entry in phone.messages() if entry.id == notification.message_id]
        assert (shown.text, shown.edited_at is not None) == ("solved", True)
