"""What an account has sent: the counts that its budgets are held to, and their stored form.

    {"v": 1, "since": 1795000000, "minute": {"359000000": 1}, "hour": {"29916666": 3}, "day": {…},
     "first_hour": {…}, "first_day": {…}, "week_sent": {…}, "week_answered": {…}}

A bucket's number is text there, for that is what a map's keys are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.pace.window import DAY, HOUR, MINUTE, Span, Window

VERSION = 1
WEEK = Span(86_400, 7)
_STORED = {
    "minute": MINUTE,
    "hour": HOUR,
    "day": DAY,
    "first_hour": HOUR,
    "first_day": DAY,
    "week_sent": WEEK,
    "week_answered": WEEK,
}


@dataclass
class Ledger:
    """`since`: Unix seconds of the linking; None: it was in service before anybody counted."""

    since: int | None = None
    minute: Window = field(default_factory=lambda: Window(MINUTE))
    hour: Window = field(default_factory=lambda: Window(HOUR))
    day: Window = field(default_factory=lambda: Window(DAY))
    first_hour: Window = field(default_factory=lambda: Window(HOUR))
    first_day: Window = field(default_factory=lambda: Window(DAY))
    week_sent: Window = field(default_factory=lambda: Window(WEEK))
    week_answered: Window = field(default_factory=lambda: Window(WEEK))

    def sent(self, now: float, *, first_contact: bool) -> None:
        """Count a message."""
        counted = (self.minute, self.hour, self.day, self.week_sent)
        for window in (*counted, *((self.first_hour, self.first_day) if first_contact else ())):
            window.add(now)

    def answered(self, now: float) -> None:
        """Count somebody's message to us."""
        self.week_answered.add(now)

    def age(self, now: float) -> float | None:
        return None if self.since is None else now - self.since

    def to_item(self) -> dict[str, Any]:
        """What is stored, without its key."""
        windows = {
            name: {str(bucket): count for bucket, count in getattr(self, name).counts.items()}
            for name in _STORED
        }
        return {"v": VERSION, **({} if self.since is None else {"since": self.since}), **windows}

    @classmethod
    def of_item(cls, item: Mapping[str, Any]) -> Ledger:
        """Read what is stored. What can't be meant counts as nothing: a budget is no key."""
        since = item.get("since")
        windows = {name: Window(span, _counts(item.get(name))) for name, span in _STORED.items()}
        return cls(since=since if _is_count(since) else None, **windows)


def _counts(stored: object) -> dict[int, int]:
    if not isinstance(stored, Mapping):
        return {}
    return {
        int(bucket): count
        for bucket, count in stored.items()
        if isinstance(bucket, str) and bucket.isascii() and bucket.isdecimal() and _is_count(count)
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
