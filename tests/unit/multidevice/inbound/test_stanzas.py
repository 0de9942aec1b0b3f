"""Stanzas of several senders in one invocation; and the one that kills ends in the dead letters, alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import pytest

from tests.support.templates import properties
from tocsin.multidevice.inbound.envelope import Report
from tocsin.multidevice.inbound.stanzas import START_OVER_RECEIVES, Handled, Stanzas
from tocsin.notify.failure import Failure, Wait
from tocsin.notify.lanes import MAX_LANES, Lane, Lanes, Record
from tocsin.notify.visibility import SUSPECT_RECEIVES

READ = Report("message", "reply")
MAX_RECEIVES = properties("StanzasQueue")["RedrivePolicy"]["maxReceiveCount"]


class Killed(BaseException):
    """The process is gone: nothing of ours catches it."""


@dataclass
class Queue:
    """A FIFO queue with lanes, receives and dead letters, whose poison kills whoever handles it. With
    `together`, nobody else comes to an end beside it."""

    bodies: list[str]
    poison: str
    kept: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    kills: int = 0
    begun: list[str] = field(default_factory=list)
    dying: bool = False

    def __post_init__(self) -> None:
        self.kept = dict.fromkeys(self.bodies, 0)

    # -- as `Inbound` and `Redelivery` ---------------------------------------------------------------------

    def handle(self, body: str) -> Report:
        if body == self.poison or self.dying:
            raise Killed
        self.begun.append(body)
        self.done.add(body)
        return READ

    def wait_for(self, record: Record, failure: Failure, now: int) -> float | None:
        raise AssertionError("nothing waits here")

    def forget(self, handles: list[str]) -> None:
        for handle in handles:
            self.kept.pop(handle, None)

    def start_over(self, record: Record) -> None:
        del self.kept[record.body]
        self.kept[record.body + "'"] = 0

    # -- as the event source mapping -----------------------------------------------------------------------

    def receive(self, order: random.Random) -> list[Record]:
        """A batch: lanes in any order, each lane in its own."""
        lanes = sorted({body[0] for body in self.kept})
        order.shuffle(lanes)
        batch = [body for lane in lanes for body in self.kept if body[0] == lane][:MAX_LANES]
        for body in batch:
            self.kept[body] += 1
            if self.kept[body] > MAX_RECEIVES:
                del self.kept[body]
                self.dead.append(body)
        return [Record(body, body, body, body[0], self.kept[body]) for body in batch if body in self.kept]

    def run(self, seed: int = 1, *, suspects: bool = True, spares: bool = True) -> None:
        """Until all is done or dead. Without `suspects`, all are always tried together; without `spares`,
        nobody thinks of suspects whose turn comes later."""
        order, stanzas = random.Random(seed), Stanzas(self, self)  # type: ignore[arg-type]

        def handle(record: Record, *, alone: bool) -> Handled:
            return stanzas.handle(record, alone=alone or not suspects)

        def before_alone(lane: Any, later: Any, done: Any) -> None:
            self.dying = False
            stanzas.before_alone(lane, later if spares else (), done)

        while self.kept:
            records = self.receive(order)
            poisons = [one for one in records if one.body == self.poison]
            # Beside what kills, nobody comes to an end.
            self.dying = any(not suspects or one.receives < SUSPECT_RECEIVES for one in poisons)
            with ThreadPoolExecutor(1) as one_thread:
                batch = Lanes(records, handle, lambda: 100.0, lambda: one_thread, before_alone=before_alone)
                try:
                    batch.carry_out()
                except Killed:
                    self.kills += 1
                else:
                    self.forget([one.record.message_id for one in batch.tried if one.is_done])


@pytest.mark.parametrize("seed", range(8))
def test_a_stanza_that_kills_ends_in_the_dead_letters_alone(seed: int) -> None:
    senders = [f"{lane}{number}" for lane in "abcde" for number in (1, 2)]
    queue = Queue(senders, poison="c1")
    queue.run(seed)
    assert queue.dead == ["c1"]
    assert {body.rstrip("'") for body in queue.done} == {*senders} - {"c1"}
    assert queue.kills <= MAX_RECEIVES


def test_other_senders_wait_for_it_a_few_kills_at_most() -> None:
    queue = Queue(["a1", "b1"], poison="a1")
    kills: list[int] = []
    handle = queue.handle

    def noting(body: str) -> Report:
        report = handle(body)
        kills.append(queue.kills)
        return report

    queue.handle = noting  # type: ignore[method-assign]
    queue.run()
    assert max(kills) < SUSPECT_RECEIVES + 10


def test_where_nobody_is_tried_alone_the_innocent_die_with_it() -> None:
    """Twin of the tests above: receives don't tell who it was, as long as all are tried together."""
    queue = Queue(["a1", "b1", "c1"], poison="b1")
    queue.run(suspects=False)
    assert sorted(queue.dead) == ["a1", "b1", "c1"]


