"""One invocation's orders: lanes beside each other, each in order; and who it was that killed the process."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.one_delivery import Scene
from tocsin.notify.attempts import MAX_TRIES
from tocsin.notify.lanes import Lanes, Record
from tocsin.notify.notification import Notification, State
from tocsin.notify.queues import Order
from tocsin.notify.transport import Outgoing, Sent
from tocsin.notify.verdict import Verdict

SENT = Verdict("sent")


class Killed(BaseException):
    """The process is gone: nothing of ours catches it."""


class InTurn(Executor):
    """Begins what it is given at once."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Killed as kill:
            done.set_exception(kill)
        return done


@dataclass
class Script:
    """Answers orders by the name of their notification: a verdict, or what is raised."""

    answers: dict[str, Verdict | Exception] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def __call__(self, record: Record, *, alone: bool) -> Verdict:
        order = Order.parse(record.body)
        self.seen.append(order.notification + ("!" if alone else ""))
        answer = self.answers.get(order.notification, SENT)
        if isinstance(answer, Exception):
            raise answer
        return SENT if alone and answer.outcome == "postponed" else answer


def record(name: str, lane: str = "", receives: int = 1) -> Record:
    """`name` begins with its lane's letter."""
    order = Order(name, "default", "628", "customer", 0)
    return Record(f"m-{name}", f"h-{name}", json.dumps(order.to_json()), lane or name[0], receives)


def carried_out(
    records: Iterable[Record], deliver: Any, *, seconds_left: Callable[[], float] = lambda: 100.0
) -> Lanes[Verdict]:
    batch = Lanes(records, deliver, seconds_left, InTurn)
    batch.carry_out()
    return batch


def waiting(batch: Lanes[Any]) -> list[str]:
    return [one.message_id for lane in batch.lanes for one in lane.waiting]


def test_lanes_go_at_the_same_time() -> None:
    meeting = Barrier(3)

    def deliver(record: Record, *, alone: bool) -> Verdict:
        meeting.wait(60)
        return SENT

    with ThreadPoolExecutor(2) as threads:
        batch = Lanes([record("a1"), record("b1"), record("c1")], deliver, lambda: 100.0, lambda: threads)
        batch.carry_out()
    assert waiting(batch) == []


def test_a_single_lane_starts_no_thread() -> None:
    def refuse() -> Executor:
        raise AssertionError("asked for threads")

    batch = Lanes([record("a1"), record("a2")], Script(), lambda: 100.0, refuse)
    batch.carry_out()
    assert waiting(batch) == []


def test_within_a_lane_nothing_overtakes_what_isn_t_done() -> None:
    script = Script({"a2": Verdict("retry", "ack-timeout", again_after=3)})
    batch = carried_out([record("a1"), record("b1"), record("a2"), record("a3"), record("b2")], script)
    assert waiting(batch) == ["m-a2", "m-a3"]
    assert batch.lanes[0].again_after == 3, "a3 would keep its lane closed when a2 is due"
    assert "a3" not in script.seen


def test_what_nobody_foresaw_stops_its_own_lane_alone() -> None:
    batch = carried_out([record("a1"), record("a2"), record("b1")], Script({"a1": ZeroDivisionError()}))
    assert waiting(batch) == ["m-a1", "m-a2"]
    assert batch.lanes[0].again_after is None, "it comes when its time in the queue is over, not at once"
    assert [one.error is not None for one in batch.tried] == [True, False]


def test_a_body_that_is_no_order_stops_its_own_lane_alone() -> None:
    batch = carried_out([record("a1")._replace(body="{}"), record("b1")], Script())
    assert waiting(batch) == ["m-a1"]


def test_an_order_that_could_not_end_is_not_begun_and_comes_again_at_once() -> None:
    left = iter([100.0, 99.0, 49.0])
    script = Script()
    batch = carried_out([record("a1"), record("a2"), record("a3")], script, seconds_left=lambda: next(left))
    assert script.seen == ["a1"]
    assert waiting(batch) == ["m-a2", "m-a3"]
    assert batch.lanes[0].again_after == 0


def test_who_must_be_tried_alone_is_after_all_others_and_who_crashed_least_is_first() -> None:
    script = Script(
        {"a1": Verdict("postponed", tries=5), "b1": Verdict("postponed", tries=1), "c1": Verdict("sent")}
    )
    batch = carried_out([record("a1"), record("a2"), record("b1"), record("c1")], script)
    assert script.seen == ["b1", "c1", "a1", "b1!", "a1!", "a2!"]
    assert waiting(batch) == []


