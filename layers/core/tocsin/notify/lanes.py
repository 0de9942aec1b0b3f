"""The records of one invocation: lanes side by side, each lane strictly in order.

    first    every lane at once ────────── stops at its first record that isn't done
    then     lanes whose record must be tried alone, one after the other; those first that crashed least

Nothing overtakes: what follows in a lane behind a record that isn't done goes back to the queue with it. A
record is begun only while half of the invocation's time is left; one that isn't begun costs nothing.

A killed process takes the whole batch with it, and the queue counts that for everybody. So who was it? What
may have killed is tried while nothing else is: an order once a count is left standing in its notification
(`Delivery`), a stanza once the queue brought it often (`Stanzas`). The one that kills ends in the dead
letters, the others are done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor

log = logging.getLogger(__name__)

MAX_LANES = 10
"""Records that the queue gives one invocation at most."""


class Record(NamedTuple):
    """One record of a queue. `lane`: its message group, `None` if that isn't known."""

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


class Outcome(Protocol):
    """What became of a record that was begun.

    `is_done`: the queue may forget it. `is_postponed`: nothing was done, it must be tried alone.
    `again_after`: seconds after which the queue shall bring it again. `tries`: of a postponed one, how many
    may have crashed.
    """

    @property
    def is_done(self) -> bool: ...
    @property
    def is_postponed(self) -> bool: ...
    @property
    def again_after(self) -> float | None: ...
    @property
    def tries(self) -> int: ...


Verdict = TypeVar("Verdict", bound=Outcome)
Verdict_co = TypeVar("Verdict_co", bound=Outcome, covariant=True)


class Handle(Protocol[Verdict_co]):
    """Carries out one record. `alone`: nothing else is being tried."""

    def __call__(self, record: Record, *, alone: bool) -> Verdict_co: ...


@dataclass(frozen=True)
class Tried(Generic[Verdict]):
    """What became of one record that was begun. `verdict`: `None` if `error` was raised, which nobody
    foresaw."""

    record: Record
    verdict: Verdict | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether the queue may forget it."""
        return self.verdict is not None and self.verdict.is_done

    @property
    def is_postponed(self) -> bool:
        return self.verdict is not None and self.verdict.is_postponed


@dataclass
class Lane(Generic[Verdict]):
    """The records of one message group, in their order. `tried`: what became of the first of them."""

    records: Sequence[Record]
    tried: list[Tried[Verdict]] = field(default_factory=list)

    @property
    def waiting(self) -> Sequence[Record]:
        """Those that aren't done. They go back to the queue together."""
        return self.records[sum(one.is_done for one in self.tried) :]

    def cut_off(self, records: Sequence[Record]) -> None:
        """Leave out records that something else took over."""
        gone = {record.message_id for record in records}
        self.records = [record for record in self.records if record.message_id not in gone]

    @property
    def is_begun(self) -> bool:
        """Whether the first of what waits was tried."""
        return bool(self.tried) and not self.tried[-1].is_done and not self.tried[-1].is_postponed

    @property
    def again_after(self) -> float | None:
        """In how many seconds the queue shall bring what waits; `None`: when its own time is over, as after
        what nobody foresaw."""
        if not self.is_begun:
            return 0  # For want of time.
        verdict = self.tried[-1].verdict
        return verdict.again_after if verdict is not None else None


class Lanes(Generic[Verdict]):
    """Carries out the records of one invocation."""

    def __init__(
        self,
        records: Iterable[Record],
        handle: Handle[Verdict],
        seconds_left: Callable[[], float],
        beside: Callable[[], Executor],
        *,
        before_alone: Callable[[Lane[Verdict], Sequence[Lane[Verdict]], Sequence[Record]], None]
        | None = None,
    ) -> None:
        """`seconds_left`: of the invocation. `beside`: where the lanes but the first run; asked for if there
        are several, so that a single record starts no threads. `before_alone`: called before something of a
        lane is tried alone, with the lanes whose turn comes later, and the records that were done since it
        was last called."""
        grouped: dict[str, list[Record]] = {}
        for record in records:
            # What names no lane may be of any: it waits for all that does so, too.
            grouped.setdefault(record.lane or "", []).append(record)
        self.lanes: list[Lane[Verdict]] = [Lane(lane) for lane in grouped.values()]
        self._handle = handle
        self._seconds_left = seconds_left
        self._beside = beside
        self._before_alone = before_alone
        self._named: set[str] = set()
        self._enough = seconds_left() / 2

    def carry_out(self) -> None:
        """Try everything that may be tried now. Raises nothing that a record raised."""
        others = [self._beside().submit(self._walk, lane) for lane in self.lanes[1:]]
        for lane in self.lanes[:1]:
            self._walk(lane)
        for other in others:
            other.result()
        postponed = sorted(self._postponed(), key=_tries)
        for place, lane in enumerate(postponed):
            self._walk(lane, postponed[place + 1 :])

    @property
    def tried(self) -> Iterator[Tried[Verdict]]:
        """All that was begun, lane by lane."""
        return (one for lane in self.lanes for one in lane.tried)

    def _postponed(self) -> list[Lane[Verdict]]:
        return [lane for lane in self.lanes if lane.tried and lane.tried[-1].is_postponed]

    def _walk(self, lane: Lane[Verdict], later: Sequence[Lane[Verdict]] | None = None) -> None:
        """Try what waits in a lane. `later`: the lanes that are tried alone after it, if it is alone
        itself."""
        alone = later is not None
        while lane.waiting:
            if self._seconds_left() < self._enough:
                return
            record = lane.waiting[0]
            if later is not None:
                if lane.tried and lane.tried[-1].is_postponed:
                    lane.tried.pop()
                self._prepare(lane, later)
            lane.tried.append(self._try(record, alone))
            if not lane.tried[-1].is_done:
                return

    def _prepare(self, lane: Lane[Verdict], later: Sequence[Lane[Verdict]]) -> None:
        if self._before_alone is not None:
            done = [one.record for one in self.tried if one.is_done]
            fresh = [record for record in done if record.message_id not in self._named]
            self._before_alone(lane, later, fresh)
            self._named.update(record.message_id for record in done)

    def _try(self, record: Record, alone: bool) -> Tried[Verdict]:
        try:
            return Tried(record, self._handle(record, alone=alone))
        except Exception as error:  # whatever it was, the other lanes go on
            log.exception("unforeseen", extra={"sqs_message": record.message_id})
            return Tried(record, error=error)


def _tries(lane: Lane[Verdict]) -> int:
    verdict = lane.tried[-1].verdict
    return verdict.tries if verdict is not None else 0
