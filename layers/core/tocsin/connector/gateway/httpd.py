"""A small HTTPS server: asyncio streams around h11, one request at a time per connection.

A request is admitted in two steps, so that the body of an unauthorised one is never read: `Admit` sees the
head and gives either the answer (a refusal) or the handler that gets the body. A handler is what makes a
stranger welcome (`visitors`): until then a connection has seconds, from the TCP handshake on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import h11

from tocsin.connector.gateway.visitors import Visitor, Visitors
from tocsin.connector_client import protocol

log = logging.getLogger(__name__)

MAX_HEAD = 16 * 1024
"""Bytes of request line and headers; a Lambda's head has about 300."""

HEAD_SECONDS = 10.0
"""For the head of a request, and again for its body."""

STRANGER_SECONDS = 5.0
"""From the TCP handshake to the head of the first authorised request, TLS included. A function connects in
order to ask at once; two seconds are its own patience for TCP and TLS."""

IDLE_SECONDS = 600.0
"""How long a kept-alive connection may be silent, once it was authorised. A frozen Lambda says nothing for
minutes."""

LINGER_SECONDS = 1.0
"""How long the unread body of a refused request is thrown away, lest a reset overtakes the refusal."""

MAX_LARGE = 4
"""Large bodies in memory at the same time. Further ones stay on the wire until there is room: a burst of
files must not cost all accounts their connector."""

MAX_CONNECTIONS = 512
"""A Lambda keeps one. Beyond it the oldest stranger goes; without any, a connection is closed at once."""

STRANGERS_OF_ONE = MAX_CONNECTIONS // 4
"""Connections of one address that haven't shown a token yet."""

WARN_SECONDS = 10.0
"""Between two warnings of too many connections: a flood of them must not become one of log lines."""

ACCEPT_PAUSE_SECONDS = 1.0
"""While the system has no room for another connection."""


@dataclass(frozen=True)
class Head:
    """Request line and headers, names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    content_type: str = protocol.NODE_TYPE
    close: bool = False


Handler = Callable[[bytes], Awaitable[Answer]]
Admit = Callable[[Head], Handler | Answer]


class Refused(Exception):
    """The request can't be read to its end; `answer` says why, and the connection is then closed."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class Limits:
    head_seconds: float = HEAD_SECONDS
    stranger_seconds: float = STRANGER_SECONDS
    idle_seconds: float = IDLE_SECONDS
    max_body: int = protocol.MAX_BODY
    large_body: int = protocol.LARGE_BODY
    max_large: int = MAX_LARGE
    max_connections: int = MAX_CONNECTIONS
    strangers_of_one: int = STRANGERS_OF_ONE


