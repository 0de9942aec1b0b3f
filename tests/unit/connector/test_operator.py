"""The operator's requests: one read for all accounts, and none is lost if nobody was woken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.key_peers import Interposed
from tests.support.leading_keys import GrantedTable
from tocsin.accounts.operator_requests import asked_accounts, read_control, request
from tocsin.connector.operator import OperatorRequests, RequestPoller
from tocsin.dynamo.writes import Delete, Put
from tocsin.tables.keys import operator_request_key


class Aws:
    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


async def no_time(seconds: float) -> None:
    await asyncio.sleep(0.001)


class ThreeAccounts:
    def __init__(self) -> None:
        self.table = Interposed(GrantedTable())
        aws: Any = Aws()
        self.poller = RequestPoller(aws, self.table, sleep=no_time)
        self.accounts = {
            name: OperatorRequests(aws, self.table, name, self.poller) for name in ("a", "b", "c")
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[str, asyncio.Task[Any]]]:
        ringing = asyncio.create_task(self.poller.run())
        waiting = {name: asyncio.create_task(requests.next()) for name, requests in self.accounts.items()}
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(0.01)
                yield waiting
        finally:
            for task in (ringing, *waiting.values()):
                task.cancel()
            await asyncio.gather(ringing, *waiting.values(), return_exceptions=True)


@pytest.fixture
def three() -> ThreeAccounts:
    return ThreeAccounts()


async def test_a_wish_reaches_the_account_it_is_for_and_is_taken_up_once(three: ThreeAccounts) -> None:
    async with three.running() as waiting:
        request(three.table, "b", "pair", 7, phone="628")
        seen = await waiting["b"]
        assert (seen.request, seen.phone) == ("pair", "628")
        assert not waiting["a"].done()
        assert asked_accounts(three.table) == []
        assert read_control(three.table, "b").request is None


async def test_while_nothing_is_wanted_nobody_looks_into_any_item(three: ThreeAccounts) -> None:
    async with three.running():
        three.table.requests.clear()
        await asyncio.sleep(0.02)
        assert set(three.table.requests) == {"keys"}


async def test_a_wish_from_before_the_start_is_found(three: ThreeAccounts) -> None:
    request(three.table, "c", "unpair", 7)
    async with three.running() as waiting:
        assert (await waiting["c"]).request == "unpair"


async def test_without_the_bell_it_is_found_a_little_later(
    three: ThreeAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.connector.operator.LOOK_SECONDS", 0.02)
    async with three.running() as waiting:
        request(three.table.table, "a", "pair", 7)
        three.table.table.delete(Delete(operator_request_key("a")))
        assert (await waiting["a"]).request == "pair"


async def test_a_newer_wish_is_not_silenced_by_the_older_one(three: ThreeAccounts) -> None:
    request(three.table, "a", "pair", 7)
    seen = read_control(three.table, "a")
    request(three.table, "a", "unpair", 8)
    async with three.running() as waiting:
        assert (await waiting["a"]).request == "unpair"
    assert seen.requested_at == 7


async def test_a_bell_that_rings_for_nothing_is_silenced(three: ThreeAccounts) -> None:
    """The connector died between taking up a request and clearing it."""
    request(three.table, "a", "pair", 7)
    async with three.running() as waiting:
        await waiting["a"]
    three.table.put(Put(operator_request_key("a"), {"requested_at": 7}))
    async with three.running():
        await asyncio.sleep(0.02)
        assert asked_accounts(three.table) == []
