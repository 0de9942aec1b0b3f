"""Handing messages over once: a repeat of the same bytes waits for, or is given, the first one's ack.

A Lambda repeats a request whose connection was reset, and can't know whether it had been served. The same
ciphertext is handed over once. Another one under the same message id comes from another Lambda, after the
first was killed: it goes out at once, for nobody knows when the first one's ack comes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from tocsin.whatsapp.node import Node

HandOver = Callable[[], Awaitable[Node]]

REMEMBERED = 256
"""Acks kept for repeats. A client repeats within milliseconds, so even this is generous."""


class Acks:
    """Callers use `handed_over` alone."""

    def __init__(self) -> None:
        self._running: dict[bytes, asyncio.Task[Node]] = {}
        self._answered: OrderedDict[bytes, Node] = OrderedDict()

    async def handed_over(self, body: bytes, hand_over: HandOver) -> Node:
        """The ack for `body`; `hand_over` is called unless that was done before. Raises what it raises.

        It goes on when the caller is cancelled: the message is on its way, and its ack worth knowing.
        """
        digest = hashlib.sha256(body).digest()
        if digest in self._answered:
            return self._answered[digest]
        task = self._running.get(digest)
        if task is None:
            task = self._running[digest] = asyncio.ensure_future(self._carry(digest, hand_over))
            task.add_done_callback(_look)
        return await asyncio.shield(task)

    async def _carry(self, digest: bytes, hand_over: HandOver) -> Node:
        try:
            ack = await hand_over()
        finally:
            del self._running[digest]
        self._answered[digest] = ack
        while len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return ack


def _look(task: asyncio.Task[Node]) -> None:
    """Retrieve the outcome, since the one who waited for it may be gone."""
    if not task.cancelled():
        task.exception()
