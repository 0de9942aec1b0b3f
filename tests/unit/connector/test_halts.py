"""What an account was halted for outlives the process: no restart is one more try."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.connector_fakes import Around, HeldLease
from tests.support.leading_keys import GrantedTable
from tocsin.accounts import operator_requests
from tocsin.accounts.halts import DEAF_SECONDS
from tocsin.accounts.limits import LOGIN, Limit
from tocsin.connector.account_runner import SET_BACK, STOPPED_SECONDS, Account
from tocsin.connector.pacing import Unhealable
from tocsin.connector.session import Session
from tocsin.dynamo.writes import Delete, Put
from tocsin.keys.account import Credentials
from tocsin.keys.store import KeyStore
from tocsin.whatsapp import reaction
from tocsin.whatsapp.reaction import FAILURES, STREAM_ERRORS, Kind, Reaction

STOPS = {
    ended.reason: ended
    for ended in (*STREAM_ERRORS.values(), *FAILURES.values(), reaction.REPLACED, reaction.DEVICE_REMOVED)
    if ended.kind is Kind.STOP
}
FOREVER = {name: ended for name, ended in STOPS.items() if ended.wipe or ended is reaction.REPLACED}


class NoticedTable(GrantedTable):
    """Tells whoever waits that something may have changed."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()

    def put(self, put: Put) -> None:
        super().put(put)
        self.changed.set()

    def delete(self, delete: Delete) -> None:
        super().delete(delete)
        self.changed.set()


@dataclass
class World:
    """A linked account in one process after the other. `logins`: how often it connected. `said`: its states
    and their details."""

    monkeypatch: pytest.MonkeyPatch
    ends: Reaction | None = None
    said: list[tuple[str, str]] = field(default_factory=list)
    logins: int = 0

    def __post_init__(self) -> None:
        self.around: Any = Around(table=NoticedTable())
        self.around.notices = SimpleNamespace(disconnected=self._quiet)
        self.around.clock = time.monotonic
        self.around.meters.reconnects = 0
        self.keys = KeyStore(self.around.table, self.around.sealer, "default")
        self.keys.account.create()
        self.keys.account.save_pairing(jid="1:3@s.whatsapp.net", lid="1:3@lid", device_identity=b"identity")

        async def run(service: Session, credentials: Credentials, *, routing: bool) -> Reaction:
            self.logins += 1
            self.around.table.changed.set()
            ended = self.ends
            return ended if ended is not None else await asyncio.Future()

        self.monkeypatch.setattr(Session, "run", run)

    async def _quiet(self, *_: Any, **__: Any) -> None:
        pass

    async def _say(self, state: str, detail: str = "") -> None:
        self.said.append((str(state), detail))
        self.around.table.changed.set()

    async def process(self, until: Callable[[], bool]) -> None:
        """One process that serves the account, until something holds."""
        held_lease: Any = HeldLease()
        held_lease.set_state = self._say
        running = asyncio.ensure_future(Account("default", self.around).serve(held_lease))
        try:
            async with asyncio.timeout(60):
                while not until():
                    self.around.table.changed.clear()
                    await self.around.table.changed.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def asks(self, what: str) -> None:
        request = operator_requests.request
        request(self.around.table, self.around.sealer, "default", what, int(time.time()), b"n" * 12)

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.said]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("ended", STOPS.values(), ids=STOPS)
async def test_a_restart_is_no_further_try_and_says_why(world: World, ended: Reaction) -> None:
    world.ends = replace(ended, detail="as told")
    await world.process(lambda: world.keys.account.halt() is not None)
    assert world.logins == 1
    for _ in range(3):
        world.said.clear()
        await world.process(lambda: ended.state in world.states)
        assert world.said[-1] == (ended.state, f"{ended.reason}: as told")
    assert world.logins == 1


@pytest.mark.parametrize("ended", FOREVER.values(), ids=FOREVER)
async def test_what_only_a_person_ends_is_ended_by_no_time(world: World, ended: Reaction) -> None:
    world.ends = ended
    await world.process(lambda: world.keys.account.halt() is not None)
    halt = world.keys.account.halt()
    assert halt is not None
    assert halt.until == 0


async def test_a_stop_ends_by_its_time_also_while_nobody_serves_the_account(world: World) -> None:
    world.ends = FAILURES["400"]
    before = int(time.time())
    await world.process(lambda: world.keys.account.halt() is not None)
    halt = world.keys.account.halt()
    assert halt is not None
    assert before + STOPPED_SECONDS <= halt.until <= time.time() + STOPPED_SECONDS + 1
    world.keys.account.note_halt(replace(halt, until=int(time.time()) - 1))
    world.ends = None
    await world.process(lambda: world.logins == 2)
    assert world.logins == 2