class HttpsServer:
    """`start`, then `close`: no new connections, then the running requests get `grace` seconds to end."""

    def __init__(
        self, admit: Admit, refuse: Callable[[str, str], Answer], limits: Limits | None = None
    ) -> None:
        self._admit = admit
        self._refuse = refuse
        self._limits = limits = limits or Limits()
        self._visitors = Visitors(limits.max_connections, limits.strangers_of_one, limits.stranger_seconds)
        self._large = asyncio.Semaphore(limits.max_large)
        self._connections: dict[Visitor, asyncio.Task[None]] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self._warned_at = float("-inf")
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> int:
        """Listen at `host`, an IP address; `::` is all interfaces of IPv6 and of IPv4. The port in use, which
        matters when `port` is 0."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server(
            (host, port), family=family, backlog=128, dualstack_ipv6=host == "::"
        )
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept_for_ever(self._listener, context))
        chosen: int = self._listener.getsockname()[1]
        return chosen

    async def close(self, grace: float) -> None:
        if self._listener is None or self._accepting is None:
            return
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listener.close()
        for task in set(self._connections.values()) - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=grace)
        remaining = set(self._connections.values())
        for task in remaining:
            task.cancel()
        if remaining:
            await asyncio.wait(remaining, timeout=2)

    @property
    def closing(self) -> bool:
        return self._accepting is not None and (self._accepting.done() or self._accepting.cancelling() > 0)

    async def _accept_for_ever(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Each connection is counted before TLS begins: a stranger who never begins it takes a place too."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError as exc:  # out of file descriptors, or the peer is gone already
                log.warning("a connection can't be accepted: %s", exc)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            visitor, leaving = self._visitors.enter(str(peer[0]), loop.time())
            if leaving is not None:
                self._connections[leaving].cancel()
            if visitor is None or leaving is not None:
                self._warn(loop.time())
            if visitor is None:
                connection.close()
                continue
            self._connections[visitor] = asyncio.create_task(self._carry(visitor, connection, context))
            # It begins before anything can cancel it: then it closes what it was given.
            await asyncio.sleep(0)

    def _warn(self, now: float) -> None:
        if now - self._warned_at >= WARN_SECONDS:
            self._warned_at = now
            log.warning("too many connections", extra={"connections": len(self._visitors)})

    async def _carry(self, visitor: Visitor, connection: socket.socket, context: ssl.SSLContext) -> None:
        """One connection, from TLS to its end."""
        writer = None
        try:
            reader, writer = await self._greet(visitor, connection, context)
            await self._serve(_Stream(reader, writer, self._limits), visitor)
            writer.close()
            async with asyncio.timeout(2):
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the other side went away, it took too long, or we don't wait for it
        except Exception:
            log.exception("a connection of the endpoint broke")
        finally:
            if writer is not None:
                writer.transport.abort()  # nothing, if it is closed
            self._visitors.leave(visitor)
            self._busy.discard(self._connections.pop(visitor))

    async def _greet(
        self, visitor: Visitor, connection: socket.socket, context: ssl.SSLContext
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """TLS. Raises OSError and TimeoutError, as TLS does."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(64 * 1024, loop=loop)
        async with asyncio.timeout_at(visitor.deadline):
            transport, protocol_of_it = await loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader, loop=loop),
                connection,
                ssl=context,
                ssl_handshake_timeout=self._limits.stranger_seconds,
                ssl_shutdown_timeout=2,
            )
        return reader, asyncio.StreamWriter(transport, protocol_of_it, reader, loop)

    async def _serve(self, stream: _Stream, visitor: Visitor) -> None:
        task = self._connections[visitor]
        while await stream.wait_for_bytes(self._patience(visitor)):
            self._busy.add(task)
            try:
                answer = await self._exchange(stream, visitor)
            except h11.RemoteProtocolError as exc:
                answer = self._refuse(protocol.MALFORMED, str(exc))
            except TimeoutError:
                answer = self._refuse(protocol.SLOW, "no whole request in time")
            except Refused as exc:
                answer = exc.answer
            await stream.write(answer, last=self.closing)
            self._busy.discard(task)
            if not stream.next_request():
                await stream.linger()
                return

    def _patience(self, visitor: Visitor) -> float:
        """Seconds that it may be silent."""
        if visitor.welcome:
            return self._limits.idle_seconds
        return max(visitor.deadline - asyncio.get_running_loop().time(), 0)

    async def _exchange(self, stream: _Stream, visitor: Visitor) -> Answer:
        """Read one request, and have it answered. The time limit is the client's, not the handler's."""
        async with asyncio.timeout(min(self._limits.head_seconds, self._patience(visitor))):
            head = await stream.head()
        handler = self._admit(head)
        if isinstance(handler, Answer):
            return handler
        self._visitors.accept(visitor)
        async with self._room_for(head):
            async with asyncio.timeout(self._limits.head_seconds):
                body = await stream.body(head, self._refuse)
            return await handler(body)

    def _room_for(self, head: Head) -> contextlib.AbstractAsyncContextManager[None]:
        """Held from before the body is read until it was answered."""
        announced = int(head.headers.get("content-length", "0"))  # h11 has checked that it is a number
        large = announced > self._limits.large_body or "transfer-encoding" in head.headers
        return self._large if large else contextlib.nullcontext()


class _Stream:
    """h11's connection with its bytes carried to and from the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def wait_for_bytes(self, seconds: float) -> bool:
        """False when the client closed, or said nothing for so long."""
        if self._http.trailing_data[0]:
            return True
        try:
            async with asyncio.timeout(seconds):
                data = await self._reader.read(64 * 1024)
        except TimeoutError:
            return False
        self._http.receive_data(data)
        return bool(data)

    async def head(self) -> Head:
        event = await self._event()
        if not isinstance(event, h11.Request):
            raise h11.RemoteProtocolError("expected a request")
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        return Head(event.method.decode("ascii"), event.target.decode("ascii"), headers)

    async def body(self, head: Head, refuse: Callable[[str, str], Answer]) -> bytes:
        """The whole body. Raises `Refused` before more than the limit is held in memory."""
        announced = int(head.headers.get("content-length", "0"))  # h11 has checked that it is a number
        too_large = refuse(protocol.TOO_LARGE, f"the limit is {self._limits.max_body} bytes")
        if announced > self._limits.max_body:
            raise Refused(too_large)
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > self._limits.max_body:
                raise Refused(too_large)
        return bytes(body)

    async def _event(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                self._writer.write(self._http.send(go_on) or b"")
            self._http.receive_data(await self._reader.read(64 * 1024))
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("closed in mid-request")
        if isinstance(event, type) or event is None:  # h11.PAUSED: a second request before our answer
            raise h11.RemoteProtocolError("pipelining is not served")
        return event

    async def write(self, answer: Answer, *, last: bool) -> None:
        """Head and body in one write: with two, a reused connection waits 40 ms for a delayed ACK."""
        headers = [
            ("content-length", str(len(answer.body))),
            ("content-type", answer.content_type),
            (protocol.PROTOCOL, str(protocol.VERSION)),
        ]
        if last or answer.close or self._http.their_state is not h11.DONE:
            headers.append(("connection", "close"))
        with contextlib.suppress(h11.LocalProtocolError):  # after their protocol error h11 may be shut
            response = self._http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
            data = self._http.send(h11.Data(data=answer.body)) or b""
            end = self._http.send(h11.EndOfMessage()) or b""
            self._writer.write(response + data + end)
            async with asyncio.timeout(self._limits.head_seconds):
                await self._writer.drain()

    async def linger(self) -> None:
        """Throw away what the client still sends of a request that was refused."""
        if self._http.their_state is h11.DONE:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(64 * 1024):
                    pass

    def next_request(self) -> bool:
        """True if the connection is ready for another request."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True
