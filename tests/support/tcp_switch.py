"""A wire with a switch in it: a TCP relay that a test can cut, to take one AWS service away."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from urllib.parse import urlsplit


class Switch:
    """Relays to `url` while it is on. `url` of the switch itself is where clients connect. `bytes_sent`: by
    them, so far."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = target.hostname or "127.0.0.1", target.port or 80
        self._on = True
        self.bytes_sent = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._relay, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def off(self) -> None:
        """Refuse what comes and cut what there is."""
        self._run(self._turn(False))

    def on(self) -> None:
        self._run(self._turn(True))

    def close(self) -> None:
        self.off()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    def _run(self, work):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _turn(self, on: bool) -> None:
        self._on = on
        if not on:
            for writer in list(self._writers):
                writer.transport.abort()

    def _count(self, number: int) -> None:
        self.bytes_sent += number

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._on:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        both = {writer, there_writer}
        self._writers |= both
        await asyncio.gather(_copy(reader, there_writer, self._count), _copy(there_reader, writer))
        self._writers -= both


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None] = lambda _: None
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            count(len(data))
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
