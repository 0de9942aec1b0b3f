"""Receipts on their way to their queue: many to a message, acknowledged once stored, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from tocsin.connector.forwarding.forwarder import Counters, QueueGone
from tocsin.connector.forwarding.receipts import MAX_RECEIPTS, Instead, ReceiptForwarder
from tocsin.connector.forwarding.room import Room
from tocsin.connector.forwarding.stanza import MAX_BYTES, Origin, Packed
from tocsin.connector.forwarding.ways import Ways
from tocsin.multidevice.inbound.envelope import Envelope, parse_receipts
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

ORIGIN = Origin("default", incarnation=1, epoch=1)
AT_ONCE, NEVER = 0.0, 3600.0


def receipt(name: str, kind: str | None = None) -> Node:
    attrs = {"id": name, "from": JID.parse("1@lid"), **({"type": kind} if kind else {})}
    return Node("receipt", attrs)


@dataclass
class Queue:
    """A queue that a test makes fail: `failures` are used up one a request (an exception, or refusals)."""

    failures: list[Exception | Mapping[int, bool]] = field(default_factory=list)
    requests: list[list[Packed]] = field(default_factory=list)
    stored: list[Packed] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def send(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        self.asked.set()
        await self.gate.wait()
        self.requests.append(list(messages))
        failure = self.failures.pop(0) if self.failures else {}
        if isinstance(failure, Exception):
            raise failure
        self.stored += [each for at, each in enumerate(messages) if at not in failure]
        return failure

    @property
    def names(self) -> list[str]:
        """The ids of the receipts that it holds."""
        return [name for one in self.stored for name in names_in(one)]


def names_in(message: Packed) -> list[str]:
    envelopes, unreadable = parse_receipts(message.body)
    assert unreadable == []
    return [str(envelope.stanza.attrs["id"]) for envelope in envelopes]


@dataclass
class Scene:
    queue: Queue
    forwarder: ReceiptForwarder
    room: Room
    counters: Counters
    acked: list[str] = field(default_factory=list)

    def offer(self, node: Node, origin: Origin = ORIGIN) -> bool:
        plain = self.forwarder.takes(node)
        assert plain is not None
        name = str(node.attrs["id"])
        return self.forwarder.offer(plain, origin, 5, lambda: self.acked.append(name))


@asynccontextmanager
async def carrying(
    queue: Queue | None = None,
    *,
    window: float = AT_ONCE,
    instead: Instead | None = None,
    **limits: int,
) -> AsyncIterator[Scene]:
    async def no_time(seconds: float) -> None:
        await asyncio.sleep(0)

    room, counters, queue = Room(**limits), Counters(), queue or Queue()
    forwarder = ReceiptForwarder(
        queue.send, counters, room, instead=instead, window_seconds=window, sleep=no_time
    )
    running = asyncio.create_task(forwarder.run())
    try:
        async with asyncio.timeout(60):
            yield Scene(queue, forwarder, room, counters)
    finally:
        running.cancel()


async def test_many_share_a_message_and_each_is_acknowledged_once_it_is_stored() -> None:
    async with carrying(window=NEVER) as scene:
        scene.queue.gate.clear()
        for number in range(MAX_RECEIPTS):
            scene.offer(receipt(f"{number}"))
        await asyncio.sleep(0)
        assert scene.acked == []
        scene.queue.gate.set()
        await scene.room.drained()
        assert len(scene.queue.stored) == 1
        assert scene.acked == scene.queue.names == [str(number) for number in range(MAX_RECEIPTS)]


async def test_one_that_nothing_follows_leaves_when_its_moment_is_over() -> None:
    async with carrying() as scene:
        scene.offer(receipt("A"))
        await scene.room.drained()
        assert scene.queue.names == ["A"]


async def test_whoever_leaves_lets_none_wait_for_others() -> None:
    async with carrying(window=NEVER) as scene:
        scene.offer(receipt("A"))
        await asyncio.sleep(0)
        scene.forwarder.hurry()
        await scene.room.drained()
        assert scene.acked == ["A"]


async def test_while_the_queue_is_away_nothing_is_lost_and_nothing_acknowledged() -> None:
    failures: list[Exception | Mapping[int, bool]] = [
        OSError(),
        {0: True, 2: True},
        OSError(),
        {1: True},
    ]
    async with carrying(Queue(failures)) as scene:
        wanted = {str(number) for number in range(7 * MAX_RECEIPTS)}
        for name in sorted(wanted):
            scene.offer(receipt(name))
        await scene.room.drained()
        assert set(scene.acked) == set(scene.queue.names) == wanted
        assert len(scene.queue.names) == len(wanted)
        assert scene.counters.forwarded == len(wanted)
        assert scene.counters.failures > 0


async def test_what_can_never_be_stored_is_acknowledged_or_it_would_come_back_for_ever() -> None:
    async with carrying(Queue([{0: False}])) as scene:
        scene.offer(receipt("A"))
        await scene.room.drained()
        assert (scene.acked, scene.queue.names) == (["A"], [])


async def test_no_request_is_larger_than_sqs_takes() -> None:
    async with carrying(Queue([OSError()])) as scene:
        for number in range(3000):
            scene.offer(receipt(f"{number}" + "x" * 900))
        await scene.room.drained()
    assert all(sum(len(one.body) for one in request) <= MAX_BYTES for request in scene.queue.requests)
    assert all(len(request) <= 10 for request in scene.queue.requests)


async def test_a_message_holds_what_came_over_one_connection() -> None:
    async with carrying(window=NEVER) as scene:
        for number in range(MAX_RECEIPTS):
            scene.offer(receipt(f"{number}"), Origin("default", incarnation=1, epoch=number // 50))
        await scene.room.drained()
        assert [len(names_in(one)) for one in scene.queue.stored] == [50, 50]


async def test_a_burst_waits_at_the_socket_and_not_in_memory() -> None:
    async with carrying(max_waiting=150) as scene:
        scene.queue.gate.clear()
        taken = [scene.offer(receipt(f"{number}")) for number in range(200)]
        assert taken == [True] * 150 + [False] * 50
        scene.queue.gate.set()
        await scene.room.progress()
        assert scene.offer(receipt("late"))
        await scene.room.drained()


async def test_after_the_connection_is_gone_nothing_waits() -> None:
    async with carrying(window=NEVER) as scene:
        for number in range(5):
            scene.offer(receipt(f"{number}"))
        scene.forwarder.forget()
        await scene.room.drained()
        assert (scene.room.waiting, scene.acked, scene.queue.stored) == (0, [], [])


async def test_a_request_that_is_cut_short_leaves_no_room_taken() -> None:
    room, queue = Room(), Queue()
    queue.gate.clear()
    forwarder = ReceiptForwarder(queue.send, Counters(), room, window_seconds=AT_ONCE)
    running = asyncio.create_task(forwarder.run())
    plain = forwarder.takes(receipt("A"))
    assert plain is not None
    forwarder.offer(plain, ORIGIN, 5, lambda: None)
    await queue.asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert room.waiting == 0


# -- which way? ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [None, "inactive", "read", "played", "sender"])
async def test_delivery_and_read_receipts_go_to_their_own_queue(kind: str | None) -> None:
    stanzas, receipts = await sent(receipt("A", kind))
    assert (len(stanzas.stored), receipts.names) == (0, ["A"])


@pytest.mark.parametrize(
    "node",
    [
        receipt("A", "retry"),
        receipt("A", "server-error"),
        Node("message", {"id": "A", "from": JID.parse("1@lid")}),
        Node("notification", {"id": "A", "from": JID.parse("1@lid")}),
        receipt("A" * 60_000),
    ],
    ids=["retry", "server-error", "message", "notification", "huge"],
)
async def test_all_else_goes_in_order(node: Node) -> None:
    stanzas, receipts = await sent(node)
    assert (len(stanzas.stored), receipts.stored) == (1, [])


async def test_where_there_is_no_queue_for_receipts_they_go_in_order_too() -> None:
    stanzas, _ = await sent(receipt("A"), with_receipts=False)
    assert len(stanzas.stored) == 1


async def sent(node: Node, *, with_receipts: bool = True) -> tuple[Queue, Queue]:
    """What both queues hold after a stanza was taken."""
    stanzas, receipts = Queue(), Queue()
    ways = Ways(stanzas.send, receipts.send if with_receipts else None, Counters())
    running = asyncio.create_task(ways.run())
    assert ways.offer(node, ORIGIN, 5, lambda: None)
    async with asyncio.timeout(60):
        await ways.drained()
    running.cancel()
    return stanzas, receipts


# -- a rollback deletes the queue under a connector of this release ----------------------------------------


async def test_without_their_queue_receipts_go_as_every_release_reads_them() -> None:
    stanzas, receipts, acked = Queue(), Queue(failures=[QueueGone("receipts")]), list[str]()
    ways = Ways(stanzas.send, receipts.send, Counters())
    running = asyncio.create_task(ways.run())
    async with asyncio.timeout(60):
        for name in "ABC":
            assert ways.offer(receipt(name), ORIGIN, 5, partial(acked.append, name))
        await ways.drained()
        # And from now on at once.
        ways.offer(receipt("D"), ORIGIN, 5, partial(acked.append, "D"))
        await ways.drained()
    running.cancel()
    assert sorted(acked) == ["A", "B", "C", "D"]
    assert [Envelope.parse(message.body).stanza.attrs["id"] for message in stanzas.stored] == [
        "A",
        "B",
        "C",
        "D",
    ]
    assert (len(receipts.requests), receipts.stored) == (1, [])


async def test_what_the_other_way_has_no_room_for_waits_unacknowledged() -> None:
    refused, taken = [True, False, True], list[str]()

    def instead(node: Node, origin: Origin, received_at: int, accepted: Callable[[], None]) -> bool:
        if refused and not refused.pop(0):
            return False
        taken.append(str(node.attrs["id"]))
        accepted()
        return True

    queue = Queue(failures=[QueueGone("receipts"), QueueGone("receipts")])
    async with carrying(queue, instead=instead) as scene:
        for name in "ABC":
            scene.offer(receipt(name))
        await scene.room.drained()
        assert taken == scene.acked == ["A", "B", "C"]


async def test_twin_without_another_way_keeps_them_and_asks_again() -> None:
    async with carrying(Queue(failures=[QueueGone("receipts")])) as scene:
        scene.offer(receipt("A"))
        await scene.room.drained()
        assert scene.queue.names == ["A"]
