"""A message that comes right behind a receipt of its sender waits until that is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import pytest

from tocsin.connector.forwarding import ways
from tocsin.connector.forwarding.forwarder import Counters
from tocsin.connector.forwarding.stanza import Origin, Packed
from tocsin.connector.forwarding.ways import Ways
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

ORIGIN = Origin("default", incarnation=1, epoch=1)
SITI, BUDI = "1@lid", "2@lid"


class Arrivals:
    """Two queues and what each of them holds, by message group."""

    def __init__(self) -> None:
        self.stanzas: list[str] = []
        self.receipts: list[str] = []
        self.more = asyncio.Event()

    async def take_stanzas(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        self.stanzas += [message.group.partition("#")[2] for message in messages]
        self.more.set()
        return {}

    async def take_receipts(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        self.receipts += [message.group for message in messages]
        return {}

    async def next(self) -> list[str]:
        await asyncio.wait_for(self.more.wait(), 60)
        self.more.clear()
        return self.stanzas


def stanza(tag: str, sender: str, device: int = 0) -> Node:
    return Node(tag, {"id": f"{tag}-{sender}", "from": JID.parse(sender).with_device(device)})


def play(*offered: Node, hurry: bool = False) -> list[str]:
    """Who is in the stanza queue when something first is, after all of these came; `hurry`: in the end."""

    async def run() -> list[str]:
        arrivals = Arrivals()
        both = Ways(arrivals.take_stanzas, arrivals.take_receipts, Counters())
        carrying = asyncio.ensure_future(both.run())
        for node in offered:
            assert both.offer(node, ORIGIN, 1, lambda: None)
        if hurry:
            await asyncio.wait_for(both.drained(), 60)
        first = list(await arrivals.next())
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        return first

    return asyncio.run(run())


def test_a_message_right_behind_a_receipt_of_its_sender_is_held_and_nobody_else_s_is() -> None:
    came = play(stanza("receipt", SITI, device=3), stanza("message", SITI), stanza("message", BUDI))
    assert came == [BUDI]


def test_what_follows_a_message_that_is_held_does_not_overtake_it() -> None:
    came = play(
        stanza("receipt", SITI),
        stanza("message", SITI),
        stanza("notification", SITI),
        stanza("message", BUDI),
    )
    assert came == [BUDI]


def test_without_a_receipt_before_it_a_message_goes_at_once() -> None:
    assert play(stanza("message", SITI)) == [SITI]


def test_what_is_no_message_is_not_held() -> None:
    assert play(stanza("receipt", SITI), stanza("notification", SITI)) == [SITI]


def test_a_message_goes_by_itself_once_the_receipt_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "SETTLED_SECONDS", 0.05)
    assert play(stanza("receipt", SITI), stanza("message", SITI)) == [SITI]


def test_nothing_is_held_when_the_account_leaves() -> None:
    assert play(stanza("receipt", SITI), stanza("message", SITI), hurry=True) == [SITI]


class Closed(Arrivals):
    """Its receipts queue takes nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def take_receipts(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        await self.open.wait()
        return await super().take_receipts(messages)


def held_by_a_receipt(
    monkeypatch: pytest.MonkeyPatch, settled: float, held: float, *, opens: bool
) -> list[str]:
    """What was stored in which order: of a message behind a receipt that the queue doesn't take at first."""
    monkeypatch.setattr(ways, "SETTLED_SECONDS", settled)
    monkeypatch.setattr(ways, "MAX_HELD_SECONDS", held)

    async def run() -> list[str]:
        queues, stored = Closed(), []
        both = Ways(queues.take_stanzas, queues.take_receipts, Counters())
        carrying = asyncio.ensure_future(both.run())
        both.offer(stanza("receipt", SITI), ORIGIN, 1, lambda: stored.append("receipt"))
        both.offer(stanza("message", SITI), ORIGIN, 1, lambda: stored.append("message"))
        if opens:
            queues.open.set()
        await queues.next()
        queues.open.set()
        await asyncio.wait_for(both.drained(), 60)
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        return stored

    return asyncio.run(run())


def test_a_message_waits_until_the_queue_has_the_receipt_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert held_by_a_receipt(monkeypatch, 0.01, 60.0, opens=True) == ["receipt", "message"]


def test_a_queue_that_takes_no_receipts_holds_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert held_by_a_receipt(monkeypatch, 60.0, 0.01, opens=False) == ["message", "receipt"]


async def test_further_receipts_hold_a_message_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "SETTLED_SECONDS", 0.2)
    arrivals = Arrivals()
    both = Ways(arrivals.take_stanzas, arrivals.take_receipts, Counters())
    carrying = asyncio.ensure_future(both.run())
    both.offer(stanza("receipt", SITI), ORIGIN, 1, lambda: None)
    both.offer(stanza("message", SITI), ORIGIN, 1, lambda: None)

    async def chatter() -> None:
        while True:
            both.offer(stanza("receipt", SITI), ORIGIN, 1, lambda: None)
            await asyncio.sleep(0.05)

    chattering = asyncio.ensure_future(chatter())
    assert await arrivals.next() == [SITI]
    for task in (chattering, carrying):
        task.cancel()
    await asyncio.gather(chattering, carrying, return_exceptions=True)


