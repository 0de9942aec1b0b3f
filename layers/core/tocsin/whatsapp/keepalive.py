"""Liveness: is the other side still there? Any frame counts; after a silence we ping, and wait once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SILENCE_SECONDS: Final = 20.0
"""Seconds without a frame until we ping, and seconds after the ping until the socket counts as deaf."""

MAX_INTERVAL: Final = 1.5
"""Most time between two pings, in units of the silence. The least is 1."""


class Keepalive:
    """Seconds in, decisions out. `uniform` draws a number between two bounds."""

    def __init__(
        self, now: float, uniform: Callable[[float, float], float], silence: float = SILENCE_SECONDS
    ) -> None:
        self._uniform = uniform
        self._silence = silence
        self._last_heard = now
        self._next_ping = self._after(now)
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
        """True if a ping is due now. The wait for its answer starts here."""
        if now < self._next_ping:
            return False
        self._next_ping = self._after(now)
        if now - self._last_heard < self._silence:
            return False
        if self._deadline is None:
            self._deadline = now + self._silence
        return True

    def _after(self, now: float) -> float:
        return now + self._uniform(self._silence, MAX_INTERVAL * self._silence)
