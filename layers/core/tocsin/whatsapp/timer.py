"""A chat's timer: after how long its messages disappear. Each message says it, and since when it is so.

In a chat of two the clients keep it, not the server: whoever leaves it out has the reader see a warning below
the message. See PROTOCOL.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tocsin.whatsapp.bounds import MAX_NUMBER

MAX_SECONDS: Final = 366 * 86400
"""WhatsApp offers 90 days at most."""

_MILLISECONDS: Final = 10**10
"""A later time in seconds is one in milliseconds, as history has it."""


@dataclass(frozen=True, slots=True)
class Timer:
    """`seconds`: 0 for off. `at`: when it was set, Unix seconds; 0 where that isn't told."""

    seconds: int
    at: int = 0


def told(seconds: int, at: int) -> Timer | None:
    """The timer that a message or history names; None for one that no client sets."""
    if not 0 <= seconds <= MAX_SECONDS:
        return None
    at = at // 1000 if at > _MILLISECONDS else at
    return Timer(seconds, at if 0 <= at <= MAX_NUMBER else 0)
