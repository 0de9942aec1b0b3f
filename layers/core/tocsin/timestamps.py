"""Moments are ints of milliseconds since 1970: here they are made of seconds, and into seconds or text."""

from __future__ import annotations

from datetime import UTC, datetime


def from_seconds(seconds: float) -> int:
    """Return in milliseconds a moment that a clock, a table or a protocol gives in seconds."""
    return int(seconds * 1000)


def to_seconds(milliseconds: int) -> int:
    """Return the second that a moment lies in, for tables and protocols that know no smaller unit."""
    return milliseconds // 1000


def iso(milliseconds: float) -> str:
    """Return UTC to the millisecond. `milliseconds`: since the epoch."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
