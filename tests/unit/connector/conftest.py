"""An endpoint and a client on the loopback, over real TLS; accounts whose answers a test scripts."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tocsin.connector.certificate import make_certificate
from tocsin.connector.gateway.endpoint import Endpoint, Handling
from tocsin.connector.gateway.httpd import Limits
from tocsin.connector_client.client import ConnectorClient
from tocsin.whatsapp.node import Node

TOKEN = "a token of this account"


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

    async def resumed(self, account: str, incarnation: int) -> None:
        self.seen.append(("resumed", account, incarnation))


class LoopThread:
    """An event loop in a thread of its own: the client under test blocks, as it does in a Lambda."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@dataclass
class House:
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
        return ConnectorClient(self.read_lease)


def build(loop: LoopThread, limits: Limits | None = None, port: int = 0) -> House:
    certificate = make_certificate("127.0.0.1", datetime.datetime.now(datetime.UTC))
    accounts = ScriptedAccounts()
    endpoint = Endpoint(accounts, limits)
    port = loop.run(endpoint.start("127.0.0.1", port, certificate.server_context()))
    return House(loop, accounts, endpoint, port, Lease(f"https://127.0.0.1:{port}", certificate.pem))


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.stop()


@pytest.fixture
def another(loop: LoopThread) -> Iterator[Callable[..., House]]:
    """Builds further endpoints, closed at the end."""
    built: list[House] = []

    def make(port: int = 0) -> House:
        built.append(build(loop, port=port))
        return built[-1]

    yield make
    for each in built:
        loop.run(each.endpoint.close(0.1))


@pytest.fixture
def house(loop: LoopThread) -> Iterator[House]:
    limits = Limits(head_seconds=0.3, idle_seconds=5, max_body=64 * 1024, max_connections=4)
    built = build(loop, limits)
    yield built
    loop.run(built.endpoint.close(0.1))


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function in a loop of its own."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
