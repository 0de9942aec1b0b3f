"""When a delivery is tried, and when an endpoint is left alone. Pure; moments in ms.

    at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h      each up to a tenth later

An endpoint that fails again and again is left alone for a while: what is for it waits without being tried,
and one delivery at a time asks whether it is back. Other endpoints notice nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE

WAITS = (
    *(5 * _SECOND, 5 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""After each failed attempt. There is one attempt more than waits."""

MAX_ATTEMPTS = len(WAITS) + 1

MAX_AGE = sum(WAITS) + sum(WAITS) // 10 + 10 * _MINUTE
"""What is older is given up, however few attempts it had: its endpoint was away all the time."""

MAX_RETRY_AFTER = 24 * _HOUR
"""What an endpoint may ask for with `Retry-After`."""

FAILURES_TO_CLOSE = 3
"""In a row."""

_MAX_CLOSED = 5 * _MINUTE

_BUSY = frozenset({429, 502, 503, 504})
"""Answers that ask to be left alone."""


def due_after(attempts: int, now: int, retry_after: int, jitter: Callable[[], float]) -> int | None:
    """When a delivery is tried again after so many failed attempts; None: never. `retry_after`: ms that the
    endpoint asked for. `jitter()`: from 0 to 1."""
    if attempts > len(WAITS):
        return None
    wait = WAITS[attempts - 1]
    return now + max(wait + int(wait * 0.1 * jitter()), retry_after)


def retry_after_of(header: str) -> int:
    """The header `Retry-After` in ms; 0 for what is no number of seconds."""
    text = header.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        return 0
    return min(int(text) * _SECOND, MAX_RETRY_AFTER)


def closed_until(failures: int, status: int | None, now: int, retry_after: int) -> int | None:
    """Until when an endpoint is left alone after so many failures in a row; None: it isn't. `status`: of the
    last answer, None if none came."""
    if status in _BUSY and retry_after:
        return now + retry_after
    if failures < FAILURES_TO_CLOSE:
        return None
    doubled = (5 * _SECOND) << min(failures - FAILURES_TO_CLOSE, 10)
    return now + min(doubled, _MAX_CLOSED)
