"""The stanzas of one invocation: handled, put off, or tried alone because one may be what kills.

A stanza has no record to count its crashes in, only the queue's receives: they count throttled polls, too,
and every stanza of a batch in which another one crashed. So a high count condemns nobody. It has a stanza
tried while nothing else is, after all that is done was deleted:

    1st, 2nd receive   side by side with the other senders
    later              alone, those first that came least; a kill takes along only what waits, untried
    beyond MAX_RECEIVES   dead letter: what kills, and nobody else

What is brought and counted with what kills, and never tried: its own sender's stanzas behind it, and suspects
that came more often than it did, so whose turn comes later. So is a suspect that others leave no time. Before
these could be buried, copies of them start over: only what was tried again and again comes to its end.

What raises again and again holds up its sender as well, for hours: each try waits longer. So after some tries
it goes on in a lane of its own, and comes to its end there. While a table or a queue is away nothing is set
aside: that is nobody's fault, and a sender's stanzas keep their order.

A suspect that was not begun comes again a little later, not at once. Senders that nobody suspects are handled
in between, however many suspects there are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tocsin.dynamo.errors import Contention, OutcomeUnknown
from tocsin.keys.errors import Contended
from tocsin.notify.failure import Recover, Retry, Wait
from tocsin.notify.redelivery import MAX_RECEIVES
from tocsin.notify.visibility import SUSPECT_RECEIVES
from tocsin.timestamps import from_seconds

if TYPE_CHECKING:
    from tocsin.multidevice.inbound.envelope import Report
    from tocsin.notify.lanes import Lane, Record
    from tocsin.notify.redelivery import Redelivery

log = logging.getLogger(__name__)

UNBEGUN_SECONDS = 15
"""After which a suspect comes again for which there was no time."""
START_OVER_RECEIVES = MAX_RECEIVES // 2

SET_ASIDE_RECEIVES = 8
"""With the waits between them (`redelivery.wait_seconds`) two minutes."""
RAISED_BEFORE_ASIDE = 2
"""So often this process saw it raise: receives count waits for a connector and refused polls as well."""
MAX_REMEMBERED = 1000
_ASIDE = "aside#"
"""Begins the lanes of those that were set aside; no account is called so."""


class StanzaHandler(Protocol):
    """`Inbound`."""

    def handle(self, body: str) -> Report: ...


@dataclass(frozen=True)
class Handled:
    """What became of one stanza. `report`: `None` if nothing came of it yet. `put_off`: it must wait;
    `again_after`: so many seconds, `None` if a copy comes instead. `receives`: of a postponed one."""

    report: Report | None = None
    put_off: bool = False
    again_after: float | None = None
    is_postponed: bool = False
    receives: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the queue may forget it."""
        return not self.is_postponed and self.again_after is None

    @property
    def tries(self) -> int:
        return self.receives


class Stanzas:
    """Handles the records of the stanza queue, from several threads at a time."""

    def __init__(
        self, handler: StanzaHandler, redelivery: Redelivery, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._handler = handler
        self._redelivery = redelivery
        self._clock = clock
        self._raised: dict[str, int] = {}

    def handle(self, record: Record, *, alone: bool) -> Handled:
        """Handle one stanza. Raises what nobody foresaw; the failure itself of what waited for a day."""
        if record.receives >= SUSPECT_RECEIVES and not alone:
            return Handled(is_postponed=True, receives=record.receives)
        if record.receives >= SUSPECT_RECEIVES:
            log.info("tried alone", extra={"sqs_message": record.message_id, "receives": record.receives})
        try:
            return Handled(self._handler.handle(record.body))
        except (Wait, Retry, Recover) as failure:
            log.warning("deferred", extra={"cause": failure.code, "detail": failure.detail})
            seconds = self._redelivery.wait_for(record, failure, from_seconds(self._clock()))
            return Handled(put_off=True, again_after=seconds)
        except Exception:
            self._note_raised(record)
            raise

    def before_alone(
        self, lane: Lane[Handled], later: Sequence[Lane[Handled]], done: Sequence[Record]
    ) -> None:
        """Have the queue forget what is done, and save from the dead letters what a kill would take along
        untried. Whatever SQS refuses now comes again, which is harmless."""
        try:
            self._redelivery.forget([record.handle for record in done])
            self._spare(lane, lane.waiting[1:])
            for other in later:
                self._spare(other, other.waiting)
        except Exception:
            log.exception("a suspect is tried beside stanzas that are still in the queue")

    def spare_unbegun(self, lane: Lane[Handled]) -> float | None:
        """In how many seconds what waits in a lane shall come again; `None`: after what nobody foresaw. What
        came often and was not begun starts over. Raises what keeps SQS away."""
        if lane.is_begun:
            return lane.again_after
        self._spare(lane, lane.waiting)
        is_suspect = bool(lane.waiting) and lane.waiting[0].receives >= SUSPECT_RECEIVES
        return UNBEGUN_SECONDS if is_suspect else 0

    def set_aside(self, lane: Lane[Handled]) -> bool:
        """Let the stanza that a lane stopped at go on in a lane of its own, if it raised again and again.
        Return whether it does. Raises what keeps SQS away."""
        error = lane.tried[-1].error if lane.is_begun else None
        if error is None or _is_outage(error):
            return False
        record = lane.waiting[0]
        if record.receives < SET_ASIDE_RECEIVES or (record.lane or "").startswith(_ASIDE):
            return False
        if self._raised.get(record.message_id, 0) < RAISED_BEFORE_ASIDE:
            return False
        log.error("set aside", extra={"sqs_message": record.message_id, "receives": record.receives})
        self._redelivery.start_over(record, lane=f"{_ASIDE}{record.message_id}")
        lane.cut_off([record])
        return True

    def _note_raised(self, record: Record) -> None:
        if len(self._raised) >= MAX_REMEMBERED:
            self._raised.clear()  # what goes on raising is soon known again
        self._raised[record.message_id] = self._raised.get(record.message_id, 0) + 1

    def _spare(self, lane: Lane[Handled], records: Sequence[Record]) -> None:
        """Let copies of records at the end of a lane start over, if one of them was counted so often that it
        might be buried. All of them, so that their order holds."""
        if any(record.receives >= START_OVER_RECEIVES for record in records):
            for record in records:
                self._redelivery.start_over(record)
            lane.cut_off(records)
            self._redelivery.forget([record.handle for record in records])


def _is_outage(error: Exception) -> bool:
    """Whether AWS is to blame, or others who were faster, not the stanza. botocore's errors are known by
    their module, for importing it is no business of a room that gets its clients."""
    of_botocore = type(error).__module__.partition(".")[0] == "botocore"
    return of_botocore or isinstance(error, (Contended, Contention, OutcomeUnknown, OSError))
