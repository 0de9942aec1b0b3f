"""One account's halts, in this process and in the keys table (`accounts.halts`).

Where the table is away while one is written, this process knows it alone, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tocsin.accounts.halts import Halt
from tocsin.accounts.state import AccountState
from tocsin.connector.aws import Aws
from tocsin.keys.store import KeyStore
from tocsin.whatsapp.reaction import Kind, Reaction

log = logging.getLogger(__name__)

WRITE_SECONDS: Final = 5.0


class Halts:
    """`deaf_before`: a process ended for the account's deaf sockets within the last hour."""

    def __init__(self, aws: Aws, keys: KeyStore, account: str) -> None:
        self._aws = aws
        self._keys = keys
        self._account = account
        self._before: Halt | None = None
        self._unwritten = False
        self.deaf_before = False

    async def load(self) -> None:
        """Read what was written down. Raises what the table raises: without it nothing is tried."""
        if not self._unwritten:
            self._before = await self._aws.call(self._keys.account.halt)
        self.deaf_before = await self._aws.call(self._keys.account.was_deaf)

    def holding(self, incarnation: int, now: float) -> Reaction | None:
        """Why the account isn't to connect, if that holds for its present pairing. `now`: Unix seconds."""
        halt = self._before
        if halt is None or halt.incarnation != incarnation or (halt.until and halt.until <= now):
            return None
        log.warning("halted before", extra={"account": self._account, "reason": halt.reason})
        return Reaction(
            Kind.STOP,
            halt.reason,
            halt.state,
            # Whether its keys were replaced doesn't matter any more; no time ends it.
            wipe=not halt.until,
            seconds=halt.until - now if halt.until else None,
            detail=halt.detail,
        )

    async def note(self, ended: Reaction, until: int, incarnation: int) -> None:
        """The account stops trying. `until`: Unix seconds; 0: until a person acts."""
        halt = self._before = Halt(AccountState(ended.state), ended.reason, ended.detail, until, incarnation)
        await self._tell(self._keys.account.note_halt, halt)

    async def clear(self) -> None:
        """It tries again."""
        if self._before is not None:
            self._before = None
            await self._tell(self._keys.account.clear_halt)

    async def note_deaf(self) -> None:
        """This process is about to end for them."""
        await self._tell(self._keys.account.note_deaf)

    async def _tell(self, write: Callable[..., None], *arguments: Halt) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._aws.call(write, *arguments)
            self._unwritten = False
        except Exception as exc:  # noqa: BLE001  the table is away, or the lease is lost, which is told elsewhere
            self._unwritten = True
            problem = str(exc) or type(exc).__name__
            log.error("a halt can't be written down: %s", problem, extra={"account": self._account})
