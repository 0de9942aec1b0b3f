"""Room for what of one account waits on its way to the queues: bounded, whichever queue it waits for."""

from __future__ import annotations

import asyncio

MAX_WAITING = 5_000
MAX_WAITING_BYTES = 16 * 1024 * 1024


class Room:
    """Counts what waits, and tells when some of it, or all of it, has left."""

    def __init__(self, *, max_waiting: int = MAX_WAITING, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._bytes = 0
        self._left = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.waiting = 0
        """How many stanzas wait."""

    def enter(self, size: int) -> bool:
        """Take in a stanza of `size` bytes. False: too much waits already, and it isn't counted."""
        if self.waiting >= self._max_waiting or self._bytes + size > self._max_bytes:
            return False
        self.waiting += 1
        self._bytes += size
        self._empty.clear()
        return True

    def leave(self, size: int) -> None:
        """A stanza of `size` bytes doesn't wait any more."""
        self.waiting -= 1
        self._bytes -= size
        self._left.set()
        if not self.waiting:
            self._empty.set()

    async def progress(self) -> None:
        """Return when the next stanza has left and there is room for another."""
        self._left.clear()
        await self._left.wait()

    async def drained(self) -> None:
        """Return when nothing waits."""
        await self._empty.wait()
