"""Times as help desks write them. Pure: no clock is asked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(?:UTC|(Z|z|[+-]\d\d:?\d\d))?"
)
_SECONDS_BELOW = 100_000_000_000
"""A number below this is seconds (up to the year 5138), one above it milliseconds."""

_MAX_NUMBER = 253_402_300_799_999


class Moment(NamedTuple):
    """`microseconds`: since 1970; `unit`: how many of them the writer's last digit stands for; `zoned`:
    whether a time zone was told. Without one it is taken for UTC, which is right for comparisons and for
    nothing else."""

    microseconds: int
    unit: int
    zoned: bool = True

    @property
    def rfc3339(self) -> str:
        at = datetime.fromtimestamp(self.microseconds // 1_000_000, UTC)
        return at.isoformat().replace("+00:00", "Z")


def moment(value: Any) -> Moment | None:
    """Read a time: RFC 3339 and its relatives (`2026-12-01 08:00`, `…+0000`), or seconds or milliseconds
    since 1970, as a number or as text. None for anything else."""
    if isinstance(value, bool):
        return None
    if (
        isinstance(value, str)
        and value.strip().isascii()
        and value.strip().isdecimal()
        and len(value.strip()) < 16
    ):
        value = int(value)
    if isinstance(value, int | float):
        if not 0 < value <= _MAX_NUMBER:
            return None
        unit = 1_000_000 if value < _SECONDS_BELOW else 1000
        return Moment(int(value) * unit, unit)
    if not isinstance(value, str) or len(value) > 64:
        return None
    return _of_text(value.strip())


def _of_text(text: str) -> Moment | None:
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    day, minute, second, fraction, zone = match.groups()
    zone = (zone or ("+00:00" if text.endswith("UTC") else "")).upper().replace("Z", "+00:00")
    if zone and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    try:
        at = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}{zone or '+00:00'}")
        seconds = int(at.timestamp())
    except (ValueError, OverflowError):
        return None
    if seconds <= 0:
        return None
    digits = (fraction or "")[:6]
    unit = 60_000_000 if second is None else 10 ** (6 - len(digits))
    return Moment(seconds * 1_000_000 + int(digits.ljust(6, "0") or 0), unit, bool(zone))
