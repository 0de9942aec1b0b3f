"""A socket that gives more than is taken, or less than is awaited: memory stays bounded, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.noise_peer import logged_in
from tocsin.connector.socket import UNHANDLED, UNSENT, Line
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.events import StanzaReceived
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node

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
    async with asyncio.timeout(60):
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


# -- acks that don't come --------------------------------------------------------------------------------

MESSAGE = Node("message", {"id": "3EB0AA", "to": ALICE, "type": "text"}, b"ciphertext")
LATE = Node("ack", {"id": "3EB0AA", "class": "message", "from": ALICE})


class Talk:
    """A line that writes into a queue, and a server whose answers the test gives."""

    def __init__(self) -> None:
        self.talk = logged_in()
        self.talk.says()
        socket: Any = Socket([])
        self.line = Line(socket, self.talk.client, lambda: self.talk.now)

    @property
    def written(self) -> int:
        return self.line._outgoing.qsize()

    def answers(self, node: Node) -> None:
        self.talk.client.receive_data(self.talk.peer.seal(encode(node)), self.talk.now)
        self.line._settle()

    def waits(self, seconds: float) -> None:
        self.talk.now += seconds
        self.talk.client.tick(self.talk.now)
        self.line._settle()


async def test_a_message_without_an_ack_is_sent_again_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.connector.socket.RESEND_SECONDS", (0, 0))
    talk = Talk()
    sending = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 3)
    talk.answers(LATE)
    assert (await sending).attr_str("id") == "3EB0AA"


async def test_a_message_that_is_acknowledged_is_sent_once() -> None:
    talk = Talk()
    sending = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 1)
    talk.answers(LATE)
    await sending
    assert talk.written == 1


async def test_two_senders_of_one_message_id_share_the_ack_of_either() -> None:
    """The first one's may be lost: its sender was killed, and another one sends it anew."""
    talk = Talk()
    both = [asyncio.ensure_future(talk.line.message(MESSAGE)) for _ in range(2)]
    await until(lambda: talk.written == 2)
    talk.answers(LATE)
    assert [(await one).attr_str("id") for one in both] == ["3EB0AA"] * 2


async def test_the_time_of_one_sender_isn_t_the_other_ones() -> None:
    talk = Talk()
    first = asyncio.ensure_future(talk.line.message(MESSAGE, 5))
    await until(lambda: talk.written == 1)
    second = asyncio.ensure_future(talk.line.message(MESSAGE, 50))
    await until(lambda: talk.written == 2)
    talk.waits(6)
    with pytest.raises(TimeoutError):
        await first
    talk.answers(LATE)
    assert (await second).attr_str("id") == "3EB0AA"


async def test_the_ack_of_an_earlier_copy_is_not_taken_for_that_of_a_later_stanza(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may say of other devices: a message to those that were missed bears the same id."""
    monkeypatch.setattr("tocsin.connector.socket.RESEND_SECONDS", (0,))
    talk = Talk()
    first = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 2)
    talk.answers(LATE)
    await first
    monkeypatch.setattr("tocsin.connector.socket.RESEND_SECONDS", ())
    later = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 3)
    talk.answers(LATE)  # the copy's
    await quiet()
    assert not later.done()
    true = Node("ack", {**LATE.attrs, "phash": "2:AAAA"})
    talk.answers(true)
    assert (await later).attrs["phash"] == "2:AAAA"


async def test_an_ack_that_may_be_a_copy_s_counts_if_no_other_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tocsin.connector.socket.RESEND_SECONDS", (0,))
    monkeypatch.setattr("tocsin.connector.socket.DOUBTED_SECONDS", 0.01)
    talk = Talk()
    first = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 2)
    talk.answers(LATE)
    await first
    monkeypatch.setattr("tocsin.connector.socket.RESEND_SECONDS", ())
    later = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 3)
    talk.answers(LATE)
    assert (await later).attr_str("id") == "3EB0AA"


async def test_a_copy_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.connector.socket.RESEND_SECONDS", (0,))
    talk = Talk()
    first = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 2)
    talk.answers(LATE)
    await first
    talk.talk.now += 31
    monkeypatch.setattr("tocsin.connector.socket.RESEND_SECONDS", ())
    later = asyncio.ensure_future(talk.line.message(MESSAGE))
    await until(lambda: talk.written == 3)
    talk.answers(LATE)
    await quiet()
    assert later.done()


async def test_a_message_whose_twin_was_acknowledged_times_out_no_more() -> None:
    """Three time-outs in a row would have counted as a deaf socket."""
    talk = Talk()
    both = [asyncio.ensure_future(talk.line.message(MESSAGE, 5)) for _ in range(2)]
    await until(lambda: talk.written == 2)
    talk.answers(LATE)
    await asyncio.gather(*both)
    talk.waits(6)
    assert talk.line._unacked == 0
