"""The operator's wishes, read from the account's control item, and what the operator is shown in answer."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tocsin.accounts import operator_requests
from tocsin.accounts.operator_requests import Control
from tocsin.accounts.state import AccountState
from tocsin.connector.aws import Aws
from tocsin.dynamo.table import Table

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""How often it is asked whether anything is wanted of anybody."""

LOOK_SECONDS: Final = 60.0
"""How often an account looks by itself, should the bell not have been heard."""


class RequestPoller:
    """Rings for the accounts of which something is wanted: one request a second, however many there are."""

    def __init__(
        self, aws: Aws, table: Table, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._aws = aws
        self._table = table
        self._sleep = sleep
        self._rung: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def of(self, account: str) -> asyncio.Event:
        """Set when something may be wanted of the account; whoever looks clears it."""
        return self._rung[account]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                for account in await self._aws.call(operator_requests.wished, self._table):
                    self._rung[account].set()
            except Exception as exc:  # noqa: BLE001  the table is away: the operator waits a little longer
                log.warning("the wishes can't be read: %s", exc)
            await self._sleep(POLL_SECONDS)


class OperatorRequests:
    """One account's control item. Answers that can't be written are logged; the account goes on."""

    def __init__(self, aws: Aws, table: Table, account: str, bell: RequestPoller) -> None:
        self._aws = aws
        self._table = table
        self._account = account
        self._rung = bell.of(account)

    async def next(self) -> Control:
        """Wait for a request and take it up."""
        while True:
            rung = self._rung.is_set()
            self._rung.clear()
            try:
                seen = await self._aws.call(operator_requests.read_control, self._table, self._account)
                if seen.request is not None:
                    if await self._aws.call(operator_requests.take_up, self._table, self._account, seen):
                        return seen
                    continue  # asked anew meanwhile
                if rung:
                    await self._aws.call(operator_requests.seen_to, self._table, self._account, seen)
            except Exception as exc:  # noqa: BLE001  the table is away: the operator waits a little longer
                log.warning("the control item can't be read: %s", exc, extra={"account": self._account})
                await asyncio.sleep(POLL_SECONDS)
                continue
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._rung.wait()
            except TimeoutError:
                pass

    async def show(self, state: AccountState, message: str = "", **shown: Any) -> None:
        """`qr`, `qr_expires_at`, `pairing_code`: see `accounts.operator_requests.answer`."""
        try:
            await self._aws.call(
                operator_requests.answer, self._table, self._account, state=state, message=message, **shown
            )
        except Exception:
            log.exception("the operator can't be answered", extra={"account": self._account})