async def test_while_the_account_leaves_nothing_new_is_held_either() -> None:
    queues = Closed()
    both = Ways(queues.take_stanzas, queues.take_receipts, Counters())
    carrying = asyncio.ensure_future(both.run())
    both.offer(stanza("receipt", SITI), ORIGIN, 1, lambda: None)
    leaving = asyncio.ensure_future(both.drained())
    await asyncio.sleep(0)
    both.offer(stanza("message", SITI), ORIGIN, 1, lambda: None)
    assert await queues.next() == [SITI]
    queues.open.set()
    await asyncio.wait_for(leaving, 60)
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)


def test_what_is_held_is_dropped_with_its_socket() -> None:
    async def run() -> list[str]:
        arrivals = Arrivals()
        both = Ways(arrivals.take_stanzas, arrivals.take_receipts, Counters())
        carrying = asyncio.ensure_future(both.run())
        both.offer(stanza("receipt", SITI), ORIGIN, 1, lambda: None)
        both.offer(stanza("message", SITI), ORIGIN, 1, lambda: None)
        both.forget()
        both.offer(stanza("message", BUDI), ORIGIN, 1, lambda: None)
        await asyncio.wait_for(both.drained(), 60)
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        return arrivals.stanzas

    assert asyncio.run(run()) == [BUDI]


async def test_what_is_not_stored_when_the_account_goes_to_another_connector_is_not_acknowledged() -> None:
    """So WhatsApp delivers it again, to whoever is there then, in the order in which it came."""
    queues, acknowledged = Closed(), list[str]()
    both = Ways(queues.take_stanzas, queues.take_receipts, Counters())
    carrying = asyncio.ensure_future(both.run())
    for tag in ("receipt", "message"):
        both.offer(stanza(tag, SITI), ORIGIN, 1, partial(acknowledged.append, tag))
    leaving = asyncio.ensure_future(both.drained())
    await queues.next()
    leaving.cancel()
    carrying.cancel()
    await asyncio.gather(leaving, carrying, return_exceptions=True)
    both.forget()
    assert acknowledged in ([], ["message"]), "the receipts queue took nothing"
    assert both.waiting == 0


async def test_a_receipt_that_is_refused_for_ever_keeps_no_other_sender_in_mind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ways, "SETTLED_SECONDS", 0.0)
    queues, stored = RefusingTheFirst(), asyncio.Queue[None]()
    both = Ways(queues.take_stanzas, queues.take_receipts, Counters())
    carrying = asyncio.ensure_future(both.run())
    both.offer(stanza("receipt", SITI), Origin("default", incarnation=1, epoch=0), 1, lambda: None)
    for number in range(50):
        sender = f"{1000 + number}@lid"
        both.offer(stanza("receipt", sender), ORIGIN, 1, lambda: stored.put_nowait(None))
    for _ in range(50):
        await asyncio.wait_for(stored.get(), 60)
    both.offer(stanza("message", BUDI), ORIGIN, 1, lambda: None)
    assert len(both._pending) + len(both._settled) == 1
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)


class RefusingTheFirst(Arrivals):
    """Its receipts queue refuses the first message of each request."""

    async def take_receipts(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        return {0: True}
