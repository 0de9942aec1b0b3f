"""The two ways of what comes in: receipts through the receipts queue, all else in order through the stanza
queue.

Whoever answers at once would overtake their own receipt, which waits for others: what they answer would be
taken for the message before. So a message that comes soon after a receipt of its sender is held a little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tocsin.connector.forwarding.forwarder import Counters, Forwarder, SendBatch
from tocsin.connector.forwarding.receipts import ReceiptForwarder
from tocsin.connector.forwarding.room import Room
from tocsin.connector.forwarding.stanza import Origin, group
from tocsin.whatsapp.node import Node

SETTLED_SECONDS: Final = 2.5
"""After so long a receipt is recorded, as a rule: it waits 0.25 s here, 1 s at the function's queue."""


class Ways:
    """All stanzas of one account on their way to the queues. They share one room, whichever way they go."""

    def __init__(self, send: SendBatch, send_receipts: SendBatch | None, counters: Counters) -> None:
        """`send_receipts`: `None` where there is no receipts queue; receipts go in order then, too."""
        self._room = Room()
        self._stanzas = Forwarder(send, counters, room=self._room)
        self._receipts = (
            ReceiptForwarder(send_receipts, counters, self._room, instead=self._stanzas.offer)
            if send_receipts
            else None
        )
        self._reported: dict[str, float] = {}

    @property
    def waiting(self) -> int:
        return self._room.waiting

    def offer(self, node: Node, origin: Origin, received_at: int, accepted: Callable[[], None]) -> bool:
        """As `Forwarder.offer`."""
        plain = self._receipts.takes(node) if self._receipts is not None else None
        now, sender = asyncio.get_running_loop().time(), group(origin.account, node)
        self._forget_settled(now)
        if self._receipts is None or plain is None:
            reported = self._reported.get(sender) if node.tag == "message" else None
            hold_for = reported + SETTLED_SECONDS - now if reported is not None else 0.0
            return self._stanzas.offer(node, origin, received_at, accepted, hold_for=hold_for)
        # The last one of a sender stands last, so the oldest are in front.
        self._reported.pop(sender, None)
        self._reported[sender] = now
        return self._receipts.offer(plain, origin, received_at, accepted)

    def _forget_settled(self, now: float) -> None:
        while self._reported:
            oldest = next(iter(self._reported))
            if now - self._reported[oldest] < SETTLED_SECONDS:
                break
            del self._reported[oldest]

    async def progress(self) -> None:
        """Return when the next stanza has left and there is room for another."""
        await self._room.progress()

    async def drained(self) -> None:
        """Return when nothing waits. Nothing waits for anything else any more."""
        if self._receipts is not None:
            self._receipts.hurry()
        self._stanzas.hurry()
        await self._room.drained()

    def forget(self) -> None:
        """Drop what isn't under way: WhatsApp delivers it again."""
        self._stanzas.forget()
        if self._receipts is not None:
            self._receipts.forget()

    async def run(self) -> None:
        """Carry stanzas until cancelled."""
        async with asyncio.TaskGroup() as carrying:
            carrying.create_task(self._stanzas.run())
            if self._receipts is not None:
                carrying.create_task(self._receipts.run())
