"""A transport other than WhatsApp runs the domain: planner, retries, parking, dead letters, outcomes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.list_transport import ListTransport
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.sealed_texts import TEXTS
from tests.support.settings import chosen
from tests.support.streams import image_of
from tocsin.notify.config import PlanConfig
from tocsin.notify.content import Edit, Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.delivery import Delivery
from tocsin.notify.events.samples import MINIMAL, sample_body
from tocsin.notify.failure import Permanent, Recover, Retry, Wait
from tocsin.notify.notification import Notification, State
from tocsin.notify.outcomes import outcomes_of
from tocsin.notify.parking import Maintainer
from tocsin.notify.planning import Planner
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, Order, TicketEventsDeadQueue
from tocsin.notify.receipts import Receipts
from tocsin.notify.replies import Replies
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.template import Templates
from tocsin.notify.verdict import Verdict
from tocsin.tables.names import user_of
from tocsin.tables.notifications import notification_key

NOW = 1_800_000_000
SITI = "6281234567890"
CONFIG = PlanConfig(
    notifications_table="",
    texts_secret_arn="",
    notifications_queue_url="",
    ticket_events_dead_queue_url="",
    dead_letters_queue_url="",
    accounts=("default",),
    default_region="ID",
    default_language="en",
)


class Deployment:
    """The domain as the functions wire it, over a transport that writes into a list."""

    def __init__(self, aws: MemoryAws) -> None:
        self.aws = aws
        self.now = float(NOW)
        clock = lambda: self.now  # noqa: E731
        self.stores = Stores(aws.notifications_table, texts=TEXTS, clock=clock)
        letters = DeadLetters(self.stores, DeadLettersQueue(aws.sqs, aws.queues["dead-letters"]))
        queue = NotificationsQueue(aws.sqs, aws.queues["notifications"])
        replies = Replies(self.stores, queue, clock=clock)
        self.transport = ListTransport(Receipts(self.stores, letters), replies, clock=clock)
        refused = TicketEventsDeadQueue(aws.sqs, aws.queues["ticket-events-dead"])
        self.planner = Planner(
            self.stores,
            queue,
            refused,
            letters,
            Templates(),
            CONFIG,
            settings=chosen(updates_as="edit"),
            clock=clock,
        )
        self.delivery = Delivery(
            self.stores,
            letters,
            self.transport,
            queue,
            clock=clock,
            jitter=lambda low, high: 1.0,
        )
        self.maintainer = Maintainer(self.stores, queue, letters, self.transport, clock=clock)

    def event(self, kind: str = "TicketCreated", revision: int = 0) -> None:
        """A ticket's event, of which the customer alone is told."""
        ticket = {**MINIMAL["ticket"], "revision": revision}
        body = sample_body(kind, MINIMAL, ticket=ticket, technicians=[], groups=[])
        assert not self.planner.handle(body).violations

    def deliver(self) -> list[Verdict]:
        """Carry out all orders that lie in the queue."""
        orders = [Order.parse(json.dumps(order)) for order in self.aws.messages("notifications")]
        return [self.delivery.deliver(order) for order in orders]

    def told(self) -> Notification:
        """Plan and send one notification; as it is stored."""
        self.event()
        assert [verdict.outcome for verdict in self.deliver()] == ["sent"]
        return self.stored()

    def stored(self) -> Notification:
        """The notification of the ticket's creation."""
        found = {one.event_type: one for one in map(self.stores.notifications.get, self._planned()) if one}
        return found["TicketCreated"]

    def _planned(self) -> list[str]:
        items = everything_in(self.aws.notifications_table)
        return [item["id"] for item in items if item["sk"] == "state"]

    def outcome(self) -> tuple[str, dict[str, Any]]:
        """What the stream's latest image of it becomes on the bus."""
        item = self.aws.notifications_table.get(notification_key(self.stored().id))
        assert item is not None
        stream = {"SequenceNumber": "1", "NewImage": image_of(item)}
        record = {"eventName": "MODIFY", "dynamodb": stream}
        [outcome] = outcomes_of(record, TEXTS)
        return outcome.detail_type, dict(outcome.detail)


@pytest.fixture
def deployment() -> Deployment:
    return Deployment(MemoryAws())


def test_a_ticket_event_is_planned_and_written(deployment: Deployment) -> None:
    notification = deployment.told()
    [written] = deployment.transport.written
    assert (written.recipient, written.content) == (SITI, Text(notification.text))


def test_the_transport_s_own_message_id_is_stored_and_told(deployment: Deployment) -> None:
    assert deployment.told().message_id == "no-1"
    deployment.transport.delivered("no-1", NOW * 1000 + 5000)
    kind, detail = deployment.outcome()
    assert (kind, detail["message_id"], detail["recipient"]) == ("NotificationDelivered", "no-1", SITI)


