"""A self-test goes the way of every message, ends in time, and is nobody's business but the operator's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.fake_whatsapp import NOW
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.notifications import a_notification
from tests.support.paired_account import ACCOUNT, OWN_LID
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.sealed_texts import TEXTS
from tests.support.wired_functions import WiredFunctions, receipt_of
from tocsin.accounts.state import AccountState
from tocsin.notify.config import PlanConfig
from tocsin.notify.notification import SELF_TEST, Notification, Problem, State
from tocsin.notify.outcomes import outcomes_of
from tocsin.notify.planning import Planned, Planner
from tocsin.notify.queues import NotificationsQueue, Order, TicketEventsDeadQueue
from tocsin.notify.self_test import (
    AGAIN_AFTER_MS,
    ARRIVE_WITHIN_MS,
    SEND_WITHIN_MS,
    Result,
    SelfTest,
    SelfTestOrder,
    due_at,
    judged,
)
from tocsin.notify.self_tester import SelfTester
from tocsin.notify.texts.languages import DEFAULTS, languages
from tocsin.notify.texts.self_test import self_test_text
from tocsin.notify.texts.template import Templates
from tocsin.whatsapp.node import Node

HOUR = 3_600_000
CONFIG = PlanConfig("", "", "", "", "", (ACCOUNT,), "ID", "id")
ID = "ab" * 9
WHOLE = {"account": ACCOUNT, "notification": ID, "recipient": "9999@lid", "asked_at": 1}


class Scene:
    """The functions over one account, its phone, and who makes self-tests."""

    def __init__(self) -> None:
        self.aws = MemoryAws()
        self.wired = WiredFunctions(self.aws)
        self.stores = self.wired.stores
        self.connection: AccountState | None = AccountState.CONNECTED
        self.name: str | None = f"{OWN_LID}@lid"
        self.asked: list[SelfTestOrder] = []
        self.ids = iter(f"{number:018x}" for number in range(1, 100))
        self.now = float(NOW)
        self.tester = SelfTester(
            self.stores, self, self.asked.append, lambda: next(self.ids), clock=lambda: self.now
        )
        self.planner = Planner(
            self.stores,
            NotificationsQueue(self.aws.sqs, self.aws.queues["notifications"]),
            TicketEventsDeadQueue(self.aws.sqs, self.aws.queues["ticket-events-dead"]),
            self.wired.dead_letters,
            Templates(),
            CONFIG,
            clock=lambda: self.now,
        )

    def state(self, account: str) -> AccountState | None:
        return self.connection

    def own_name(self, account: str) -> str | None:
        return self.name

    def look(self, *, after: float = 0) -> SelfTest | None:
        """`after`: seconds that pass before."""
        self.now += after
        self.wired.paired.now = self.now
        return self.tester.look(ACCOUNT, HOUR)

    def looked(self, *, after: float = 0) -> SelfTest:
        test = self.look(after=after)
        assert test is not None
        return test

    def plan(self) -> Planned:
        return self.planner.handle(self.asked[-1].to_json())

    def order(self) -> Order:
        [order] = self.aws.messages("notifications")
        return Order.parse(json.dumps(order))

    def send(self) -> Notification:
        self.plan()
        order = self.order()
        verdict = self.wired.delivery.deliver(order)
        assert verdict.outcome == "sent", verdict
        return self.stored(order.notification)

    def stored(self, notification: str) -> Notification:
        found = self.stores.notifications.get(notification)
        assert found is not None
        return found

    def own_receipt(self, notification: Notification, **attrs: Any) -> Node:
        told = {"id": notification.message_id, "from": self.wired.paired.own.devices[0].jid, "t": str(NOW)}
        own = {"type": "sender", "recipient": self.wired.paired.own.user}
        return Node("receipt", {name: it for name, it in {**told, **own, **attrs}.items() if it is not None})


@pytest.fixture
def scene() -> Scene:
    return Scene()


# -- the whole way ---------------------------------------------------------------------------------------


def test_it_is_planned_sent_and_confirmed_by_the_account_s_own_phone(scene: Scene) -> None:
    assert scene.looked().result is Result.OPEN
    sent = scene.send()
    [(_, text)] = scene.wired.paired.own.devices[0].shown
    assert text == sent.text == self_test_text("id", int(NOW) * 1000)[0]
    scene.wired.receive(scene.own_receipt(sent))
    test = scene.looked(after=60)
    assert (test.result, test.failing) == (Result.ARRIVED, False)
    assert test.sent_at is not None


@pytest.mark.parametrize("kind", [None, "inactive"])
def test_a_plain_receipt_of_the_own_phone_counts_too(scene: Scene, kind: str | None) -> None:
    scene.look()
    sent = scene.send()
    scene.wired.receive(scene.own_receipt(sent, type=kind, recipient=None))
    assert scene.stored(sent.id).state is State.DELIVERED


def test_the_own_phone_says_nothing_of_what_others_get(scene: Scene) -> None:
    """It has a copy of each message to Siti."""
    told = scene.wired.tell(1)
    for more in ({}, {"recipient": scene.wired.siti.user}, {"type": None, "recipient": None}):
        scene.wired.receive(scene.own_receipt(told, **more))
        assert scene.stored(told.id).state is State.SENT
    scene.wired.receipt(told)
    assert scene.stored(told.id).state is State.DELIVERED, "a receipt of hers does"


def test_nobody_else_confirms_it(scene: Scene) -> None:
    scene.look()
    sent = scene.send()
    scene.wired.receive(receipt_of(scene.wired.siti, sent.message_id))
    assert scene.stored(sent.id).state is State.SENT


def test_it_has_a_lane_of_its_own(scene: Scene) -> None:
    scene.look()
    scene.plan()
    assert scene.order().group == f"{ACCOUNT}#{OWN_LID}@lid"


def test_planned_twice_it_is_one_message(scene: Scene) -> None:
    scene.look()
    first, second = scene.plan(), scene.plan()
    assert (first.new, second.new, second.repeated) == ((scene.asked[0].notification,), (), first.new)


def test_nobody_waits_for_its_receipt_but_who_asked(scene: Scene) -> None:
    scene.look()
    sent = scene.send()
    told = scene.wired.tell(1)
    [own] = [item for item in everything_in(scene.aws.notifications_table) if item.get("id") == sent.id]
    [theirs] = [item for item in everything_in(scene.aws.notifications_table) if item.get("id") == told.id]
    assert ("watching" in own, "watching" in theirs) == (False, True)


def test_no_outcome_of_it_is_told(scene: Scene) -> None:
    def told(event_type: str) -> int:
        image = {"outcome": {"S": "Sent"}, "outcome_at": {"N": "1"}, "event_type": {"S": event_type}}
        record = {"eventName": "MODIFY", "dynamodb": {"NewImage": image, "SequenceNumber": "1"}}
        return len(outcomes_of(record, TEXTS))

    assert told(SELF_TEST) == 0
    with pytest.raises(KeyError):  # another one is read as a notification
        told("TicketCreated")


def test_no_dead_letter_comes_of_one_that_expires(scene: Scene) -> None:
    scene.look()
    scene.plan()
    order = scene.order()
    scene.wired.paired.now += SEND_WITHIN_MS / 1000 + 1
    assert scene.wired.delivery.deliver(order).outcome == "failed"
    assert scene.aws.messages("dead-letters") == []
    test = scene.looked(after=SEND_WITHIN_MS / 1000 + 1)
    assert (test.result, test.cause) == (Result.FAILED, "expired")


@pytest.mark.parametrize(
    "change",
    [
        {"source": "tickets"},
        {"detail-type": "TicketCreated"},
        {"detail": {}},
        {"detail": {**WHOLE, "account": 1}},
        {"detail": {**WHOLE, "notification": "../state"}},
        {"detail": {**WHOLE, "recipient": "6281234567890"}},
        {"detail": {**WHOLE, "asked_at": 10**20}},
        {"detail": {**WHOLE, "asked_at": "1"}},
        {"detail": {**WHOLE, "more": 1}},
    ],
)
def test_what_only_looks_like_an_order_is_read_as_an_event(scene: Scene, change: dict[str, Any]) -> None:
    order = json.loads(SelfTestOrder(ACCOUNT, ID, "9999@lid", 1).to_json())
    assert SelfTestOrder.parse(json.dumps(order)) is not None
    assert SelfTestOrder.parse(json.dumps({**order, **change})) is None
    assert scene.planner.handle(json.dumps({**order, **change})).refused


def test_one_of_an_account_that_is_not_served_is_refused(scene: Scene) -> None:
    assert scene.planner.handle(SelfTestOrder("other", ID, "9999@lid", 1).to_json()).refused


@pytest.mark.parametrize("language", languages(DEFAULTS))
def test_each_language_has_its_sentence(language: str) -> None:
    text, spoken = self_test_text(language, 0)
    assert (spoken, "1970-01-01 00:00 UTC" in text) == (language, True)
    assert self_test_text("tlh", 0) == self_test_text("en", 0)
    assert self_test_text("es-mx", 0)[1] == "es"


# -- when one is made ------------------------------------------------------------------------------------


def test_one_is_under_way_at_a_time(scene: Scene) -> None:
    for _ in range(5):
        scene.look(after=60)
    assert len(scene.asked) == 1
    assert scene.tester.run(ACCOUNT).notification == scene.asked[0].notification
    assert len(scene.asked) == 1, "by hand neither"


def test_the_next_one_comes_with_the_next_hour(scene: Scene) -> None:
    scene.look()
    scene.wired.receive(scene.own_receipt(scene.send()))
    into_hour = scene.now % 3600
    scene.look(after=3599 - into_hour)
    assert len(scene.asked) == 1
    scene.look(after=1)
    assert len(scene.asked) == 2


def test_after_a_failure_the_next_one_comes_soon_and_it_fails_until_that_arrives(scene: Scene) -> None:
    scene.look()
    failed = scene.looked(after=SEND_WITHIN_MS / 1000 + 1)
    assert (failed.result, failed.cause, failed.failing) == (Result.FAILED, "not-planned", True)
    again = scene.looked(after=(AGAIN_AFTER_MS - SEND_WITHIN_MS) / 1000)
    assert (again.result, again.failing) == (Result.OPEN, True)
    scene.wired.receive(scene.own_receipt(scene.send()))
    assert not scene.looked(after=60).failing


def test_two_runs_at_once_make_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SelfTester(scene.stores, scene, scene.asked.append, lambda: ID, clock=lambda: scene.now)
    began = scene.tester._begin

    def slowly(*about: Any) -> SelfTest:
        other.look(ACCOUNT, HOUR)
        return began(*about)

    monkeypatch.setattr(scene.tester, "_begin", slowly)
    assert scene.looked().notification == ID
    assert [order.notification for order in scene.asked] == [ID]


@pytest.mark.parametrize("state", [AccountState.LOGGED_OUT, AccountState.STOPPED, None])
def test_of_a_disconnected_account_none_is_sent_and_it_fails(
    scene: Scene, state: AccountState | None
) -> None:
    scene.connection = state
    test = scene.looked()
    assert (test.result, test.cause) == (Result.FAILED, str(state or "stopped"))
    for _ in range(10):
        scene.look(after=60)
    assert scene.asked == []


def test_an_account_that_connects_has_some_minutes(scene: Scene) -> None:
    scene.look()
    scene.wired.receive(scene.own_receipt(scene.send()))
    scene.looked(after=60)
    scene.connection = AccountState.CONNECTING
    scene.now += 3600 - scene.now % 3600
    assert scene.looked().result is Result.ARRIVED
    assert scene.looked(after=SEND_WITHIN_MS / 1000).cause == "connecting"


def test_an_account_that_is_not_linked_is_skipped_and_rings_nothing(scene: Scene) -> None:
    scene.name = scene.connection = None
    test = scene.looked()
    assert (test.result, test.failing) == (Result.SKIPPED, False)


# -- how it ends -----------------------------------------------------------------------------------------

TEST = SelfTest(ID, 1000)
PROBLEM = Problem("not-connected", "wait")


@pytest.mark.parametrize(
    ("changes", "within", "cause"),
    [
        ({"state": State.PLANNED}, SEND_WITHIN_MS, "not-sent"),
        ({"state": State.WAITING, "last_error": PROBLEM}, SEND_WITHIN_MS, "not-connected"),
        ({"state": State.SENT, "sent_at": 2000}, ARRIVE_WITHIN_MS, "no-receipt"),
    ],
)
def test_it_has_its_time_and_then_failed(changes: dict[str, Any], within: int, cause: str) -> None:
    notification = replace(a_notification(), **changes)
    assert judged(TEST, notification, 1000 + within).result is Result.OPEN
    late = judged(TEST, notification, 1001 + within)
    assert (late.result, late.cause) == (Result.FAILED, cause)


def test_a_failure_is_known_at_once() -> None:
    notification = replace(a_notification(), state=State.FAILED, last_error=PROBLEM)
    assert judged(TEST, notification, 1001).cause == "not-connected"


def test_what_has_ended_stays_so() -> None:
    ended = TEST.ended(Result.FAILED, 5, "x")
    assert judged(ended, replace(a_notification(), state=State.READ, delivered_at=9), 10) is ended


def test_the_first_one_is_due_at_once() -> None:
    assert due_at(None, HOUR) == 0
    assert due_at(TEST.ended(Result.ARRIVED, 2000), HOUR) == HOUR
