"""Moments are ints of milliseconds since 1970: here they are made of seconds, and into seconds or text."""

from __future__ import annotations

from datetime import UTC, datetime


def from_seconds(seconds: float) -> int:
    """Return in milliseconds a moment that a clock, a table or a protocol gives in seconds."""
    return int(seconds * 1000)


def to_seconds(milliseconds: int) -> int:
    """Return the second that a moment lies in, for tables and protocols that know no smaller unit."""
    return milliseconds // 1000


CLOCKS_APART_SECONDS = 60
"""By so much the clock of who wrote a moment may be ahead of who reads it."""


def is_recent(at: float, now: float, lasts: float) -> bool:
    """Whether a moment was less than `lasts` ago (all in seconds). One that lies far ahead wasn't: only a
    wrong clock wrote it, and what it says would else hold until the right one is there."""
    return -CLOCKS_APART_SECONDS <= now - at < lasts


def iso(milliseconds: float) -> str:
    """Return UTC to the millisecond. `milliseconds`: since the epoch."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