def test_a_receipt_that_comes_later_is_an_outcome(deployment: Deployment) -> None:
    deployment.told()
    deployment.transport.delivered("no-1", NOW * 1000 + 5000)
    assert deployment.stored().state is State.DELIVERED
    assert deployment.outcome()[0] == "NotificationDelivered"


def test_what_is_read_was_delivered(deployment: Deployment) -> None:
    deployment.told()
    deployment.transport.read("no-1", NOW * 1000 + 5000)
    deployment.transport.delivered("no-1", NOW * 1000 + 6000)
    assert deployment.stored().state is State.READ


def test_a_failure_that_comes_later_is_a_dead_letter(deployment: Deployment) -> None:
    deployment.told()
    deployment.transport.bounced("no-1", NOW * 1000 + 5000)
    [letter] = deployment.aws.messages("dead-letters")
    assert letter["reason"] == "bounced"
    assert deployment.outcome()[0] == "NotificationFailed"


def test_what_was_delivered_does_not_fail_any_more(deployment: Deployment) -> None:
    deployment.told()
    deployment.transport.delivered("no-1", NOW * 1000 + 5000)
    deployment.transport.bounced("no-1", NOW * 1000 + 6000)
    assert deployment.stored().state is State.DELIVERED
    assert deployment.aws.messages("dead-letters") == []


def test_a_retry_waits_for_the_audience_s_delay(deployment: Deployment) -> None:
    deployment.transport.failures = [Retry("busy")]
    deployment.event()
    assert deployment.deliver() == [Verdict("retry", "busy", again_after=3.0)]
    assert deployment.delivery.deliver(Order.of(deployment.stored()), 2) == Verdict("sent")


def test_a_repair_is_sent_at_once(deployment: Deployment) -> None:
    deployment.transport.failures = [Recover("stale")]
    deployment.told()
    assert deployment.stored().message_id == "no-1"


def test_used_up_retries_are_a_dead_letter(deployment: Deployment) -> None:
    deployment.transport.failures = [Recover("stale")] * 4
    deployment.event()
    assert deployment.deliver() == [Verdict("failed", "stale")]
    assert len(deployment.aws.messages("dead-letters")) == 1


def test_a_permanent_failure_is_a_dead_letter_at_once(deployment: Deployment) -> None:
    deployment.transport.failures = [Permanent("no-such-box")]
    deployment.event()
    assert deployment.deliver() == [Verdict("failed", "no-such-box")]


def test_what_can_not_be_sent_now_parks_and_is_resumed(deployment: Deployment) -> None:
    deployment.transport.closed = Wait("closed")
    deployment.event()
    assert deployment.deliver() == [Verdict("parked", "closed")]
    deployment.transport.closed = None
    assert deployment.maintainer.sweep("default", lambda: 300.0).resumed == 1
    assert deployment.deliver() == [Verdict("sent")]


def test_an_update_edits_the_message_by_the_transport_s_id(deployment: Deployment) -> None:
    deployment.told()
    deployment.now += 60
    deployment.event("TicketUpdated", revision=1)
    assert deployment.deliver() == [Verdict("sent")]
    edit = deployment.transport.written[-1].content
    assert isinstance(edit, Edit)
    assert edit.message_id == "no-1"


def test_where_it_can_not_edit_an_update_is_a_message_of_its_own(deployment: Deployment) -> None:
    deployment.transport.edits = False
    deployment.told()
    deployment.now += 60
    deployment.event("TicketUpdated", revision=1)
    assert deployment.deliver() == [Verdict("sent")]
    assert isinstance(deployment.transport.written[-1].content, Text)
    assert len(deployment.transport.written) == 2


# -- nobody knows whether it was sent ----------------------------------------------------------------------


@pytest.fixture
def unknown(deployment: Deployment) -> Deployment:
    """A notification that was written, and whose answer was lost; another one behind it."""
    deployment.transport.lost = 600
    deployment.event()
    assert deployment.deliver() == [Verdict("parked", "outcome-unknown")]
    deployment.transport.lost = None
    deployment.now += 1
    deployment.event("TicketResolved", revision=1)
    assert deployment.deliver() == [Verdict("parked", "behind")]
    return deployment


def test_what_may_have_been_sent_spends_no_retry_and_lets_nothing_overtake(unknown: Deployment) -> None:
    unknown.now += 300
    assert unknown.maintainer.sweep("default", lambda: 300.0).resumed == 0
    stored = unknown.stored()
    assert (stored.state, stored.retries_used, len(unknown.transport.written)) == (State.WAITING, 0, 1)


def test_a_late_word_that_it_was_accepted_settles_it_under_the_id_that_it_brings(unknown: Deployment) -> None:
    assert unknown.transport.accepted("no-1", NOW * 1000 + 5000)
    assert not unknown.transport.accepted("no-1", NOW * 1000 + 5000), "told twice"
    stored = unknown.stored()
    assert (stored.state, stored.message_id) == (State.SENT, "no-1")
    _goes_on(unknown)


