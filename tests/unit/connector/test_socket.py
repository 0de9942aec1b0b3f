"""A socket that gives more than is taken: memory stays bounded, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.support.noise_peer import logged_in
from tocsin.connector.socket import UNHANDLED, UNSENT, Line
from tocsin.whatsapp.events import StanzaReceived
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node, encode

ALICE = JID.parse("777@lid")


@dataclass
class Socket:
    """Gives what it was made with, and counts it; writes wait for `opened`."""

    frames: list[bytes]
    given: int = 0
    written: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    transport: Any = field(default_factory=lambda: SimpleNamespace(get_write_buffer_size=lambda: 1))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for frame in self.frames:
            self.given += 1
            yield frame

    async def send(self, data: bytes) -> None:
        await self.opened.wait()
        self.written += 1


def line_of(nodes: list[Node]) -> tuple[Line, Socket]:
    talk = logged_in()
    talk.says()
    socket: Any = Socket([talk.peer.seal(encode(node)) for node in nodes])
    return Line(socket, talk.client, lambda: talk.now), socket


async def until(found: Callable[[], bool]) -> None:
    for _ in range(2000):
        if found():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it doesn't happen")


async def quiet() -> None:
    for _ in range(20):
        await asyncio.sleep(0.005)


async def test_the_socket_is_read_no_faster_than_its_stanzas_are_taken() -> None:
    count = UNHANDLED * 4
    line, socket = line_of(
        [Node("message", {"id": str(number), "from": ALICE, "type": "text"}) for number in range(count)]
    )
    reading = asyncio.ensure_future(line._read(lambda: True))
    await quiet()
    assert socket.given <= UNHANDLED + 1
    taken: list[str] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            event = await line.next_event()
            if isinstance(event, StanzaReceived):
                taken.append(event.node.attr_str("id"))
        await reading
    assert taken == [str(number) for number in range(count)]


async def test_a_server_that_asks_and_doesn_t_listen_is_read_no_further() -> None:
    ping = Node("iq", {"from": SERVER, "type": "get", "xmlns": "urn:xmpp:ping", "id": "1"})
    line, socket = line_of([ping] * (UNSENT + 500))
    tasks = [asyncio.ensure_future(work) for work in (line._read(lambda: True), line._write(lambda: True))]
    await until(lambda: socket.given >= UNSENT)
    await quiet()
    assert socket.given < UNSENT + 10
    socket.opened.set()
    await until(lambda: socket.written == UNSENT + 500)
    await tasks[0]
    tasks[1].cancel()
