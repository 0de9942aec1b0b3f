"""One WebSocket to WhatsApp with the sans-I/O client in it: bytes and time go in, events come out.

The line lives from `open_line` to the `StreamEnded` that is always its last event. Once the lease is lost,
nothing is read from it and nothing written to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import broadcast
from websockets.exceptions import ConnectionClosed, WebSocketException

from tocsin.connector_client.protocol import IQ_TIMEOUT, MESSAGE_TIMEOUT
from tocsin.whatsapp import reaction
from tocsin.whatsapp.assertion import Assertion
from tocsin.whatsapp.connection import Connection, NotOpen
from tocsin.whatsapp.events import (
    AckReceived,
    AckTimeout,
    Event,
    RequestTimeout,
    Response,
    StreamEnded,
)
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.reaction import Reaction

log = logging.getLogger(__name__)

ORIGIN: Final = "https://web.whatsapp.com"
USER_AGENT: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
NO_CACHE: Final = {"Cache-Control": "no-cache", "Pragma": "no-cache"}
OPEN_SECONDS: Final = 20
CLOSE_SECONDS: Final = 2

UNHANDLED: Final = 256
"""Events that may wait for the account before the socket is read no further."""

UNSENT: Final = 4096
"""Frames that may wait to be written, likewise: a server that asks and doesn't listen fills no memory."""

RESEND_SECONDS: Final = (3, 7, 20)
"""After so long without an ack a message is sent again, as it is; then it is waited for what is left of its
time. An ack takes a fraction of a second: one that takes longer was lost, or its message was."""

COPIES_SECONDS: Final = 30.0
"""For so long after a message was sent again, the acks of its copies may still come."""

DOUBTED_SECONDS: Final = 2.0
"""An ack that may be an earlier copy's counts after so long, if no other one came: it may speak of other
devices than the stanza that waits for it."""

UNACKED: Final = 3
"""Messages in a row without an ack, after which a socket that answers pings counts as deaf all the same."""


class LineLost(Exception):
    """The connection ended before the answer came. Whether the server had the stanza isn't known."""


class LineClosed(Exception):
    """Nothing can be written: not logged in, or over. Nothing was sent."""


class OpenFailed(Exception):
    """The WebSocket could not be opened; try again after a while."""


async def open_line(url: str, connection: Connection, clock: Callable[[], float]) -> Line:
    """Open the socket. Raises `OpenFailed`."""
    try:
        socket = await connect(
            url,
            origin=ORIGIN,  # type: ignore[arg-type]  # a NewType of str
            user_agent_header=USER_AGENT,
            additional_headers=NO_CACHE,
            compression=None,  # what goes through is ciphertext
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,  # liveness is the protocol's own ping
            max_size=2**24 + 1024,  # a frame, and some
            proxy=None,
            ssl=_authorities() if url.startswith("wss:") else None,
        )
    except (OSError, TimeoutError, WebSocketException) as exc:
        raise OpenFailed(f"{type(exc).__name__}: {exc}") from exc
    return Line(socket, connection, clock)


@cache
def _authorities() -> ssl.SSLContext:
    """One context for all accounts: the certificates of all authorities take 0.7 MB."""
    return ssl.create_default_context()


