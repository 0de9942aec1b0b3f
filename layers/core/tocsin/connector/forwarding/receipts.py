"""Delivery and read receipts on their way to the receipts queue: collected for a moment, many to a message.

They say only how far a message got, and states move forward only, so their order doesn't matter: none waits
for another. As with every stanza, none is acknowledged to WhatsApp before the queue has it.

The release before has no such queue, and a rollback of the stack deletes it under a connector that is updated
on its own. Then receipts go by the stanza queue, which every release reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tocsin.connector.forwarding.forwarder import BATCH, Counters, QueueGone, SendBatch, delays
from tocsin.connector.forwarding.room import Room
from tocsin.connector.forwarding.stanza import BILLED_BYTES, MAX_BYTES, Origin, Packed, pack_receipts
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import EncodeError
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.receipts import is_report

log = logging.getLogger(__name__)

WINDOW_SECONDS = 0.25
"""How long a receipt waits for others. What comes together is stored together."""

MAX_RECEIPTS = 100
"""In one message: what fails is handled again by messages."""

MAX_PLAIN_BYTES = BILLED_BYTES * 3 // 4 - 4096
"""Of the receipts in one message: even if they couldn't be compressed, it is billed as one."""


Instead = Callable[[Node, Origin, int, Callable[[], None]], bool]
"""Takes a receipt by another way, as `Forwarder.offer` does."""


@dataclass(frozen=True)
class _Waiting:
    plain: bytes
    origin: Origin
    received_at: int
    accepted: Callable[[], None]


class ReceiptForwarder:
    """The receipts of one account on their way to the queue."""

    def __init__(
        self,
        send: SendBatch,
        counters: Counters,
        room: Room,
        *,
        instead: Instead | None = None,
        window_seconds: float = WINDOW_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._send = send
        self._counters = counters
        self._room = room
        self._instead = instead
        self._gone = False
        self._window_seconds = window_seconds
        self._sleep = sleep
        self._waiting: deque[_Waiting] = deque()
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()

    def takes(self, node: Node) -> bytes | None:
        """The encoded receipt, if this is one that goes this way; None: it goes to the stanza queue."""
        if self._gone or not is_report(node):
            return None
        try:
            plain = encode(node)
        except EncodeError:
            return None  # is named where it is packed as any stanza
        return plain if len(plain) + 4 <= MAX_PLAIN_BYTES else None

    def offer(self, plain: bytes, origin: Origin, received_at: int, accepted: Callable[[], None]) -> bool:
        """Take a receipt that `takes` encoded; `accepted` is called once the queue has it, or never can.
        False: too much waits already, as in `Forwarder.offer`."""
        if not self._room.enter(len(plain)):
            return False
        self._waiting.append(_Waiting(plain, origin, received_at, accepted))
        self._work.set()
        if len(self._waiting) >= MAX_RECEIPTS:
            self._hurry.set()
        return True

    def hurry(self) -> None:
        """Send what waits without waiting for more."""
        self._hurry.set()

    def forget(self) -> None:
        """Drop what isn't under way, as `Forwarder.forget`."""
        while self._waiting:
            self._room.leave(len(self._waiting.pop().plain))

    async def run(self) -> None:
        """Carry receipts until cancelled."""
        waits = delays()
        while True:
            await self._collect()
            batch = self._take_batch()
            if await self._carry(batch):
                waits = delays()
            else:
                await self._sleep(next(waits))

    async def _collect(self) -> None:
        """Return when a receipt has waited long enough, or enough of them wait."""
        while not self._waiting:
            self._work.clear()
            self._hurry.clear()
            await self._work.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._window_seconds):
                await self._hurry.wait()

    def _take_batch(self) -> list[tuple[Packed, Sequence[_Waiting]]]:
        """The messages of one request, of what waits longest."""
        batch: list[tuple[Packed, Sequence[_Waiting]]] = []
        room = MAX_BYTES
        while self._waiting and len(batch) < BATCH:
            together = self._together()
            packed = pack_receipts([(one.plain, one.received_at) for one in together], together[0].origin)
            if batch and len(packed.body) > room:
                self._waiting.extendleft(reversed(together))
                break
            batch.append((packed, together))
            room -= len(packed.body)
        if len(self._waiting) < MAX_RECEIPTS:
            self._hurry.clear()
        return batch

    def _together(self) -> list[_Waiting]:
        """What goes into the next message: from one connection, and not too much."""
        together = [self._waiting.popleft()]
        room = MAX_PLAIN_BYTES - len(together[0].plain) - 4
        while self._waiting and len(together) < MAX_RECEIPTS:
            following = self._waiting[0]
            room -= len(following.plain) + 4
            if room < 0 or following.origin != together[0].origin:
                break
            together.append(self._waiting.popleft())
        return together

    async def _carry(self, batch: Sequence[tuple[Packed, Sequence[_Waiting]]]) -> bool:
        """Send a batch; whether all of it is settled. What isn't waits again, before all others."""
        try:
            refused = await self._send([packed for packed, _ in batch])
        except asyncio.CancelledError:
            self._leave(batch)
            raise
        except QueueGone as exc:
            if self._instead is not None:
                return self._go_by(self._instead, batch, exc)
            refused = dict.fromkeys(range(len(batch)), True)
        except Exception as exc:  # noqa: BLE001  whatever SQS or the network says: nothing was taken
            log.warning("the receipts queue is away: %s", exc, extra={"waiting": self._room.waiting})
            refused = dict.fromkeys(range(len(batch)), True)
        for position, (_, together) in reversed(list(enumerate(batch))):
            if refused.get(position, False):
                self._waiting.extendleft(reversed(together))
                continue
            for one in together:
                self._room.leave(len(one.plain))
                one.accepted()
        failed = sum(len(together) for position, (_, together) in enumerate(batch) if position in refused)
        self._counters.forwarded += sum(len(together) for _, together in batch) - failed
        self._counters.failures += failed
        return not any(refused.values())

    def _go_by(
        self, instead: Instead, batch: Sequence[tuple[Packed, Sequence[_Waiting]]], gone: QueueGone
    ) -> bool:
        """Give all that waits to the other way, which may have no room yet; whether all of it went."""
        if not self._gone:
            log.error(
                "the receipts queue is gone; receipts go by the stanza queue", extra={"queue": str(gone)}
            )
        self._gone = True
        waiting = [one for _, together in batch for one in together] + list(self._waiting)
        self._waiting.clear()
        for position, one in enumerate(waiting):
            self._room.leave(len(one.plain))
            if not instead(decode(one.plain), one.origin, one.received_at, one.accepted):
                self._room.enter(len(one.plain))
                self._waiting.extend(waiting[position:])
                return False
        return True

    def _leave(self, batch: Sequence[tuple[Packed, Sequence[_Waiting]]]) -> None:
        for _, together in batch:
            for one in together:
                self._room.leave(len(one.plain))
