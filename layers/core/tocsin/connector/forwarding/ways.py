"""The two ways of what comes in: receipts through the receipts queue, all else in order through the stanza
queue.

Whoever answers at once would overtake their own receipt, which waits for others: what they answer would be
taken for the message before. So a message that comes soon after a receipt of its sender is held a little:
until the queue has that receipt, and then for as long as it takes to be recorded. A queue that doesn't take
receipts holds nobody for long: a reply that is taken for the wrong message is better than none.

When the account leaves, nothing is held: what isn't stored by then comes again on the next connection, in
order, and a message that overtook its receipt there may be taken for an answer to the one before.
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

MAX_HELD_SECONDS: Final = 10.0
"""How long a message waits for a receipt of its sender that the queue doesn't take."""


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
        self._pending: dict[str, int] = {}
        """Receipts that the queue doesn't have yet, by sender: no more than there is room for."""
        self._settled: dict[str, float] = {}
        """When the queue had the last receipt of a sender; the oldest are in front."""
        self._drains = 0

    @property
    def waiting(self) -> int:
        return self._room.waiting

    def offer(self, node: Node, origin: Origin, received_at: int, accepted: Callable[[], None]) -> bool:
        """As `Forwarder.offer`."""
        plain = self._receipts.takes(node) if self._receipts is not None else None
        now, sender = asyncio.get_running_loop().time(), group(origin.account, node)
        self._forget_settled(now)
        if self._receipts is None or plain is None:
            hold_for = self._hold_for(sender, now) if node.tag == "message" else 0.0
            return self._stanzas.offer(node, origin, received_at, accepted, hold_for=hold_for)

        def stored() -> None:
            self._settle(sender)
            accepted()

        if not self._receipts.offer(plain, origin, received_at, stored):
            return False
        self._pending[sender] = self._pending.get(sender, 0) + 1
        return True

    def _hold_for(self, sender: str, now: float) -> float:
        if self._drains:
            return 0.0
        if sender in self._pending:
            return MAX_HELD_SECONDS
        return self._settled[sender] + SETTLED_SECONDS - now if sender in self._settled else 0.0

    def _settle(self, sender: str) -> None:
        """The queue has a receipt of theirs. What is held for the last one goes when that is recorded."""
        if sender not in self._pending:
            return  # of a socket that is gone
        self._pending[sender] -= 1
        if self._pending[sender]:
            return
        del self._pending[sender]
        self._settled.pop(sender, None)
        self._settled[sender] = asyncio.get_running_loop().time()
        self._stanzas.hold_at_most(sender, SETTLED_SECONDS)

    def _forget_settled(self, now: float) -> None:
        while self._settled:
            sender, at = next(iter(self._settled.items()))
            if now - at < SETTLED_SECONDS:
                return
            del self._settled[sender]

    async def progress(self) -> None:
        """Return when the next stanza has left and there is room for another."""
        await self._room.progress()

    async def drained(self) -> None:
        """Return when nothing waits. Nothing waits for anything else any more."""
        self._drains += 1
        try:
            if self._receipts is not None:
                self._receipts.hurry()
            self._stanzas.hurry()
            await self._room.drained()
        finally:
            self._drains -= 1

    def forget(self) -> None:
        """Drop what isn't under way: WhatsApp delivers it again."""
        self._pending.clear()
        self._settled.clear()
        self._stanzas.forget()
        if self._receipts is not None:
            self._receipts.forget()

    async def run(self) -> None:
        """Carry stanzas until cancelled."""
        async with asyncio.TaskGroup() as carrying:
            carrying.create_task(self._stanzas.run())
            if self._receipts is not None:
                carrying.create_task(self._receipts.run())