def test_without_time_who_must_be_tried_alone_goes_back_untried() -> None:
    left = iter([100.0, 90.0, 40.0])
    script = Script({"a1": Verdict("postponed", tries=1)})
    batch = carried_out([record("a1")], script, seconds_left=lambda: next(left))
    assert script.seen == ["a1"]
    assert (waiting(batch), batch.lanes[0].again_after) == (["m-a1"], 0)


# -- a poison among others -------------------------------------------------------------------------------


class Queue:
    """Brings what isn't done again and again, in any order of lanes, and counts it for all of a batch. While
    the poison is being tried, whoever is tried with it doesn't come to an end either."""

    def __init__(self, scene: Scene, orders: int, seed: int) -> None:
        self.scene = scene
        self.poison = scene.planned.id
        self.dying = False
        self.order = random.Random(seed)
        others = [scene.plan_another(f"TCK-{n}", f"62812345{n:05}") for n in range(2, orders + 1)]
        self.planned = [scene.planned, *others]
        self.receives = {one.id: 0 for one in self.planned}
        scene.transport.send = self._send  # type: ignore[method-assign]

    def _send(self, outgoing: Outgoing) -> Sent:
        if self.dying or outgoing.notification == self.poison:
            raise Killed
        return Sent(devices=1)

    def run(self, rounds: int, *, never_alone: bool = False) -> int:
        """How many times the process was killed before everything was done. `never_alone`: everybody is told
        that they are, and nobody is."""

        def deliver(record: Record, *, alone: bool) -> Verdict:
            self.dying = not alone and poison_is_among_them
            order, alone = Order.parse(record.body), alone or never_alone
            return self.scene.delivery.deliver(order, record.receives, lane=record.lane, alone=alone)

        kills = 0
        for _ in range(rounds):
            batch = [one for one in self.planned if self.stored(one).state is State.PLANNED]
            if not batch:
                break
            self.order.shuffle(batch)
            poison = self.stored(self.scene.planned)
            poison_is_among_them = poison.state is State.PLANNED and (never_alone or not poison.tries)
            for one in batch:
                self.receives[one.id] += 1
            try:
                carried_out([self._record(one) for one in batch], deliver)
            except Killed:
                kills += 1
        return kills

    def _record(self, one: Notification) -> Record:
        order = Order.of(one)
        return Record(one.id, f"h-{one.id}", json.dumps(order.to_json()), order.group, self.receives[one.id])

    def stored(self, one: Notification) -> Notification:
        found = self.scene.stores.notifications.get(one.id)
        assert found is not None
        return found

    @property
    def innocents(self) -> list[Notification]:
        return [self.stored(one) for one in self.planned if one.id != self.poison]


@pytest.mark.parametrize("seed", range(12))
def test_an_order_that_kills_ends_in_the_dead_letters_and_takes_nobody_along(seed: int) -> None:
    queue = Queue(Scene(MemoryAws()), 10, seed)
    kills = queue.run(30)
    assert kills <= MAX_TRIES + 1
    assert {one.state for one in queue.innocents} == {State.SENT}
    [letter] = queue.scene.letters()
    assert (letter["notification"], letter["reason"], letter["class"]) == (queue.poison, "crashed", "bug")


def test_where_nobody_is_tried_alone_the_innocent_end_with_the_poison() -> None:
    """Twin of the test above: a count doesn't tell who it was, as long as all are tried together."""
    queue = Queue(Scene(MemoryAws()), 10, seed=1)
    queue.run(30, never_alone=True)
    assert {one.state for one in queue.innocents} == {State.FAILED}


def test_throttled_polls_count_as_receives_and_bury_nobody() -> None:
    scene = Scene(MemoryAws())
    assert scene.deliver(receives=80) == SENT
    assert scene.letters() == []
    assert scene.notification.tries == 0


def test_a_try_is_counted_before_it_begins_where_the_queue_brought_the_order_again() -> None:
    scene = Scene(MemoryAws())
    counts: list[int] = []

    def send(outgoing: Outgoing) -> Sent:
        counts.append(scene.notification.tries)
        raise Killed

    scene.transport.send = send  # type: ignore[method-assign]
    for receives in (1, 2, 3):
        with pytest.raises(Killed):
            scene.deliver(receives=receives)
    assert counts == [0, 1, 2]
    assert [attempt.cause for attempt in scene.notification.attempts] == ["redelivered", "crashed"]


def test_an_end_that_is_written_down_takes_the_count_away() -> None:
    scene = Scene(MemoryAws())
    scene.transport.script = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        scene.deliver(receives=2)
    assert scene.notification.tries == 1
    assert scene.deliver(receives=3) == SENT
    assert scene.notification.tries == 0
