"""The two ways of what comes in: receipts through the receipts queue, all else in order through the stanza
queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tocsin.connector.forwarding.forwarder import Counters, Forwarder, SendBatch
from tocsin.connector.forwarding.receipts import ReceiptForwarder
from tocsin.connector.forwarding.room import Room
from tocsin.connector.forwarding.stanza import Origin
from tocsin.whatsapp.node import Node


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

    @property
    def waiting(self) -> int:
        return self._room.waiting

    def offer(self, node: Node, origin: Origin, received_at: int, accepted: Callable[[], None]) -> bool:
        """As `Forwarder.offer`."""
        plain = self._receipts.takes(node) if self._receipts is not None else None
        if self._receipts is None or plain is None:
            return self._stanzas.offer(node, origin, received_at, accepted)
        return self._receipts.offer(plain, origin, received_at, accepted)

    async def progress(self) -> None:
        """Return when the next stanza has left and there is room for another."""
        await self._room.progress()

    async def drained(self) -> None:
        """Return when nothing waits. Receipts don't wait for others any more."""
        if self._receipts is not None:
            self._receipts.hurry()
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
