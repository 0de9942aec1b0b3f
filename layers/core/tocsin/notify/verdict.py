"""What became of one order from the queue."""

from __future__ import annotations

from dataclasses import dataclass

POSTPONED = "postponed"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Verdict:
    """What became of one order.

    `outcome` is a word for logs and metrics: `sent`, `parked`, `retry`, `failed`, `suppressed`, `dropped`,
    `mismatched`, `unreadable` (it, or its record), `rerouted` (into the lane of the person that the recipient
    turned out to be), `postponed` (nothing was done: it must be tried alone). `cause` says why, as a failure
    code, a state or a field.
    `again_after` are the seconds after which the queue shall deliver the order again; `None`: it is done.
    `unproven`: how many listed devices got nothing because nobody vouches for them. `tries`: of a postponed
    one, how many ended without a word.
    """

    outcome: str
    cause: str = ""
    again_after: float | None = None
    unproven: int = 0
    tries: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the queue may forget the order."""
        return not self.is_postponed and self.again_after is None

    @property
    def is_postponed(self) -> bool:
        return self.outcome == POSTPONED


class Stopped(Exception):
    """Who the recipient is was asked just now, and that ended the order's turn: `verdict`."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.outcome)
        self.verdict = verdict
