"""Whether the other side is still there. Any frame counts as life; silence is asked about, then believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MIN_INTERVAL: Final = 20.0
MAX_INTERVAL: Final = 30.0
QUIET: Final = 20.0
"""Seconds without a frame after which we ask."""
PATIENCE: Final = 20.0
"""Seconds without a frame after our ping, then the socket is deaf."""


class Keepalive:
    """Seconds in, decisions out. `uniform` draws a number between two bounds."""

    def __init__(self, now: float, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._last_heard = now
        self._next_ping = now + uniform(MIN_INTERVAL, MAX_INTERVAL)
        self._deadline: float | None = None

    @property
    def next_tick(self) -> float:
        return self._next_ping if self._deadline is None else min(self._next_ping, self._deadline)

    def heard(self, now: float) -> None:
        self._last_heard = now
        self._deadline = None

    def is_deaf(self, now: float) -> bool:
        return self._deadline is not None and now >= self._deadline

    def wants_ping(self, now: float) -> bool:
        """Whether to ask now. Asking starts the patience."""
        if now < self._next_ping:
            return False
        self._next_ping = now + self._uniform(MIN_INTERVAL, MAX_INTERVAL)
        if now - self._last_heard < QUIET:
            return False
        if self._deadline is None:
            self._deadline = now + PATIENCE
        return True
