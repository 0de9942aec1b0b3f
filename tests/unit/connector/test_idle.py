"""What a connector asks of DynamoDB while nothing happens, day and night: that is paid for each month."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.key_peers import SEALER
from tests.support.leading_keys import GrantedTable
from tocsin.accounts.lease import LeaseKeeper
from tocsin.accounts.served_accounts import ServedAccounts
from tocsin.connector.held_lease import Leases
from tocsin.connector.operator import RequestPoller
from tocsin.connector.placement import Placement
from tocsin.dynamo.memory import MemoryTable

MINUTES = 10


class Stopped(BaseException):
    """The time of the test is over."""


class Counted:
    """A table that counts what is asked of it."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: Any, **named: Any) -> Any:
            self.asked[name] += 1
            return getattr(self._table, name)(*arguments, **named)

        return ask


class Aws:
    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


class Tenant:
    """An account that is connected and has nothing to do."""

    works = settled = True

    async def serve(self, _: Any) -> None:
        await asyncio.Event().wait()

    async def leave(self) -> None:
        raise AssertionError


class Connector:
    """A connector alone, whose loops run one after the other on a clock of the test's."""

    def __init__(self) -> None:
        self.now = 0.0
        keys = GrantedTable()
        # The same items, as they are read to be certain and as they are looked at.
        self.certain: Any = Counted(keys)
        self.members: Any = Counted(keys)
        self.requests: Any = Counted(keys)
        self.roster: Any = Counted(MemoryTable())
        aws: Any = Aws()
        keeper = LeaseKeeper(
            self.certain,
            "one",
            url="https://one",
            certificate="pem",
            sealer=SEALER,
            members_table=self.members,
            monotonic=lambda: self.now,
        )
        served = ServedAccounts(["default"], self.roster, clock=lambda: self.now)

        async def latest() -> Any:
            return served.latest()

        self.leases = Leases(keeper, sleep=self.sleep)
        self.placement = Placement(
            self.leases, latest, lambda _: Tenant(), monotonic=lambda: self.now, sleep=self.sleep
        )
        self.poller = RequestPoller(aws, self.requests, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)
        if self.now >= MINUTES * 60:
            raise Stopped

    async def settle(self) -> None:
        """Take the account, so that nothing is left to do."""
        await self.leases.tell_load()
        await self.placement._look()
        await asyncio.sleep(0)
        for table in (self.certain, self.members, self.roster, self.requests):
            table.asked.clear()


async def a_quiet_while(loop: Callable[[Connector], Any]) -> Connector:
    connector = Connector()
    await connector.settle()
    try:
        await loop(connector)
    except Stopped:
        return connector
    finally:
        await connector.placement.stop()
    raise AssertionError


def a_minute(counted: Counted) -> dict[str, int]:
    return {name: round(number / MINUTES) for name, number in counted.asked.items()}


async def test_it_beats_twelve_times_a_minute_in_one_item() -> None:
    connector = await a_quiet_while(lambda one: one.leases._beat())
    assert a_minute(connector.certain) == {"put": 12}


async def test_it_looks_for_others_and_for_accounts_with_each_beat_and_sweeps_each_minute() -> None:
    connector = await a_quiet_while(lambda one: one.placement._look_for_ever())
    assert a_minute(connector.members) == {"query": 12}
    assert a_minute(connector.roster) == {"keys": 12}
    assert a_minute(connector.certain) == {"get_many": 1}


async def test_it_looks_for_an_operator_each_third_second() -> None:
    connector = await a_quiet_while(lambda one: one.poller.run())
    assert a_minute(connector.requests) == {"keys": 20}