@pytest.mark.parametrize("what", ["reconnect", "pair", "unpair"])
async def test_a_person_ends_it_for_good(world: World, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pairs(*_: Any) -> None:
        return None

    monkeypatch.setattr(Account, "_pair", pairs)
    world.ends = reaction.REPLACED
    await world.process(lambda: world.keys.account.halt() is not None)
    world.ends = None
    world.asks(what)
    await world.process(lambda: world.keys.account.halt() is None)
    assert world.keys.account.halt() is None
    world.said.clear()
    await world.process(lambda: bool(world.said))
    assert "replaced" not in world.states


async def test_a_halt_is_about_one_pairing(world: World) -> None:
    world.ends = reaction.REPLACED
    await world.process(lambda: world.keys.account.halt() is not None)
    world.keys.account.save_pairing(jid="1:4@s.whatsapp.net", lid="1:4@lid", device_identity=b"another")
    world.ends = None
    await world.process(lambda: world.logins == 2)
    assert world.logins == 2


async def test_keys_that_were_set_back_are_looked_at_anew(world: World) -> None:
    account = Account("default", world.around)
    held_lease: Any = HeldLease()
    account.status.begin(held_lease)
    await account._halt(SET_BACK)
    assert world.keys.account.halt() is None


async def test_deaf_sockets_end_one_process_and_not_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that starts anew each minute, for as long as the server is deaf, serves nobody."""
    world.ends = reaction.DEAF
    delays: list[float] = []

    async def react(deaf: bool) -> None:
        account = Account("default", world.around)
        await account._remember_limits()
        account._pace.deaf_before = account._halts.deaf_before
        assert account._pace.deaf_before is deaf
        for _ in range(5):
            await account._react(reaction.DEAF, None)

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr("tocsin.connector.account_runner.asyncio.sleep", sleep)
    held = HeldLease()
    monkeypatch.setattr("tocsin.connector.gateway.status.AccountStatus.holds", lambda _: held.valid())
    with pytest.raises(Unhealable):
        await react(deaf=False)
    delays.clear()
    await react(deaf=True)
    assert delays[:2] == [0, 0]
    assert all(delays[2:])


def test_deafness_is_forgotten_after_an_hour(world: World) -> None:
    now = [1_800_000_000.0]
    keys = KeyStore(world.around.table, world.around.sealer, "default", clock=lambda: now[0])
    keys.account.note_deaf()
    now[0] += DEAF_SECONDS - 1
    assert keys.account.was_deaf()
    now[0] += 1
    assert not keys.account.was_deaf()


async def test_what_another_connector_ended_holds_no_earlier_holder(world: World) -> None:
    account = Account("default", world.around)
    held_lease: Any = HeldLease()
    account.status.begin(held_lease)
    await account._halt(reaction.REPLACED)
    world.keys.account.clear_halt()
    running = asyncio.ensure_future(account.serve(held_lease))
    async with asyncio.timeout(60):
        while not world.logins:
            world.around.table.changed.clear()
            await world.around.table.changed.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("left", [600, 0])
async def test_a_ban_lasts_no_longer_because_the_lease_was_lost_meanwhile(world: World, left: int) -> None:
    account = Account("default", world.around)
    held_lease: Any = HeldLease()
    account.status.begin(held_lease)
    now = int(time.time())
    banned = replace(reaction.REPLACED, kind=Kind.WAIT, reason="banned-temporarily", seconds=86_400)
    await account._halt(banned)
    world.keys.account.note_limit(Limit(LOGIN, "temporary ban", now + left if left else 0, now + 1))
    await account._remember_limits()
    if not left:
        assert (account._halted, account.status.until) == (None, None)
        return
    assert account._halted is not None
    assert account._halted.seconds == pytest.approx(left, abs=5)
    assert account.status.until == now + left


async def test_a_halt_that_could_not_be_written_holds_in_this_process_at_least(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise ConnectionError("the table is away")

    account = Account("default", world.around)
    held_lease: Any = HeldLease()
    account.status.begin(held_lease)
    with monkeypatch.context() as outage:
        outage.setattr("tocsin.accounts.halts.note_halt", away)
        await account._halt(reaction.REPLACED)
    await account._remember_limits()
    incarnation = world.keys.account.credentials().incarnation
    assert account._halts.holding(incarnation, time.time()) is not None
