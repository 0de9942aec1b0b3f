"""Living by the lease: when the socket may be used, and what happens the moment it may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.key_peers import SEALER
from tests.support.leading_keys import GrantedTable
from tocsin.accounts.lease import TERMS, LeaseHeld, LeaseKeeper, LeaseLost, Member, Terms, read_lease
from tocsin.connector.held_lease import HeldLease, Leases


@dataclass
class Keeper:
    """A keeper that a test puts into any situation; each call takes the next of its `troubles`, if any."""

    alive: bool = True
    terms: Terms = TERMS
    troubles: dict[str, list[Exception]] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def beat(self) -> None:
        self._call("beat")

    def members(self) -> list[Member]:
        return []

    def unheld(self, accounts: Collection[str], members: Iterable[Member]) -> list[str]:
        return list(accounts)

    def leave(self) -> None:
        self._call("leave")

    def acquire(self, account: str) -> int:
        self._call("acquire", account)
        return 7

    def forgo(self, account: str, epoch: int) -> None:
        self._call("forgo", account, str(epoch))

    def release(self, account: str, epoch: int) -> None:
        self._call("release", account, str(epoch))

    def set_state(self, account: str, epoch: int, state: str, detail: str = "") -> None:
        self._call("set_state", account, str(epoch), state, detail)

    def stop(self) -> None:
        self._call("stop")

    def _call(self, *call: str) -> None:
        self.calls.append(call)
        if troubles := self.troubles.get(call[0]):
            raise troubles.pop(0)


async def no_time(seconds: float) -> None:
    await asyncio.sleep(0.001)


@asynccontextmanager
async def running(keeper: Keeper) -> AsyncIterator[Leases]:
    leases = Leases(keeper, sleep=no_time)
    beating = asyncio.create_task(leases.run())
    try:
        async with asyncio.timeout(60):
            yield leases
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def test_it_beats_as_often_as_its_leases_need() -> None:
    paused: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(seconds: float) -> None:
        paused.put_nowait(seconds)
        await no_time(seconds)

    leases = Leases(Keeper(terms=Terms(beat=0.25, hold=2, dead=3)), sleep=sleep)
    beating = asyncio.create_task(leases.run())
    async with asyncio.timeout(60):
        while await paused.get() != 0.25:
            pass
    beating.cancel()


async def serve_until_lost(held_lease: HeldLease) -> bool:
    """Whether the work was cut off by the loss of the lease."""
    try:
        await held_lease.keep(asyncio.Event().wait())
    except LeaseLost:
        return True
    return False


async def claimed(leases: Leases) -> HeldLease:
    held_lease = await leases.claim("default")
    assert held_lease is not None
    return held_lease


async def test_what_another_holds_is_not_ours() -> None:
    keeper = Keeper(troubles={"acquire": [LeaseHeld("other", 15)]})
    async with running(keeper) as leases:
        assert await leases.claim("default") is None
        assert (await claimed(leases)).epoch == 7


async def test_a_table_that_is_away_is_told_to_whoever_claims() -> None:
    async with running(Keeper(troubles={"acquire": [OSError("table away")]})) as leases:
        with pytest.raises(OSError, match="table away"):
            await leases.claim("default")


async def test_a_held_lease_without_a_living_heartbeat_is_not_taken() -> None:
    keeper = Keeper(alive=False)
    async with running(keeper) as leases:
        assert await leases.claim("default") is None
        assert ("forgo", "default", "7") in keeper.calls
        keeper.alive = True
        assert (await claimed(leases)).valid()


async def test_what_is_ours_is_counted_for_the_others() -> None:
    keeper = Keeper()
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        assert leases.held == 1
        await leases.give_up(held_lease)
        assert leases.held == 0
    assert ("release", "default", "7") in keeper.calls


async def test_taken_for_dead_it_drops_everything_at_once() -> None:
    keeper = Keeper()
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        aborted = asyncio.Event()
        held_lease.on_loss = aborted.set
        keeper.troubles["beat"] = [LeaseLost()]
        assert await serve_until_lost(held_lease)
        assert aborted.is_set()
        assert not held_lease.valid()


async def test_a_heartbeat_that_fails_is_tried_again_and_loses_nothing_yet() -> None:
    keeper = Keeper()
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        keeper.troubles["beat"] = [OSError("table away")] * 3
        await asyncio.sleep(0.05)
        assert held_lease.valid()


async def test_too_long_without_a_heartbeat_the_socket_is_closed() -> None:
    keeper = Keeper()
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        keeper.alive = False
        assert not held_lease.valid()
        assert await serve_until_lost(held_lease)


async def test_a_lost_held_lease_stays_lost_when_the_heartbeat_comes_back() -> None:
    keeper = Keeper()
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        keeper.alive = False
        await serve_until_lost(held_lease)
        keeper.alive = True
        assert not held_lease.valid()
        assert (await claimed(leases)).valid()


async def test_a_state_refused_by_the_fence_ends_the_held_lease() -> None:
    keeper = Keeper(troubles={"set_state": [LeaseLost("default")]})
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        with pytest.raises(LeaseLost):
            await held_lease.set_state("connected")
        assert not held_lease.valid()


async def test_a_state_is_told_however_often_the_table_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.connector.held_lease.RETRY_SECONDS", 0.001)
    keeper = Keeper(troubles={"set_state": [OSError()] * 3})
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        await held_lease.set_state("connected", "fine")
    assert keeper.calls.count(("set_state", "default", "7", "connected", "fine")) == 4


async def test_a_state_is_told_when_it_changes_and_connecting_is_how_a_lease_begins() -> None:
    keeper = Keeper()
    async with running(keeper) as leases:
        held_lease = await claimed(leases)
        for state in ("connecting", "connected", "connected", "connecting"):
            await held_lease.set_state(state)
    said = [state for name, _, _, state, _ in (call for call in keeper.calls if call[0] == "set_state")]
    assert said == ["connected", "connecting"]


async def test_what_the_work_raises_comes_through() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async with running(Keeper()) as leases:
        held_lease = await claimed(leases)
        with pytest.raises(ZeroDivisionError):
            await held_lease.keep(fail())


async def test_stopping_releases_everything_and_takes_the_heartbeat_away() -> None:
    table = GrantedTable()
    keeper = LeaseKeeper(table, "c1", url="https://127.0.0.1:1", certificate="pem", sealer=SEALER)
    leases = Leases(keeper, sleep=no_time)
    held_lease = await claimed(leases)
    await held_lease.set_state("connected")
    await leases.stop()
    lease = read_lease(table, "default")
    assert lease is not None
    assert (lease.connector, lease.state) == (None, "stopped")
    assert not held_lease.valid()

    successor = Leases(LeaseKeeper(table, "c2", url="u", certificate="pem", sealer=SEALER), sleep=no_time)
    assert (await claimed(successor)).epoch == 2
