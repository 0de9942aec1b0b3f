"""Moments as text, as events, dead letters and log lines show them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(milliseconds: float) -> str:
    """Return UTC to the millisecond. `milliseconds`: since the epoch."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
