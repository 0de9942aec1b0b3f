"""An endpoint and a client on the loopback, over real TLS; accounts whose answers a test scripts."""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.support.skipping_loop import SkippingLoop
from tocsin.connector.certificate import make_certificate
from tocsin.connector.gateway.endpoint import Endpoint, Handling
from tocsin.connector.gateway.httpd import HttpsServer, Limits
from tocsin.connector_client import protocol
from tocsin.connector_client.client import ConnectorClient
from tocsin.whatsapp.node import Node

TOKEN = "a token of this account"
LONG_ENOUGH = 60
"""Seconds after which a test has failed."""


@dataclass(frozen=True)
class Profile:
    account: str = "default"
    incarnation: int = 3
    connector_token: str = TOKEN


@dataclass(frozen=True)
class Lease:
    url: str | None
    certificate: str | None
    state: str = "connected"
    protocol: int = protocol.VERSION


Answer = Callable[[Node], Awaitable[Node]]


async def echo(node: Node) -> Node:
    return Node("iq", {"type": "result", "id": "1"}, node.content)


@dataclass
class ScriptedAccounts:
    """Fakes the process behind the endpoint: one account, whatever a test says it answers."""

    tokens: dict[str, str] = field(default_factory=lambda: {"default": TOKEN})
    answer: Answer = echo
    seen: list[tuple[Any, ...]] = field(default_factory=list)

    def token(self, account: str) -> str | None:
        return self.tokens.get(account)

    async def request(self, account: str, incarnation: int, node: Node, seconds: int) -> Node:
        self.seen.append(("request", account, incarnation, node, seconds))
        return await self.answer(node)

    async def message(self, account: str, incarnation: int, node: Node, body: bytes, how: Handling) -> Node:
        self.seen.append(("message", account, incarnation, node, how))
        return await self.answer(node)

    async def stanza(self, account: str, incarnation: int, node: Node) -> None:
        self.seen.append(("stanza", account, incarnation, node))
        await self.answer(node)

    async def upload(self, account: str, incarnation: int, kind: str, blob: bytes) -> tuple[str, str]:
        self.seen.append(("upload", account, incarnation, kind, blob))
        return "https://media.test/1", "/v/1?x=1"

    async def download(self, account: str, incarnation: int, direct_path: str, digest: bytes) -> bytes:
        self.seen.append(("download", account, incarnation, direct_path, digest))
        return b"ciphertext"

    async def resumed(self, account: str, incarnation: int) -> None:
        self.seen.append(("resumed", account, incarnation))


class LoopThread:
    """An event loop in a thread of its own: the client under test blocks, as it does in a Lambda."""

    def __init__(self) -> None:
        self.loop = SkippingLoop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(LONG_ENOUGH)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(LONG_ENOUGH)
        self.loop.close()


@dataclass
class RunningEndpoint:
    """A running endpoint, what it was asked, and where it is."""

    loop: LoopThread
    accounts: ScriptedAccounts
    endpoint: Endpoint
    port: int
    lease: Lease
    lease_reads: int = 0

    def read_lease(self, account: str) -> Lease:
        self.lease_reads += 1
        return self.lease

    def client(self) -> ConnectorClient:
        return ConnectorClient(self.read_lease, connect_seconds=LONG_ENOUGH)

    def skip(self, seconds: float) -> None:
        """Put the endpoint's clock forward."""
        self.loop.loop.skip(seconds)

    def eventually(self, look: Callable[[HttpsServer], object]) -> None:
        """Wait until something can be seen in the server."""
        end = time.monotonic() + LONG_ENOUGH
        while not look(self.endpoint._server):
            if time.monotonic() > end:
                raise AssertionError("it doesn't come to that")
            time.sleep(0.005)


def build(
    loop: LoopThread,
    limits: Limits | None = None,
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    bind: str | None = None,
) -> RunningEndpoint:
    """`host`: what the lease and the certificate name; `bind`: the address listened on, if another."""
    certificate = make_certificate(host, datetime.datetime.now(datetime.UTC))
    accounts = ScriptedAccounts()
    endpoint = Endpoint(accounts, limits)
    port = loop.run(endpoint.start(bind or host, port, certificate.server_context()))
    named = f"[{host}]" if ":" in host else host
    return RunningEndpoint(loop, accounts, endpoint, port, Lease(f"https://{named}:{port}", certificate.pem))