def test_a_read_receipt_alone_settles_it_too(unknown: Deployment) -> None:
    unknown.transport.read("no-1", NOW * 1000 + 5000)
    assert unknown.stored().state is State.READ
    _goes_on(unknown)


def test_a_late_refusal_of_it_is_a_dead_letter(unknown: Deployment) -> None:
    unknown.transport.bounced("no-1", NOW * 1000 + 5000)
    assert [letter["reason"] for letter in unknown.aws.messages("dead-letters")] == ["bounced"]
    _goes_on(unknown)


def _goes_on(deployment: Deployment) -> None:
    """What waited behind it is sent with the next sweep, and nothing a second time."""
    deployment.now += 60
    assert deployment.maintainer.sweep("default", lambda: 300.0).resumed == 1
    assert deployment.deliver() == [Verdict("sent")]
    assert len(deployment.transport.written) == 2


def test_where_nothing_is_heard_the_transport_decides_whether_a_double_is_worse(unknown: Deployment) -> None:
    unknown.now += 601
    assert unknown.maintainer.sweep("default", lambda: 300.0).resumed == 2
    assert unknown.deliver() == [Verdict("failed", "outcome-unknown"), Verdict("sent")]


@pytest.fixture
def unknown_and_closed(unknown: Deployment) -> Deployment:
    """The same, after its time came and the account could not send: it waits for that now."""
    unknown.now += 601
    unknown.transport.closed = Wait("closed")
    unknown.transport.state = lambda account: "connected"  # type: ignore[method-assign]
    assert unknown.maintainer.sweep("default", lambda: 300.0).resumed == 2
    assert unknown.deliver()[0] == Verdict("parked", "closed")
    unknown.transport.closed = None
    return unknown


def test_a_word_settles_it_though_it_waits_for_something_else_by_then(unknown_and_closed: Deployment) -> None:
    assert unknown_and_closed.transport.accepted("no-1", NOW * 1000 + 700_000)
    assert unknown_and_closed.stored().state is State.SENT


def test_that_nobody_knows_is_not_forgotten_over_another_wait(unknown_and_closed: Deployment) -> None:
    assert unknown_and_closed.maintainer.sweep("default", lambda: 300.0).resumed == 2
    assert unknown_and_closed.deliver() == [Verdict("failed", "outcome-unknown"), Verdict("sent")]


def test_a_word_that_comes_while_it_is_on_its_way_back_settles_it(unknown: Deployment) -> None:
    unknown.now += 601
    assert unknown.maintainer.sweep("default", lambda: 300.0).resumed == 2
    assert unknown.transport.accepted("no-1", NOW * 1000 + 601_000)
    assert unknown.deliver() == [Verdict("dropped", "sent"), Verdict("sent")]
    assert len(unknown.transport.written) == 2


def test_an_id_that_comes_after_the_send_is_stored(deployment: Deployment) -> None:
    deployment.told()
    assert deployment.transport.receipts.sent(deployment.stored().id, NOW * 1000 + 5000, "wamid.7")
    assert (deployment.stored().state, deployment.stored().message_id) == (State.SENT, "wamid.7")


def test_an_answer_is_told_with_its_ticket(deployment: Deployment) -> None:
    deployment.told()
    assert deployment.transport.answered(SITI, "Thanks!", NOW * 1000 + 9000, quoted="no-1") == "text"
    notification = deployment.stored().id
    [reply] = deployment.stores.replies.about("default", [user_of(SITI)], notification)
    assert (reply["text"], reply["ticket_id"]) == ("Thanks!", MINIMAL["ticket"]["id"])


def test_who_says_stop_gets_the_confirmation_and_nothing_more(deployment: Deployment) -> None:
    deployment.told()
    assert deployment.transport.answered(SITI, "STOP", NOW * 1000 + 9000) == "stop"
    assert deployment.deliver() == [Verdict("sent")]
    deployment.event("TicketResolved", revision=1)
    assert deployment.deliver() == [Verdict("suppressed", "opted-out")]


def test_an_answer_that_is_edited_to_stop_stops(deployment: Deployment) -> None:
    deployment.told()
    at = NOW * 1000 + 9000
    deployment.transport.answered(SITI, "Thanks!", at, quoted="no-1")
    changed = deployment.transport.answered(SITI, "STOP", at + 1, kind="edit", about=f"answer-{at}")
    assert changed == "stop"
    edit = deployment.stores.replies.get("default", user_of(SITI), f"answer-{at + 1}")
    assert edit is not None
    assert (edit["kind"], edit["ticket_id"]) == ("edit", MINIMAL["ticket"]["id"])


def test_a_record_of_today_has_the_id_that_is_made_of_its_own(deployment: Deployment) -> None:
    deployment.event()
    planned = deployment.stored()
    assert planned.given_message_id is None
    assert planned.message_id == "3EB0" + planned.id.upper()
    assert replace(planned, given_message_id="no-1").message_id == "no-1"
