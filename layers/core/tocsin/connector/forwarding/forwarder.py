"""From the socket to SQS: nothing is acknowledged to WhatsApp before the queue has it.

Stanzas wait in lanes, one per message group. Only the head of a lane is ever under way, so the order of a
sender holds through every failure; different lanes travel together, ten to a request.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tocsin.connector.forwarding.room import Room
from tocsin.connector.forwarding.stanza import MAX_BYTES, Origin, Packed, TooLarge, pack
from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

BATCH = 10
"""Messages in one SendMessageBatch, at most; together they may not exceed MAX_BYTES either."""

WORKERS = 4

SendBatch = Callable[[Sequence[Packed]], Awaitable[Mapping[int, bool]]]
"""Hands messages to the queue. Of those not accepted: position → whether trying again can help.
May raise: then none was accepted."""


class QueueGone(Exception):
    """There is no queue of this name any more."""


@dataclass
class Counters:
    """`unstored`: connections that were opened though stanzas of the one before were still under way."""

    forwarded: int = 0
    too_large: int = 0
    failures: int = 0
    unstored: int = 0

    def reset(self) -> None:
        self.forwarded = self.too_large = self.failures = self.unstored = 0


@dataclass
class _Waiting:
    packed: Packed
    accepted: Callable[[], None]


@dataclass
class _Lane:
    stanzas: deque[_Waiting] = field(default_factory=deque)
    under_way: bool = False


def delays(jitter: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds between tries while the queue is away: 0.2 doubling to 20, each between half and whole."""
    seconds = 0.2
    while True:
        yield seconds * (0.5 + jitter() / 2)
        seconds = min(seconds * 2, 20.0)


class Forwarder:
    """The stanzas of one account on their way to the queue."""

    def __init__(
        self,
        send: SendBatch,
        counters: Counters,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        room: Room | None = None,
    ) -> None:
        self._send = send
        self._sleep = sleep
        self._counters = counters
        self._room = room or Room()
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        self._held: dict[str, asyncio.TimerHandle] = {}
        self._work = asyncio.Event()
        self.progress = self._room.progress
        self.drained = self._room.drained

    @property
    def waiting(self) -> int:
        return self._room.waiting

    def offer(
        self,
        node: Node,
        origin: Origin,
        received_at: int,
        accepted: Callable[[], None],
        *,
        hold_for: float = 0.0,
    ) -> bool:
        """Take a stanza; `accepted` is called once the queue has it, or never can. `hold_for`: seconds for
        which its lane waits, if nothing is in it.

        False: too much waits already. Nothing later of this socket may be taken before it, or it would
        overtake: `await progress()` and offer it again; if there is none, drop the socket, `await drained()`,
        and have WhatsApp deliver again.
        """
        try:
            packed = pack(node, origin, received_at)
        except TooLarge as exc:
            self._counters.too_large += 1
            log.error("stanza too large for the queue", extra={"tag": node.tag, "size": exc.size})
            accepted()
            return True
        if not self._room.enter(len(packed.body)):
            return False
        lane = self._lanes.setdefault(packed.group, _Lane())
        lane.stanzas.append(_Waiting(packed, accepted))
        if len(lane.stanzas) == 1:
            if hold_for > 0:
                loop = asyncio.get_running_loop()
                self._held[packed.group] = loop.call_later(hold_for, self._release, packed.group)
            else:
                self._make_ready(packed.group)
        return True

    def hold_at_most(self, group: str, seconds: float) -> None:
        """Hold a lane that is held for no longer than so many seconds from now on."""
        loop = asyncio.get_running_loop()
        if group in self._held and self._held[group].when() > loop.time() + seconds:
            self._held[group].cancel()
            self._held[group] = loop.call_later(seconds, self._release, group)

    def hurry(self) -> None:
        """Hold nothing any longer."""
        for group in list(self._held):
            self._release(group)

    def _release(self, group: str) -> None:
        self._held.pop(group).cancel()
        self._make_ready(group)

    def forget(self) -> None:
        """Drop what isn't under way. Its socket is closed and nothing was acknowledged, so WhatsApp delivers
        it again."""
        for timer in self._held.values():
            timer.cancel()
        self._held.clear()
        for group, lane in list(self._lanes.items()):
            keep = 1 if lane.under_way else 0
            while len(lane.stanzas) > keep:
                self._leave(lane.stanzas.pop())
            if not lane.stanzas:
                del self._lanes[group]
        self._ready.clear()

    async def run(self) -> None:
        """Carry stanzas until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._worker())

    async def _worker(self) -> None:
        waits = delays()
        while True:
            batch = await self._next_batch()
            try:
                refused = await self._send([waiting.packed for _, waiting in batch])
            except asyncio.CancelledError:
                # The account leaves this process, and may come back: none of its lanes may stay under way.
                for group, waiting in batch:
                    self._abandon(group, waiting)
                raise
            except Exception as exc:  # noqa: BLE001  whatever SQS or the network says: nothing was taken
                log.warning("the stanza queue is away: %s", exc, extra={"waiting": self._room.waiting})
                refused = dict.fromkeys(range(len(batch)), True)
            for position, (group, waiting) in enumerate(batch):
                self._done(group, waiting, again=refused.get(position, False))
            self._counters.forwarded += len(batch) - len(refused)
            self._counters.failures += len(refused)
            if any(refused.values()):
                await self._sleep(next(waits))
            else:
                waits = delays()

    async def _next_batch(self) -> list[tuple[str, _Waiting]]:
        """The heads of as many lanes as fit one request."""
        while not self._ready:
            self._work.clear()
            await self._work.wait()
        batch: list[tuple[str, _Waiting]] = []
        room = MAX_BYTES
        while self._ready and len(batch) < BATCH:
            head = self._lanes[self._ready[0]].stanzas[0]
            if batch and len(head.packed.body) > room:
                break
            group = self._ready.popleft()
            self._lanes[group].under_way = True
            batch.append((group, head))
            room -= len(head.packed.body)
        return batch

    def _done(self, group: str, waiting: _Waiting, *, again: bool) -> None:
        lane = self._lanes[group]
        lane.under_way = False
        if not again:
            self._leave(lane.stanzas.popleft())
            waiting.accepted()
        if lane.stanzas:
            self._make_ready(group)
        else:
            del self._lanes[group]

    def _abandon(self, group: str, waiting: _Waiting) -> None:
        lane = self._lanes[group]
        lane.under_way = False
        lane.stanzas.remove(waiting)
        self._leave(waiting)
        if lane.stanzas:
            self._make_ready(group)
        else:
            del self._lanes[group]

    def _make_ready(self, group: str) -> None:
        self._ready.append(group)
        self._work.set()

    def _leave(self, waiting: _Waiting) -> None:
        self._room.leave(len(waiting.packed.body))
