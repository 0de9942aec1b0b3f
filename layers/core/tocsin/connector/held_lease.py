"""The leases as this process lives by them: one heartbeat, and for each account the time in which it is ours.

The key store's keeper decides who may hold what; here its blocking calls get a thread of their own (a slow
table must not hold up the heartbeat), and its verdicts become events that close sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from tocsin.accounts.lease import LeaseHeld, LeaseLost, Member, Terms
from tocsin.accounts.state import AccountState

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

WATCH_SECONDS: Final = 1.0
"""How often it is looked whether the heartbeat still protects us. The socket asks before every message."""

RETRY_SECONDS: Final = 1.0


class Keeper(Protocol):
    """What of `accounts.lease.LeaseKeeper` is used here."""

    @property
    def terms(self) -> Terms: ...
    @property
    def alive(self) -> bool: ...
    def beat(self) -> None: ...
    def members(self) -> list[Member]: ...
    def unheld(self, accounts: Collection[str], members: Iterable[Member]) -> list[str]: ...
    def leave(self) -> None: ...
    def acquire(self, account: str) -> int: ...
    def forgo(self, account: str, epoch: int) -> None: ...
    def release(self, account: str, epoch: int) -> None: ...
    def set_state(self, account: str, epoch: int, state: AccountState, detail: str = "") -> None: ...
    def stop(self) -> None: ...


class HeldLease:
    """An account while it is ours. Once lost, it stays lost; a new one has a higher epoch."""

    def __init__(self, leases: Leases, account: str, epoch: int) -> None:
        self.account = account
        self.epoch = epoch
        self._leases = leases
        self._lost = asyncio.Event()
        # As a taken lease begins. None: a write may or may not have arrived.
        self._written: tuple[AccountState, str] | None = (AccountState.CONNECTING, "")
        self.on_loss: Callable[[], None] = lambda: None

    def valid(self) -> bool:
        """Whether the socket may be read and written now."""
        return not self._lost.is_set() and self._leases.alive

    def lose(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self.on_loss()

    async def keep(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` while the account is ours. Raises LeaseLost, the work then being cancelled."""
        task = asyncio.ensure_future(work)
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait([task, lost], return_when=asyncio.FIRST_COMPLETED)
            if self._lost.is_set():
                raise LeaseLost(self.account)
            return await task
        finally:
            lost.cancel()
            if not task.done():
                task.cancel()
                [ended] = await asyncio.gather(task, return_exceptions=True)
                if isinstance(ended, Exception):
                    # Of an account that isn't ours: it changes nothing here.
                    log.warning("work ended badly: %r", ended, extra={"account": self.account})

    async def set_state(self, state: AccountState, detail: str = "") -> None:
        """Write the account's state into the lease, unless it says so already. Tries until the table takes
        it. Raises LeaseLost."""
        while True:
            if not self.valid():
                raise LeaseLost(self.account)
            if self._written == (state, detail):
                return
            self._written = None
            try:
                await self._leases.set_state(self, state, detail)
                self._written = state, detail
                return
            except LeaseLost:
                self.lose()
                raise
            except Exception as exc:  # noqa: BLE001  whatever the table says: the state must get out
                log.warning("the state can't be written: %s", exc, extra={"account": self.account})
            await asyncio.sleep(RETRY_SECONDS)


class Leases:
    """`sleep` is passed in so that a test needn't wait."""

    def __init__(self, keeper: Keeper, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._keeper = keeper
        self._sleep = sleep
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lease")
        self._held_leases: dict[str, HeldLease] = {}

    @property
    def terms(self) -> Terms:
        return self._keeper.terms

    @property
    def alive(self) -> bool:
        return self._keeper.alive

    async def run(self) -> None:
        """Beat and watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat())
            tasks.create_task(self._watch())

    @property
    def held(self) -> int:
        """How many accounts are ours now."""
        return len(self._held_leases)

    async def members(self) -> list[Member]:
        """The other connectors, as they tell of themselves. Raises what the table raises."""
        return await self._call(self._keeper.members)

    async def unheld(self, accounts: Collection[str], members: Iterable[Member]) -> list[str]:
        """Which of the accounts could be taken now. Raises what the table raises."""
        return await self._call(self._keeper.unheld, accounts, members)

    async def claim(self, account: str) -> HeldLease | None:
        """Take the lease of an account; None while another holds it. Raises what the table raises."""
        try:
            epoch = await self._call(self._keeper.acquire, account)
        except LeaseHeld:
            return None
        if not self.alive:
            # Held, but not under a heartbeat that protects it: after the next beat we ask again.
            await self._call(self._keeper.forgo, account, epoch)
            return None
        held_lease = self._held_leases[account] = HeldLease(self, account, epoch)
        return held_lease

    async def tell_load(self) -> None:
        """Let the others know at once how many accounts are ours. What goes wrong, the next beat mends."""
        try:
            await self._call(self._keeper.beat)
        except LeaseLost:
            self._lose_all()
        except Exception as exc:  # noqa: BLE001  `alive` says how long this may go on
            log.warning("heartbeat failed: %s", exc)

    async def leave(self) -> None:
        """Tell the others that we go: they stand ready for what we release."""
        with contextlib.suppress(LeaseLost):
            await self._call(self._keeper.leave)

    async def give_up(self, held_lease: HeldLease) -> None:
        """Release one account for a successor, its socket being closed. Raises what the table raises."""
        self.drop(held_lease)
        await self._call(self._keeper.release, held_lease.account, held_lease.epoch)

    async def stop(self) -> None:
        """Release everything and take the heartbeat away."""
        for held_lease in list(self._held_leases.values()):
            self.drop(held_lease)
        await self._call(self._keeper.stop)

    async def set_state(self, held_lease: HeldLease, state: AccountState, detail: str) -> None:
        await self._call(self._keeper.set_state, held_lease.account, held_lease.epoch, state, detail)

    def drop(self, held_lease: HeldLease) -> None:
        """It is ours no more, whoever has it now."""
        if self._held_leases.get(held_lease.account) is held_lease:
            del self._held_leases[held_lease.account]
        held_lease.lose()

    async def _beat(self) -> None:
        while True:
            try:
                await self._call(self._keeper.beat)
                wait = self.terms.beat
            except LeaseLost:
                log.error("another connector took us for dead: all leases are lost")
                self._lose_all()
                wait = RETRY_SECONDS
            except Exception as exc:  # noqa: BLE001  `alive` says how long this may go on
                log.warning("heartbeat failed: %s", exc)
                wait = RETRY_SECONDS
            await self._sleep(wait)

    async def _watch(self) -> None:
        while True:
            if self._held_leases and not self.alive:
                log.error("no heartbeat for too long: all sockets are closed")
                self._lose_all()
            await self._sleep(WATCH_SECONDS)

    def _lose_all(self) -> None:
        """Whatever is taken anew after this bears a new epoch, whoever takes it."""
        for held_lease in list(self._held_leases.values()):
            self.drop(held_lease)
            self._thread.submit(self._keeper.forgo, held_lease.account, held_lease.epoch)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))
