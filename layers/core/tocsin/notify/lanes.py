"""The orders of one invocation: lanes side by side, each lane strictly in order.

    first    every lane at once ────────── stops at its first order that isn't done
    then     lanes whose order must be tried alone, one after the other; those first that crashed least

Nothing overtakes: what follows in a lane behind an order that isn't done goes back to the queue with it. An
order is begun only while half of the invocation's time is left; one that isn't begun costs nothing.

A killed process takes the whole batch with it, and the queue counts that for everybody. So who was it? An
order that comes again is counted in its own record before it is tried (`Delivery`), and once a count is left
standing, it is tried while nothing else is. The one that kills ends in the dead letters, the others are sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tocsin.notify.delivery import POSTPONED, Verdict
from tocsin.notify.queues import Order

if TYPE_CHECKING:
    from concurrent.futures import Executor

log = logging.getLogger(__name__)

MAX_LANES = 10
"""Records that the queue gives one invocation at most."""


class Record(NamedTuple):
    """One record of the notifications queue. `lane`: its message group, `None` if that isn't known."""

    message_id: str
    handle: str
    body: str
    lane: str | None
    receives: int

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Record:
        """Read a record as the event source mapping hands it over."""
        attributes = record["attributes"]
        return cls(
            record["messageId"],
            record["receiptHandle"],
            record["body"],
            attributes.get("MessageGroupId"),
            int(attributes["ApproximateReceiveCount"]),
        )


class Deliver(Protocol):
    """`Delivery.deliver`."""

    def __call__(
        self, order: Order, receives: int = 1, *, lane: str | None = None, alone: bool = True
    ) -> Verdict: ...


@dataclass(frozen=True)
class Tried:
    """What became of one record that was begun. `order`: `None` if its body is none; `verdict`: `None` if
    `error` was raised, which nobody foresaw."""

    record: Record
    order: Order | None = None
    verdict: Verdict | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether the queue may forget it."""
        return self.verdict is not None and self.verdict.is_done

    @property
    def is_postponed(self) -> bool:
        return self.verdict is not None and self.verdict.outcome == POSTPONED


@dataclass
class Lane:
    """The records of one message group, in their order. `tried`: what became of the first of them."""

    records: Sequence[Record]
    tried: list[Tried] = field(default_factory=list)

    @property
    def waiting(self) -> Sequence[Record]:
        """Those that aren't done. They go back to the queue together."""
        return self.records[sum(one.is_done for one in self.tried) :]

    @property
    def again_after(self) -> float | None:
        """In how many seconds the queue shall bring what waits; `None`: when its own time is over, as after
        what nobody foresaw."""
        last = self.tried[-1] if self.tried else None
        if last is None or last.is_done or last.is_postponed:
            return 0  # They were not begun, for want of time.
        return last.verdict.again_after if last.verdict is not None else None


class Lanes:
    """Carries out the records of one invocation."""

    def __init__(
        self,
        records: Iterable[Record],
        deliver: Deliver,
        seconds_left: Callable[[], float],
        beside: Callable[[], Executor],
    ) -> None:
        """`seconds_left`: of the invocation. `beside`: where the lanes but the first run; asked for if there
        are several, so that a single order starts no threads."""
        grouped: dict[str, list[Record]] = {}
        for record in records:
            # What names no lane may be of any: it waits for all that does so, too.
            grouped.setdefault(record.lane or "", []).append(record)
        self.lanes = [Lane(lane) for lane in grouped.values()]
        self._deliver = deliver
        self._seconds_left = seconds_left
        self._beside = beside
        self._enough = seconds_left() / 2

    def carry_out(self) -> None:
        """Try everything that may be tried now. Raises nothing that an order raised."""
        others = [self._beside().submit(self._walk, lane) for lane in self.lanes[1:]]
        for lane in self.lanes[:1]:
            self._walk(lane)
        for other in others:
            other.result()
        for lane in sorted(self._postponed(), key=_tries):
            lane.tried.pop()
            self._walk(lane, alone=True)

    @property
    def tried(self) -> Iterator[Tried]:
        """All that was begun, lane by lane."""
        return (one for lane in self.lanes for one in lane.tried)

    def _postponed(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.tried and lane.tried[-1].is_postponed]

    def _walk(self, lane: Lane, *, alone: bool = False) -> None:
        for record in lane.waiting:
            if self._seconds_left() < self._enough:
                return
            lane.tried.append(self._try(record, alone))
            if not lane.tried[-1].is_done:
                return

    def _try(self, record: Record, alone: bool) -> Tried:
        order = None
        try:
            order = Order.parse(record.body)
            verdict = self._deliver(order, record.receives, lane=record.lane, alone=alone)
        except Exception as error:  # whatever it was, the other lanes go on
            log.exception("unforeseen", extra={"sqs_message": record.message_id})
            return Tried(record, order, error=error)
        return Tried(record, order, verdict)


def _tries(lane: Lane) -> int:
    verdict = lane.tried[-1].verdict
    return verdict.tries if verdict is not None else 0
