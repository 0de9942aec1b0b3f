"""Accounts on several connectors: spread, moved when one dies or comes, each held by one at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from tests.support.key_peers import SEALER
from tests.support.leading_keys import GrantedTable
from tocsin.accounts.lease import LeaseKeeper, read_lease
from tocsin.connector.held_lease import HeldLease, Leases
from tocsin.connector.pacing import Unhealable
from tocsin.connector.placement import MOVE_SECONDS, SHUNNED_SECONDS, Placement


@dataclass
class Tenant:
    """An account that does nothing until it is told to end. `epochs`: of all its leases here."""

    name: str
    works: bool = True
    settled: bool = True
    epochs: list[int] = field(default_factory=list)
    left: int = 0
    fate: asyncio.Future[None] | None = None

    async def serve(self, held_lease: HeldLease) -> None:
        self.epochs.append(held_lease.epoch)
        self.fate = asyncio.get_running_loop().create_future()
        await self.fate

    async def leave(self) -> None:
        self.left += 1


class Connectors:
    """A table, a clock, and the accounts of the stack."""

    def __init__(self, *accounts: str) -> None:
        self.table = GrantedTable()
        self.now = 0.0
        self.accounts: list[str] = list(accounts)
        self.away = False

    async def roster(self) -> Collection[str]:
        return tuple(self.accounts)

    def holders(self) -> dict[str, str | None]:
        leases = {account: read_lease(self.table, account) for account in self.accounts}
        return {account: lease.connector if lease else None for account, lease in leases.items()}

    def spread(self) -> list[int]:
        return sorted(Counter(self.holders().values()).values())

    def epochs(self) -> int:
        """How often any lease changed hands."""
        return sum(lease.epoch for one in self.accounts if (lease := read_lease(self.table, one)))


class Process:
    """One connector, looking when a test says so."""

    def __init__(self, connectors: Connectors, name: str) -> None:
        self.connectors = connectors
        self.tenants: dict[str, Tenant] = {}
        table: Any = _Shaky(connectors)
        keeper = LeaseKeeper(
            table,
            name,
            url=f"https://{name}",
            certificate="pem",
            sealer=SEALER,
            monotonic=lambda: connectors.now,
        )
        self.leases = Leases(keeper)
        self.placement = Placement(
            self.leases,
            connectors.roster,
            self._open,
            monotonic=lambda: connectors.now,
            shuffle=lambda names: None,
        )
        self.placement._broken = asyncio.get_running_loop().create_future()

    def _open(self, name: str) -> Tenant:
        return self.tenants.setdefault(name, Tenant(name))

    async def look(self) -> None:
        await self.leases.tell_load()
        await self.placement._look()
        await asyncio.sleep(0)  # whatever was taken begins

    async def die(self) -> None:
        await self.placement.stop()


class _Shaky:
    def __init__(self, connectors: Connectors) -> None:
        self._town = connectors

    def __getattr__(self, name: str) -> Any:
        if self._town.away:
            raise OSError("table away")
        return getattr(self._town.table, name)


async def looking(connectors: Connectors, *processes: Process, seconds: float = 60) -> None:
    """All look once a second, for so long."""
    for _ in range(int(seconds)):
        for process in processes:
            await process.look()
        connectors.now += 1


def numbered(count: int) -> list[str]:
    return [f"a{number:02}" for number in range(count)]


async def test_one_connector_serves_all() -> None:
    connectors = Connectors(*numbered(30))
    only = Process(connectors, "one")
    await only.look()
    assert connectors.spread() == [30]
    assert [tenant.epochs for tenant in only.tenants.values()] == [[1]] * 30


async def test_alone_it_looks_with_each_beat_and_beside_others_twice_as_often() -> None:
    connectors = Connectors("a", "b")
    one, two = Process(connectors, "one"), Process(connectors, "two")
    await one.look()
    beat = one.leases.terms.beat
    assert await one.placement._look() == beat
    await looking(connectors, one, two, seconds=10)
    assert await one.placement._look() == beat / 2


async def test_three_that_start_together_share_evenly_and_nothing_moves() -> None:
    connectors = Connectors(*numbered(31))
    three = [Process(connectors, name) for name in ("one", "two", "three")]
    for process in three:
        await process.leases.tell_load()
    await looking(connectors, *three, seconds=20)
    assert connectors.spread() == [10, 10, 11]
    assert connectors.epochs() == 31


async def test_a_new_one_gets_its_share_one_account_at_a_time_each_moved_once() -> None:
    connectors = Connectors(*numbered(10))
    old = Process(connectors, "old")
    await old.look()
    new = Process(connectors, "new")
    await new.leases.tell_load()
    moved: list[int] = []
    for _ in range(60):
        await looking(connectors, old, new, seconds=1)
        moved.append(connectors.epochs() - 10)
    assert connectors.spread() == [5, 5]
    assert connectors.epochs() == 15, "some account moved twice"
    assert max(later - earlier for earlier, later in pairwise(moved)) <= 1
    assert all(tenant.left == 1 for tenant in old.tenants.values() if tenant.name in new.tenants)


async def test_a_dead_ones_accounts_go_on_elsewhere_within_the_lease() -> None:
    connectors = Connectors(*numbered(9))
    one, two, three = (Process(connectors, name) for name in ("one", "two", "three"))
    for process in (one, two, three):
        await process.leases.tell_load()
    await looking(connectors, one, two, three, seconds=10)
    assert connectors.spread() == [3, 3, 3]
    await three.die()
    before = connectors.epochs()
    await looking(connectors, one, two, seconds=14)
    assert connectors.spread() == [3, 3, 3], "it may live yet"
    await looking(connectors, one, two, seconds=4)
    assert "three" not in connectors.holders().values()
    assert max(connectors.spread()) - min(connectors.spread()) <= 1
    assert connectors.epochs() - before == 3


async def test_who_leaves_is_followed_at_once_by_one_that_takes_everything() -> None:
    """A rolling update: the new task stands by, and with one account has nothing to do until then."""
    connectors = Connectors("default")
    old = Process(connectors, "old")
    await old.look()
    new = Process(connectors, "new")
    await looking(connectors, old, new, seconds=5)
    assert connectors.holders() == {"default": "old"}
    await old.leases.leave()
    await old.placement.stop()
    await old.leases.stop()
    await new.look()
    assert connectors.holders() == {"default": "new"}


async def test_while_the_table_is_away_sockets_stay_and_nothing_is_claimed() -> None:
    connectors = Connectors(*numbered(2))
    one = Process(connectors, "one")
    await one.look()
    connectors.away, connectors.accounts = True, numbered(3)
    with pytest.raises(OSError, match="table away"):
        await one.placement._look()
    assert [tenant.epochs for tenant in one.tenants.values()] == [[1], [1]]
    assert not any(tenant.fate.done() for tenant in one.tenants.values() if tenant.fate)
    assert all(held_lease.valid() for _, held_lease in one.placement._tenants.values())
    connectors.away = False
    await one.look()
    assert connectors.spread() == [3]


async def test_what_was_given_up_for_want_of_a_heartbeat_is_taken_anew_with_a_new_epoch() -> None:
    connectors = Connectors(*numbered(2))
    one = Process(connectors, "one")
    await one.look()
    connectors.now += 13
    assert not one.leases.alive
    one.leases._lose_all()
    await asyncio.sleep(0.02)
    assert one.leases.held == 0
    await one.look()
    assert [tenant.epochs for tenant in one.tenants.values()] == [[1, 2], [1, 2]]


async def test_an_account_that_is_added_is_served_and_one_that_is_removed_let_go() -> None:
    connectors = Connectors("first")
    one = Process(connectors, "one")
    await one.look()
    connectors.accounts.append("second")
    await one.look()
    assert connectors.holders() == {"first": "one", "second": "one"}
    connectors.accounts.remove("second")
    await one.look()
    lease = read_lease(connectors.table, "second")
    assert lease is not None
    assert lease.connector is None
    assert one.tenants["second"].left == 1


async def test_what_moves_first_is_what_does_not_work_anyway() -> None:
    connectors = Connectors("a", "b", "c", "d")
    one = Process(connectors, "one")
    await one.look()
    one.tenants["c"].works = False
    two = Process(connectors, "two")
    await two.leases.tell_load()
    await one.look()
    await two.look()
    assert connectors.holders()["c"] == "two"


async def test_an_account_deaf_here_alone_is_left_to_another_and_the_process_lives() -> None:
    connectors = Connectors("good", "deaf")
    one = Process(connectors, "one")
    await one.look()
    fate = one.tenants["deaf"].fate
    assert fate is not None
    fate.set_exception(Unhealable("3 sockets in a row were open but deaf"))
    await asyncio.sleep(0.05)
    await one.look()
    assert connectors.holders() == {"good": "one", "deaf": None}
    two = Process(connectors, "two")
    await looking(connectors, two, one, seconds=3)
    assert connectors.holders() == {"good": "one", "deaf": "two"}
    assert one.placement._broken is not None
    assert not one.placement._broken.done()


async def test_alone_with_it_a_shunned_account_is_tried_again_after_a_while() -> None:
    connectors = Connectors("good", "deaf")
    one = Process(connectors, "one")
    await one.look()
    fate = one.tenants["deaf"].fate
    assert fate is not None
    fate.set_exception(Unhealable("deaf"))
    await asyncio.sleep(0.05)
    connectors.now += SHUNNED_SECONDS + 1
    await one.look()
    assert connectors.holders()["deaf"] == "one"


async def test_deaf_with_nothing_that_works_the_process_ends() -> None:
    connectors = Connectors("only")
    one = Process(connectors, "one")
    await one.look()
    fate = one.tenants["only"].fate
    assert fate is not None
    fate.set_exception(Unhealable("deaf"))
    await asyncio.sleep(0.05)
    assert one.placement._broken is not None
    assert isinstance(one.placement._broken.exception(), Unhealable)


async def test_between_two_moves_there_is_time_for_a_login() -> None:
    connectors = Connectors(*numbered(8))
    old = Process(connectors, "old")
    await old.look()
    new = Process(connectors, "new")
    await new.leases.tell_load()
    await old.look()
    await new.look()
    await old.look()
    assert connectors.spread() == [1, 7]
    connectors.now += MOVE_SECONDS + 1
    await old.look()
    await new.look()
    assert connectors.spread() == [2, 6]


async def test_what_somebody_is_linking_just_now_does_not_move() -> None:
    connectors = Connectors("a", "b", "c")
    old = Process(connectors, "old")
    await old.look()
    old.tenants["a"].works = old.tenants["a"].settled = False
    new = Process(connectors, "new")
    await new.leases.tell_load()
    await looking(connectors, old, new, seconds=10)
    assert connectors.holders() == {"a": "old", "b": "new", "c": "old"}
    for name in ("a", "c"):
        assert old.tenants[name].left == 0
