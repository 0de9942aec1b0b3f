"""The operator's requests, read from the account's control item, and what the operator is shown in answer."""

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
"""How often the table is asked which accounts have an open request."""

LOOK_SECONDS: Final = 60.0
"""How often an account looks by itself, in case the poller missed a request."""


class RequestPoller:
    """Wakes the accounts that the operator asked something of: one read a second for all of them."""

    def __init__(
        self, aws: Aws, table: Table, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._aws = aws
        self._table = table
        self._sleep = sleep
        self._waking: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def of(self, account: str) -> asyncio.Event:
        """Return the event that is set when the account may have an open request. Who looks clears it."""
        return self._waking[account]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                for account in await self._aws.call(operator_requests.asked_accounts, self._table):
                    self._waking[account].set()
            except Exception as exc:  # noqa: BLE001  the table is away: the operator waits a little longer
                log.warning("the operator's requests can't be read: %s", exc)
            await self._sleep(POLL_SECONDS)


class OperatorRequests:
    """One account's control item. Answers that can't be written are logged; the account goes on."""

    def __init__(self, aws: Aws, table: Table, account: str, poller: RequestPoller) -> None:
        self._aws = aws
        self._table = table
        self._account = account
        self._waking = poller.of(account)

    async def next(self) -> Control:
        """Wait for a request and take it up."""
        while True:
            woken = self._waking.is_set()
            self._waking.clear()
            try:
                seen = await self._aws.call(operator_requests.read_control, self._table, self._account)
                if seen.request is not None:
                    if await self._aws.call(operator_requests.take_up, self._table, self._account, seen):
                        return seen
                    continue  # asked anew meanwhile
                if woken:
                    await self._aws.call(operator_requests.clear_request, self._table, self._account, seen)
            except Exception as exc:  # noqa: BLE001  the table is away: the operator waits a little longer
                log.warning("the control item can't be read: %s", exc, extra={"account": self._account})
                await asyncio.sleep(POLL_SECONDS)
                continue
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._waking.wait()
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