def test_what_follows_the_poison_in_its_lane_starts_over_before_it_would_be_buried() -> None:
    assert 2 * START_OVER_RECEIVES <= MAX_RECEIVES
    queue = Queue(["a1", "a2", "a3"], poison="a1")
    queue.run()
    assert queue.dead == ["a1"]
    assert [body.rstrip("'") for body in queue.begun] == ["a2", "a3"]


def counted_before(counts: dict[str, int], poison: str) -> Queue:
    """Stanzas that were received so often already, as throttled polls may do."""
    queue = Queue(list(counts), poison)
    queue.kept.update(counts)
    return queue


def test_suspects_that_came_more_often_than_what_kills_are_not_buried_untried() -> None:
    """Each kill counts for them, too, and what came least has its turn first: theirs never comes."""
    queue = counted_before({"a1": 20, "a2": 20, "b1": 2, "c1": 30}, poison="b1")
    queue.run()
    assert queue.dead == ["b1"]
    assert {body.rstrip("'") for body in queue.done} == {"a1", "a2", "c1"}
    assert [body.rstrip("'") for body in queue.begun if body[0] == "a"] == ["a1", "a2"]


def test_twin_without_a_thought_for_them_they_are_buried() -> None:
    queue = counted_before({"a1": 20, "b1": 2}, poison="b1")
    queue.run(spares=False)
    assert "a1" in queue.dead


def unbegun(queue: Queue, receives: int) -> tuple[Lane[Handled], float | None]:
    """A lane that others left no time, and in how many seconds it comes again."""
    lane: Lane[Handled] = Lane([Record(name, name, name, "a", receives) for name in queue.bodies])
    return lane, Stanzas(queue, queue).spare_unbegun(lane)  # type: ignore[arg-type]


def test_a_suspect_that_others_leave_no_time_starts_over_before_it_would_be_buried() -> None:
    queue = Queue(["a1", "a2"], poison="")
    lane, _ = unbegun(queue, START_OVER_RECEIVES)
    assert list(queue.kept) == ["a1'", "a2'"]
    assert list(lane.waiting) == []


@pytest.mark.parametrize(("receives", "again"), [(SUSPECT_RECEIVES - 1, 0), (SUSPECT_RECEIVES, 15)])
def test_a_suspect_that_was_not_begun_gives_way_to_those_whom_nobody_suspects(
    receives: int, again: float
) -> None:
    queue = Queue(["a1"], poison="")
    lane, seconds = unbegun(queue, receives)
    assert (seconds, len(lane.waiting)) == (again, 1)


def test_a_queue_that_deletes_nothing_now_stops_nobody() -> None:
    queue = Queue(["a1", "b1"], poison="")

    def refuse(handles: list[str]) -> None:
        raise ConnectionError

    queue.forget = refuse  # type: ignore[method-assign]
    records = [Record(name, name, name, name[0], SUSPECT_RECEIVES) for name in ("a1", "b1")]
    batch = carried_out(queue, records)
    assert [one.is_done for one in batch.tried] == [True, True]


def carried_out(queue: Any, records: list[Record]) -> Lanes[Handled]:
    stanzas = Stanzas(queue, queue)
    with ThreadPoolExecutor(MAX_LANES) as threads:
        batch = Lanes(
            records, stanzas.handle, lambda: 100.0, lambda: threads, before_alone=stanzas.before_alone
        )
        batch.carry_out()
    return batch


def test_senders_are_handled_at_the_same_time() -> None:
    meeting = Barrier(4)
    queue = Queue([], poison="")
    queue.handle = lambda body: (meeting.wait(60) and READ) or READ  # type: ignore[method-assign]
    batch = carried_out(queue, [Record(name, name, name, name, 1) for name in "abcd"])
    assert [one.is_done for one in batch.tried] == [True] * 4


def waiting(fault: Exception) -> Callable[[str], Report]:
    def handle(body: str) -> Report:
        if body == "a1":
            raise fault
        return READ

    return handle


@pytest.mark.parametrize(
    ("fault", "again_after"), [(Wait("connector-away"), 15.0), (ZeroDivisionError(), None)]
)
def test_a_sender_stops_at_the_first_stanza_that_isn_t_done_and_others_go_on(
    fault: Exception, again_after: float | None
) -> None:
    queue = Queue([], poison="")
    queue.handle = waiting(fault)  # type: ignore[method-assign]
    queue.wait_for = lambda record, failure, now: 15.0  # type: ignore[method-assign]
    batch = carried_out(queue, [Record(name, name, name, name[0], 1) for name in ("a1", "b1", "a2")])
    assert [record.body for lane in batch.lanes for record in lane.waiting] == ["a1", "a2"]
    assert batch.lanes[0].again_after == again_after


def test_a_stanza_of_which_a_copy_comes_holds_nobody_up() -> None:
    queue = Queue([], poison="")
    queue.handle = waiting(Wait("connector-away"))  # type: ignore[method-assign]
    queue.wait_for = lambda record, failure, now: None  # type: ignore[method-assign]
    batch = carried_out(queue, [Record(name, name, name, name[0], 1) for name in ("a1", "a2")])
    assert [list(lane.waiting) for lane in batch.lanes] == [[]]
