"""An endpoint and a client on the loopback, over real TLS; accounts whose answers a test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.support.running_endpoint import (
    LoopThread,
    RunningEndpoint,
    build,
)
from tocsin.connector.gateway.httpd import Limits


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.stop()


@pytest.fixture
def another(loop: LoopThread) -> Iterator[Callable[..., RunningEndpoint]]:
    """Builds further endpoints, closed at the end."""
    built: list[RunningEndpoint] = []

    def make(port: int = 0) -> RunningEndpoint:
        built.append(build(loop, port=port))
        return built[-1]

    yield make
    for each in built:
        loop.run(each.endpoint.close(0.1))


@pytest.fixture
def gateway(loop: LoopThread) -> Iterator[RunningEndpoint]:
    limits = Limits(3600, 3600, 3600, max_body=64 * 1024, max_connections=4)
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
