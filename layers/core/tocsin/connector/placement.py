"""Which of the stack's accounts live in this process: claims its share, gives up what others lack.

look ──▶ who else lives, how many accounts each holds          one query, each half second while there is
  │                                                            something to do, twice a beat while there are
  │                                                            others, else with each beat
  ├─ some account is held by nobody ──▶ claim, up to our share
  ├─ we have more than our share ─────▶ give one: requests end, socket closes, lease free
  └─ one is served no more ───────────▶ give it
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, Final, Protocol

from tocsin.accounts.lease import LeaseLost, Member
from tocsin.connector.held_lease import HeldLease, Leases
from tocsin.connector.pacing import Unhealable
from tocsin.connector.share import Loads

log = logging.getLogger(__name__)

HUNGRY_SECONDS: Final = 0.5
"""Between two looks while an account is free, or we have less than our share: a released lease is taken
within this time."""

MOVE_SECONDS: Final = 3.0
"""Between two accounts that we give to others: each logs in again before the next one goes."""

SWEEP_SECONDS: Final = 60.0
"""How often all leases are looked through, even though the heartbeats say that each is held."""

SHUNNED_SECONDS: Final = 900.0
"""How long we leave an account alone whose sockets are deaf here while others work."""


class Tenant(Protocol):
    """What of `account.Account` is used here."""

    @property
    def works(self) -> bool: ...
    @property
    def settled(self) -> bool: ...
    def serve(self, held_lease: HeldLease) -> Coroutine[Any, Any, None]: ...
    async def leave(self) -> None: ...


class Placement:
    """`served`: names the accounts of the stack. `open_account`: the account to be served, made when it is
    first ours. `monotonic`, `sleep`, `shuffle`: passed in for tests."""

    def __init__(
        self,
        leases: Leases,
        served: Callable[[], Awaitable[Collection[str]]],
        open_account: Callable[[str], Tenant],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        self._leases = leases
        self._served = served
        self._open = open_account
        self._monotonic = monotonic
        self._sleep = sleep
        self._shuffle = shuffle
        self._accounts: Collection[str] = ()
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._tenants: dict[str, tuple[Tenant, HeldLease]] = {}
        self._unheld_since: dict[str, float] = {}
        self._shunned: dict[str, float] = {}
        self._gave_at = self._swept_at = float("-inf")
        self._standing_by = False
        self._broken: asyncio.Future[None] | None = None
        self.unserved = 0

    @property
    def accounts(self) -> Collection[str]:
        """The stack's, as last read."""
        return self._accounts

    async def run(self) -> None:
        """Until cancelled; the accounts go on until `stop`. Raises what no account can be blamed for."""
        self._broken = asyncio.get_running_loop().create_future()
        looking = asyncio.ensure_future(self._look_for_ever())
        try:
            await asyncio.wait([looking, self._broken], return_when=asyncio.FIRST_COMPLETED)
            await (looking if looking.done() else self._broken)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def stop(self) -> None:
        """Close every account's socket; the leases stay ours."""
        tasks = list(self._serving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_for_ever(self) -> None:
        while True:
            wait = HUNGRY_SECONDS
            try:
                wait = await self._look()
            except Exception as exc:  # noqa: BLE001  the table is away: sockets stay, nothing is claimed
                log.warning("nothing is claimed while the leases can't be read: %s", exc)
            await self._sleep(wait)

    async def _look(self) -> float:
        """One look and what follows from it; seconds until the next."""
        self._accounts = await self._served()
        for account in [name for name in self._tenants if name not in self._accounts]:
            log.info("account served no more", extra={"account": account})
            await self._give(account)
        members = await self._leases.members()
        loads = self._loads(members)
        self.unserved = loads.unheld
        if not loads.unheld:
            self._unheld_since.clear()
        now = self._monotonic()
        if (loads.unheld and self._leases.held < len(self._accounts)) or now - self._swept_at > SWEEP_SECONDS:
            self._swept_at = now
            loads = await self._claim(members, loads)
        if loads.should_give() and now - self._gave_at > MOVE_SECONDS:
            leaving = self._least_missed()
            if leaving is not None:
                self._gave_at = now
                await self._give(leaving)
        self._tell_standby(members)
        hungry = loads.unheld or loads.mine < loads.share or (members and not loads.mine)
        if hungry:
            return HUNGRY_SECONDS
        # Alone, nobody's death can be missed; who comes is hungry, and looks often by itself.
        return self._leases.terms.beat / (2 if members else 1)

    def _loads(self, members: Sequence[Member]) -> Loads:
        others = [member.load for member in members if member.alive and not member.leaving]
        return Loads(len(self._accounts), self._leases.held, others)

    # Taking

    async def _claim(self, members: Sequence[Member], loads: Loads) -> Loads:
        """Take what nobody holds, up to our share; the loads afterwards. Whatever stays free for longer than
        a lease is taken by anybody: some living connector may be unable to."""
        free = await self._leases.unheld(self._accounts, members)
        now = self._monotonic()
        self._unheld_since = {account: self._unheld_since.get(account, now) for account in free}
        self._shuffle(free)  # so that two who look at the same moment seldom want the same one
        taken = False
        for account in free:
            orphaned = now - self._unheld_since[account] > self._leases.terms.dead
            if account in self._serving or not (loads.may_take() or orphaned) or self._is_shunned(account):
                continue
            held_lease = await self._leases.claim(account)
            if held_lease is not None:
                self._serve(held_lease)
                taken = True
                loads = self._loads(members)
        if taken:
            await self._leases.tell_load()
        return loads

    def _serve(self, held_lease: HeldLease) -> None:
        log.info("lease taken", extra={"account": held_lease.account, "epoch": held_lease.epoch})
        self._unheld_since.pop(held_lease.account, None)
        tenant = self._open(held_lease.account)
        self._tenants[held_lease.account] = tenant, held_lease
        self._serving[held_lease.account] = asyncio.create_task(self._live(tenant, held_lease))

    async def _live(self, tenant: Tenant, held_lease: HeldLease) -> None:
        """Serve the account from the taking of its lease to the loss of it."""
        account = held_lease.account
        try:
            await held_lease.keep(tenant.serve(held_lease))
        except LeaseLost:
            log.error("lease lost", extra={"account": account, "epoch": held_lease.epoch})
        except asyncio.CancelledError:
            raise
        except Unhealable as exc:
            await self._on_unhealable(account, held_lease, exc)
        except Exception as exc:  # noqa: BLE001  a fault of ours, told by whoever runs the process
            self._break(exc)
        finally:
            self._tenants.pop(account, None)
            self._serving.pop(account, None)

    async def _on_unhealable(self, account: str, held_lease: HeldLease, exc: Unhealable) -> None:
        """Deaf for one account, while others work, isn't the process's fault: another connector may try."""
        if not any(tenant.works for name, (tenant, _) in self._tenants.items() if name != account):
            self._break(exc)
            return
        log.error("the account is given up here: %s", exc, extra={"account": account})
        self._shunned[account] = self._monotonic()
        await self._release(held_lease)

    def _break(self, exc: BaseException) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(exc)

    def _is_shunned(self, account: str) -> bool:
        return self._monotonic() - self._shunned.get(account, float("-inf")) < SHUNNED_SECONDS

    # Giving

    def _least_missed(self) -> str | None:
        """One that doesn't work, if there is one: its move costs nobody a message. None of those that
        somebody is linking just now, or that are still on their way to a connection.
        """
        settled = [account for account, (tenant, _) in self._tenants.items() if tenant.settled]
        return min(settled, key=lambda account: (self._tenants[account][0].works, account), default=None)

    async def _give(self, account: str) -> None:
        """Let what is under way end, close the socket, and free the lease: one login elsewhere follows."""
        tenant, held_lease = self._tenants[account]
        log.info("giving up an account", extra={"account": account, "epoch": held_lease.epoch})
        await tenant.leave()
        task = self._serving.get(account)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._release(held_lease)

    async def _release(self, held_lease: HeldLease) -> None:
        try:
            await self._leases.give_up(held_lease)
        except Exception as exc:  # noqa: BLE001  ours in name only; the sweep takes it up again
            log.warning("the lease can't be released: %s", exc, extra={"account": held_lease.account})
        await self._leases.tell_load()

    def _tell_standby(self, members: Sequence[Member]) -> None:
        standing_by = not self._leases.held and any(member.alive and member.load for member in members)
        if standing_by and not self._standing_by:
            holders = {member.connector: member.load for member in members if member.alive}
            log.info("standing by", extra={"holders": holders})
        self._standing_by = standing_by
