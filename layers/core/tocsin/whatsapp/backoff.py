"""How long to wait before connecting again: Fibonacci seconds with jitter, as WhatsApp Web does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

CAP_SECONDS: Final = 900.0
STABLE_SECONDS: Final = 30.0
"""A connection that lasted this long starts the delays again: make a new generator."""


def delays(uniform: Callable[[float, float], float]) -> Iterator[float]:
    """Seconds to wait, for ever: 1, 1, 2, 3, 5 … each ±10 %, capped at 900.

    `uniform`: draws a number between two bounds.
    """
    current, following = 1.0, 1.0
    while True:
        yield min(current, CAP_SECONDS) * uniform(0.9, 1.1)
        if current < CAP_SECONDS:
            current, following = following, current + following
