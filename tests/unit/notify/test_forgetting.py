"""Who was erased isn't told anything more: not by an event, come again, nor by a letter, nor by an order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.memory_queue import MemoryQueue
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.config import PlanConfig
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.events.samples import sample_body
from tocsin.notify.forgetting import FORGOTTEN, Forgetting
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.planning import Planned, Planner
from tocsin.notify.queues import (
    DeadLetter,
    DeadLettersQueue,
    NotificationsQueue,
    Order,
    TicketEventsDeadQueue,
)
from tocsin.notify.redrive import Redriver, Selection
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.template import Templates
from tocsin.people.whose import identify

NOW = 1_800_000_000
A = "default"
CUSTOMER = "6281234567890"
NAME = f"{CUSTOMER}@s.whatsapp.net"
CONFIG = PlanConfig(
    notifications_table="notifications",
    texts_secret_arn="",
    notifications_queue_url="",
    ticket_events_dead_queue_url="",
    dead_letters_queue_url="",
    accounts=(A,),
    default_region="ID",
    default_language="id",
)


class CountedTable(MemoryTable):
    """Counts the reads of several items: that is how the planner looks for people."""

    looks = 0

    def get_many(self, keys: Any) -> Any:
        self.looks += 1
        return super().get_many(keys)


class Scene:
    """A planner, and somebody who erases its customer."""

    def __init__(self) -> None:
        self.table = CountedTable()
        self.aws = MemoryAws(notifications_table=self.table)
        self.restart()

    def restart(self) -> None:
        """Containers of their own."""
        self.stores = Stores(self.table, texts=TEXTS, clock=lambda: NOW)
        self.planner = Planner(
            self.stores,
            NotificationsQueue(self.aws.sqs, self.aws.queues["notifications"]),
            TicketEventsDeadQueue(self.aws.sqs, self.aws.queues["ticket-events-dead"]),
            DeadLetters(self.stores, DeadLettersQueue(self.aws.sqs, self.aws.queues["dead-letters"])),
            Templates(),
            CONFIG,
            clock=lambda: NOW,
        )

    def plan(self, ticket: str = "TCK-1") -> Notification:
        """The customer's notification about a ticket."""
        return self.customers(self.event(ticket))

    def event(self, ticket: str = "TCK-1") -> Planned:
        body = json.loads(sample_body())
        body["detail"]["ticket"]["id"] = ticket
        return self.planner.handle(json.dumps(body))

    def customers(self, planned: Planned) -> Notification:
        found = [self.stored(one) for one in (*planned.new, *planned.repeated)]
        return next(one for one in found if one.audience == "customer")

    def stored(self, notification_id: str) -> Notification:
        found = self.stores.notifications.get(notification_id)
        assert found is not None
        return found

    def forget(self) -> None:
        person, whose = identify(self.stores.people, A, [NAME], lambda name: frozenset())
        held = self.stores.belongings.of(whose, NOW * 1000)
        forgetting = Forgetting(self.stores)
        forgetting.forget_names(whose, forgetting.forget(whose, person, held, NOW * 1000))
        self.restart()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_waits_is_told_to_be_suppressed_and_why(scene: Scene) -> None:
    waits = scene.plan()
    outcomes = []
    suppress = scene.stores.notifications.suppress

    def told(*given: Any) -> Any:
        outcomes.append(suppress(*given).notification)

    scene.stores.notifications.suppress = told  # type: ignore[method-assign]
    scene.forget()
    [told_of] = outcomes
    assert (told_of.id, told_of.state, told_of.recipient) == (waits.id, State.SUPPRESSED, CUSTOMER)
    assert told_of.last_error is not None
    assert told_of.last_error.code == FORGOTTEN


def test_an_event_that_comes_again_tells_them_nothing(scene: Scene) -> None:
    before = scene.plan()
    scene.stores.notifications.mark_sent(before.id, {}, at=1, account=A)
    scene.forget()
    scene.aws.messages("notifications")
    again = scene.event()
    assert before.id in again.repeated
    assert before.id not in [order["notification"] for order in scene.aws.messages("notifications")]
    assert scene.stored(before.id).recipient == ""


def test_a_letter_of_theirs_is_dropped_when_it_is_redriven(scene: Scene) -> None:
    failed, letters = scene.plan(), MemoryQueue()
    problem = Problem("gone", "permanent")
    scene.stores.notifications.fail(failed.id, problem, 1)
    letters.put(json.dumps(DeadLetter(Order.of(failed), problem, (), 1).to_json()))
    scene.forget()
    sent: list[Notification] = []
    orders = type("Orders", (), {"send": lambda _, one: sent.append(one)})()
    redriver = Redriver(scene.stores.notifications, letters, orders, clock=lambda: NOW)
    [done] = redriver.redrive(Selection(), dry_run=False)
    assert (done.result, done.why, sent) == ("dropped", "its recipient was erased", [])


def test_a_ticket_of_who_had_opted_out_is_for_somebody_who_did(scene: Scene) -> None:
    scene.stores.people.opt_out(A, NAME, "STOP", 5)
    scene.forget()
    assert CUSTOMER not in repr([item["pk"] for item in everything_in(scene.table)])
    planned = scene.plan("TCK-2")
    assert scene.stores.people.find(A, planned.person_name).opted_out_at == 5


def test_the_planner_looks_for_people_in_one_read(scene: Scene) -> None:
    """Nobody was forgotten: then strangers cost no second one. `people/test_forgotten.py` has the others."""
    scene.plan()
    assert scene.table.looks == 1
