"""When to connect again: the jittered delays, and what resets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tocsin.whatsapp.backoff import STABLE_SECONDS, delays
from tocsin.whatsapp.reaction import Kind, Reaction

HASTY: Final = 3
"""Immediate reconnects in a row. The next one is delayed all the same: no storm, whatever the server says."""

DEAF_SOCKETS: Final = 3
"""Deaf sockets in a row: an open one and two fresh ones after it. Then the process is at fault."""

DEAF_MEMORY: Final = 600.0
"""Seconds of a working connection after which earlier deafness is forgotten."""

VERSION_SECONDS: Final = 1800.0
"""Between tries with a client version that is too old, after the first."""


class Unhealable(Exception):
    """Fresh sockets are deaf too. End the process; a new one starts with nothing old in it."""


class Pace:
    """`deaf_before`: a process ended for this account's deaf sockets lately. Then it wasn't the process, and
    this one only slows down: it may serve other accounts."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self.deaf_before = False
        self._delays: Iterator[float] | None = None
        self._hasty = 0
        self._deaf = 0
        self._outdated = False

    def delay(self, ended: Reaction, lasted: float | None) -> float:
        """Seconds to wait after a connection that was logged in for `lasted` (None: it never was).

        Raises `Unhealable`.
        """
        if lasted is not None and lasted >= STABLE_SECONDS:
            self._delays = None
            self._hasty = 0
        if lasted is not None and ended.kind is not Kind.REFRESH_VERSION:
            self._outdated = False
        if self._is_deaf(ended, lasted):
            return 0.0
        if ended.kind is Kind.REFRESH_VERSION:
            again, self._outdated = self._outdated, True
            return VERSION_SECONDS if again else 0.0
        if ended.kind is Kind.RECONNECT_NOW and self._hasty < HASTY:
            self._hasty += 1
            return 0.0
        if self._delays is None:
            self._delays = delays(self._uniform)
        for _ in range(ended.skip):  # from wherever it is by now: a server that limits us again means it
            next(self._delays)
        return next(self._delays)

    def _is_deaf(self, ended: Reaction, lasted: float | None) -> bool:
        """A deaf socket is replaced at once. With the third in a row the process is at fault."""
        worked = lasted is not None and (ended.reason != "deaf" or lasted >= DEAF_MEMORY)
        if worked:
            self._deaf = 0
        # A fresh socket on which not even the handshake is answered is deaf from the start.
        if ended.reason != "deaf" and not (self._deaf and ended.reason == "handshake-timeout"):
            return False
        self._deaf += 1
        if self._deaf >= DEAF_SOCKETS:
            if self.deaf_before:
                return False
            raise Unhealable(f"{self._deaf} sockets in a row were open but deaf")
        return True
