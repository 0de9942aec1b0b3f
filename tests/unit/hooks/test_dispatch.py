"""From the publisher to the queue: to everybody who asked, and without a request for each outcome."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.writes import Put
from tocsin.hooks.dispatch import Dispatch
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.queue import HooksQueue, Order
from tocsin.hooks.store import HookStore
from tocsin.notify.outcomes import Outcome
from tocsin.tables.notifications import hook_key
from tocsin.versions import hook_versions

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def outcome(number: int = 1, kind: str = "NotificationSent") -> Outcome:
    detail = {"id": f"o-{number}", "account": "default", "ticket_id": "TCK-1"}
    return Outcome(f"sequence-{number}", kind, detail, 1_800_000_000_000 + number)


class CountingStore(HookStore):
    reads = 0

    def endpoints(self) -> Any:
        self.reads += 1
        return super().endpoints()


class Scene:
    def __init__(self, sqs: Any = None) -> None:
        self.aws = MemoryAws()
        self.now = 0.0
        self.store = CountingStore(self.aws.notifications_table, TEXTS, hook_versions(self.aws.keys_table))
        self.dispatch = Dispatch(
            self.store, HooksQueue(sqs or self.aws.sqs, self.aws.queues["hooks"]), clock=lambda: self.now
        )

    def add(self, name: str, **changes: Any) -> None:
        self.store.add(Endpoint(name, "https://desk.example.com/", SECRET, **changes))

    def orders(self) -> list[Order]:
        return [Order.parse(json.dumps(body)) for body in self.aws.messages("hooks")]


def test_each_endpoint_gets_what_it_asked_for() -> None:
    scene = Scene()
    scene.add("h-1")
    scene.add("h-2", events=("reply.received",))
    assert scene.dispatch([outcome(1), outcome(2, "ReplyReceived")]) == []
    assert [(one.endpoint, one.told and one.told.type) for one in scene.orders()] == [
        ("h-1", "notification.sent"),
        ("h-1", "reply.received"),
        ("h-2", "reply.received"),
    ]


def test_an_endpoint_that_was_removed_and_is_put_back_is_told_nothing() -> None:
    scene = Scene()
    scene.add("h-1")
    item = scene.aws.notifications_table.get(hook_key("h-1")) or {}
    scene.store.remove("h-1")
    kept = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    scene.aws.notifications_table.put(Put(hook_key("h-1"), kept))
    assert scene.dispatch([outcome()]) == []
    assert scene.orders() == []


def test_while_versions_cannot_be_read_outcomes_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    scene.add("h-1")
    with monkeypatch.context() as away:
        away.setattr(scene.aws.keys_table, "query", lambda *_: 1 / 0)
        assert scene.dispatch([outcome()]) == ["sequence-1"]
    assert scene.dispatch([outcome()]) == []
    assert len(scene.orders()) == 1


def test_endpoints_are_read_once_in_a_while() -> None:
    scene = Scene()
    for number in range(50):
        scene.dispatch([outcome(number)])
    assert scene.store.reads == 1
    scene.add("h-1")
    scene.now += 30
    scene.dispatch([outcome(99)])
    assert len(scene.orders()) == 1


def test_what_the_queue_does_not_take_comes_again() -> None:
    class Refusing:
        def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
            return {"Failed": [{"Id": "1"}]}

    scene = Scene(Refusing())
    scene.add("h-1")
    assert scene.dispatch([outcome(1), outcome(2), outcome(3)]) == ["sequence-2"]


def test_if_the_queue_is_away_all_come_again_and_nothing_is_raised() -> None:
    class Away:
        def send_message_batch(self, **_: Any) -> dict[str, Any]:
            raise ConnectionError

    scene = Scene(Away())
    scene.add("h-1")
    assert scene.dispatch([outcome(1), outcome(2)]) == ["sequence-1", "sequence-2"]