class Line:
    """`run` carries; `request`, `message` and `write` are for whoever has something to say."""

    def __init__(self, socket: ClientConnection, connection: Connection, clock: Callable[[], float]) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._room = asyncio.Event()
        self._socket = socket
        self._connection = connection
        self._clock = clock
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._holds: Callable[[], bool] = lambda: False
        self._writing = False
        self._answers: dict[str, asyncio.Future[Node]] = {}
        self._acks: dict[str, list[asyncio.Future[Node]]] = {}
        # Message id → acks of copies that may still come, and until when.
        self._copies: dict[str, tuple[int, float]] = {}
        self._copied: set[asyncio.Future[Node]] = set()
        """Those that wait for the ack of a stanza that they sent again themselves."""
        self._unacked = 0
        self._scheduled: float | None = None
        self._sooner = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self, holds: Callable[[], bool]) -> None:
        """Carry bytes until the connection ends. `holds`: whether the lease is still ours."""
        self._holds = holds
        self._connection.start(self._clock())
        self._settle()
        reading = asyncio.ensure_future(self._read(holds))
        others = [asyncio.ensure_future(work) for work in (self._write(holds), self._tick())]
        ended = asyncio.ensure_future(self._ended.wait())
        tasks: list[asyncio.Future[Any]] = [reading, *others, ended]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # A write that failed may have been overtaken by the reason for it, which is still to be read.
            await asyncio.wait([reading, ended], timeout=1, return_when=asyncio.FIRST_COMPLETED)
            self._connection.connection_lost()  # says nothing if it ended by itself
            self._settle()
            await self._write_the_rest(holds)
        finally:
            self._fail_waiting()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()):
                log.error("the line broke", exc_info=error)
        await self.close()

    async def next_event(self) -> Event:
        """What happened next; after `StreamEnded` there is nothing more."""
        event = await self._events.get()
        self._make_room()
        return event

    # For whoever has something to say

    async def request(self, node: Node, seconds: float = IQ_TIMEOUT) -> Node:
        """The answer to an IQ, result or error. Raises `TimeoutError`, `LineLost`, `LineClosed`."""
        try:
            request_id = self._connection.request(node, self._clock(), seconds)
        except NotOpen as exc:
            raise LineClosed(str(exc)) from exc
        return await self._answer_to(request_id)

    async def go_active(self) -> Node:
        """Ask for live delivery. Raises as `request`."""
        try:
            request_id = self._connection.go_active(self._clock())
        except NotOpen as exc:
            raise LineClosed(str(exc)) from exc
        return await self._answer_to(request_id)

    async def message(self, node: Node, seconds: float = MESSAGE_TIMEOUT) -> Node:
        """The ack of a message. One that doesn't come is asked for: the same stanza goes out again, which
        WhatsApp and phones know by its id, and keys are used for nothing new. Several with one id are one
        message: the ack of either is both's. Raises as `request`."""
        try:
            message_id = self._connection.send_message(node, self._clock(), seconds)
        except NotOpen as exc:
            raise LineClosed(str(exc)) from exc
        ack: asyncio.Future[Node] = asyncio.get_running_loop().create_future()
        waiting = self._acks.setdefault(message_id, [])
        waiting.append(ack)
        self._settle()
        try:
            for pause in RESEND_SECONDS:
                if (await asyncio.wait([ack], timeout=pause))[0]:
                    break
                log.info("no ack yet, sent again", extra={"stanza": message_id})
                self.write(node)
                self._copied.add(ack)
                self._note_copy(message_id)
            return await ack
        finally:
            self._copied.discard(ack)
            waiting.remove(ack)
            if not waiting:
                self._acks.pop(message_id, None)

    def _note_copy(self, message_id: str) -> None:
        now = self._clock()
        self._copies = {name: (left, until) for name, (left, until) in self._copies.items() if until > now}
        left, _ = self._copies.get(message_id, (0, 0.0))
        self._copies[message_id] = left + 1, now + COPIES_SECONDS

    def write(self, node: Node) -> None:
        """Send what needs no answer. Raises `LineClosed`."""
        try:
            self._connection.send_node(node)
        except NotOpen as exc:
            raise LineClosed(str(exc)) from exc
        self._settle()

    def confirm_pairing(self) -> None:
        """The pairing is stored: say so."""
        self._connection.confirm_pairing()
        self._settle()

    def ask_pairing_code(self, phone: str) -> None:
        """`phone`: digits. An event brings the code. Raises `InvalidJid`, `LineClosed`."""
        from tocsin.whatsapp.jid import JID, PN

        try:
            self._connection.request_pairing_code(JID(phone, PN), self._clock())
        except NotOpen as exc:
            raise LineClosed(str(exc)) from exc
        self._settle()

    def hand_over_assertion(self, assertion: Assertion, *, always_ask: bool) -> None:
        """Bring what the browser made of the challenge. Raises `PasskeyBusy`."""
        self._connection.hand_over_assertion(assertion, self._clock(), always_ask=always_ask)
        self._settle()

    def compare_codes(self, same: bool) -> None:
        """The operator compared the codes. Raises `PasskeyBusy`."""
        self._connection.compare_codes(same, self._clock())
        self._settle()

    async def close(self) -> None:
        """Leave politely (code 1000), within `CLOSE_SECONDS`."""
        self._connection.close()
        with contextlib.suppress(OSError, TimeoutError):
            await self._socket.close()

    def abort(self) -> None:
        """Leave at once: the lease is lost, and another may already be connected."""
        self._connection.close()
        self._socket.transport.abort()

    # What carries

    async def _read(self, holds: Callable[[], bool]) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in self._socket:
                if not holds():
                    return
                if isinstance(data, bytes):  # text carries nothing in this protocol
                    self._connection.receive_data(data, self._clock())
                    self._settle()
                if self._is_crowded():
                    self._room.clear()
                    await self._room.wait()

    def _is_crowded(self) -> bool:
        return self._events.qsize() > UNHANDLED or self._outgoing.qsize() > UNSENT

    def _make_room(self) -> None:
        if not self._is_crowded():
            self._room.set()

    async def _write(self, holds: Callable[[], bool]) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                data = await self._outgoing.get()
                if not holds():
                    return
                self._writing = True
                await self._socket.send(data)
                self._writing = False
                self._make_room()

    async def _write_the_rest(self, holds: Callable[[], bool]) -> None:
        """What was still to be said when the connection ended, as the refusal of a pairing."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(1):
                while holds() and not self._outgoing.empty():
                    await self._socket.send(self._outgoing.get_nowait())

    async def _tick(self) -> None:
        while True:
            self._sooner.clear()
            self._scheduled = self._connection.next_tick
            wait = None if self._scheduled is None else max(self._scheduled - self._clock(), 0)
            try:
                # Not wait_for: up to Python 3.11 it may swallow the cancellation that ends this loop.
                async with asyncio.timeout(wait):
                    await self._sooner.wait()
            except TimeoutError:
                self._connection.tick(self._clock())
                self._settle()

    def _settle(self) -> None:
        """After anything that touched the connection: send what it has to say, tell what happened."""
        for data in self._connection.data_to_send():
            if self._is_free():
                broadcast((self._socket,), data)  # which is `send` without its wait for room
            else:
                self._outgoing.put_nowait(data)
        for event in self._connection.events():
            self._tell(event)
        tick = self._connection.next_tick
        if tick is not None and (self._scheduled is None or tick < self._scheduled):
            self._sooner.set()

    def _is_free(self) -> bool:
        """True if what is written now goes out at once: nothing is queued before it, and the lease is
        ours."""
        behind = self._writing or self._outgoing.qsize() or self._socket.transport.get_write_buffer_size()
        return not behind and self._holds()

    def _tell(self, event: Event) -> None:
        match event:
            case Response(id=name, node=node):
                _resolve(self._answers.get(name), node)
            case RequestTimeout(id=name):
                _fail(self._answers.get(name), TimeoutError("no answer"))
            case AckReceived(id=name, node=node):
                self._unacked = 0
                self._on_ack(name, node)
            case AckTimeout(id=name):
                # The oldest of those with this id is over; a younger one has its own time.
                for ack in [one for one in self._acks.get(name, ()) if not one.done()][:1]:
                    _fail(ack, TimeoutError("no ack"))
                self._unacked += 1
                if self._unacked >= UNACKED:
                    self.end(reaction.DEAF)
            case StreamEnded():
                self._events.put_nowait(event)
                self._ended.set()
            case _:
                self._events.put_nowait(event)

    def _on_ack(self, name: str, node: Node) -> None:
        """The ack of one of the stanzas with this id is that of all that wait: they are one message."""
        waiting = list(self._acks.get(name, ()))
        left, until = self._copies.pop(name, (0, 0.0))
        if left and until > self._clock() and waiting and not self._copied.intersection(waiting):
            # Whoever waits now sent one stanza, and this may be the ack of an earlier one's copy.
            if left > 1:
                self._copies[name] = left - 1, until
            self._connection.await_ack(name, self._clock())
            asyncio.get_running_loop().call_later(DOUBTED_SECONDS, self._acknowledged, name, waiting, node)
            return
        if left:
            self._copies[name] = left, until
        self._acknowledged(name, waiting, node)

    def _acknowledged(self, name: str, waiting: list[asyncio.Future[Node]], node: Node) -> None:
        # No second time-out of a stanza whose twin was acknowledged.
        self._connection.settle_acks(name)
        for ack in waiting:
            _resolve(ack, node)

    def end(self, cause: Reaction) -> None:
        """End it from our side, for a cause the connection can't know; `StreamEnded` follows."""
        if not self._ended.is_set():
            self._connection.close()
            self._tell(StreamEnded(cause))

    async def _answer_to(self, name: str) -> Node:
        future: asyncio.Future[Node] = asyncio.get_running_loop().create_future()
        self._answers[name] = future
        self._settle()
        try:
            return await future
        finally:
            self._answers.pop(name, None)

    def _fail_waiting(self) -> None:
        for future in [*self._answers.values(), *(ack for acks in self._acks.values() for ack in acks)]:
            _fail(future, LineLost("the connection ended"))


def _resolve(future: asyncio.Future[Node] | None, node: Node) -> None:
    if future is not None and not future.done():
        future.set_result(node)


def _fail(future: asyncio.Future[Node] | None, error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
