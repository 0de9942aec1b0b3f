"""The operator's requests, read from the account's control item, and what the operator is shown in answer.

A request counts if its seal opens, it is young, and this process has not seen it before. Anything else is
logged by its reason and dropped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tocsin.accounts import operator_requests
from tocsin.accounts.operator_requests import (
    AHEAD_SECONDS,
    REQUEST_SECONDS,
    Asked,
    Request,
    RequestRefused,
)
from tocsin.accounts.passkey import PasskeyAnswer
from tocsin.accounts.state import AccountState
from tocsin.connector.aws import Aws
from tocsin.dynamo.table import Table
from tocsin.sealing import Sealer

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""How often the table is asked which accounts have an open request, while an operator is at work."""

QUIET_SECONDS: Final = 3.0
"""How often otherwise: each look costs, day and night."""

BUSY_LOOKS: Final = 60
"""After so many looks without a request no operator is at work any more."""

LOOK_SECONDS: Final = 60.0
"""How often an account looks by itself, in case the poller missed a request."""


class RequestPoller:
    """Wakes the accounts that the operator asked something of: one read for all of them, each second while
    an operator is at work, else each third. `table`: may be read with eventual consistency, for whoever is
    woken looks again."""

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
        busy_looks = 0
        while True:
            busy_looks = max(busy_looks - 1, 0)
            try:
                for account in await self._aws.call(operator_requests.asked_accounts, self._table):
                    self._waking[account].set()
                    busy_looks = BUSY_LOOKS
            except Exception as exc:  # noqa: BLE001  the table is away: the operator waits a little longer
                log.warning("the operator's requests can't be read: %s", exc)
            await self._sleep(POLL_SECONDS if busy_looks else QUIET_SECONDS)


class OperatorRequests:
    """One account's control item. Answers that can't be written are logged; the account goes on.

    `clock`: Unix seconds.
    """

    def __init__(
        self,
        aws: Aws,
        table: Table,
        sealer: Sealer,
        account: str,
        poller: RequestPoller,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._aws = aws
        self._table = table
        self._sealer = sealer
        self._account = account
        self._waking = poller.of(account)
        self._clock = clock
        # Sealed requests that were taken up, each with the time from which it is refused as stale.
        self._taken: dict[bytes, float] = {}
        self._put_back: list[Asked] = []

    def put_back(self, asked: Asked) -> None:
        """It was taken up, and another has to carry it out: it is the next one."""
        self._put_back.append(asked)

    async def next(self) -> Asked:
        """Wait for a request and take it up."""
        if self._put_back:
            return self._put_back.pop(0)
        while True:
            woken = self._waking.is_set()
            self._waking.clear()
            try:
                asked = await self._take_open_one(woken)
            except Exception as exc:  # noqa: BLE001  the table is away: the operator waits a little longer
                log.warning("the control item can't be read: %s", exc, extra={"account": self._account})
                await asyncio.sleep(POLL_SECONDS)
                continue
            if asked is not None:
                return asked
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._waking.wait()
            except TimeoutError:
                pass

    async def _take_open_one(self, woken: bool) -> Asked | None:
        """Take the first request that counts off the table, and drop those that don't; None without any.
        `woken`: somebody said that there is one. Raises what the table raises."""
        while True:
            seen = await self._aws.call(operator_requests.read_request, self._table, self._account)
            if seen.what is None:
                break
            try:
                asked = self._counts(seen)
            except RequestRefused as refused:
                why = {"account": self._account, "reason": refused.reason}
                log.error("operator request refused", extra=why)
                asked = None
            if not await self._aws.call(operator_requests.take_up, self._table, self._account, seen):
                continue  # asked anew meanwhile
            if asked is not None:
                self._taken[asked.sealed] = asked.requested_at + REQUEST_SECONDS
                return asked
        if woken:  # whoever took it up died before saying that none is open
            await self._aws.call(
                operator_requests.clear_request, self._table, self._account, seen.requested_at
            )
        return None

    def _counts(self, seen: Request) -> Asked:
        """What is asked for. Raises RequestRefused."""
        now = self._clock()
        asked = operator_requests.open_request(seen, self._account, self._sealer, now)
        self._taken = {sealed: until for sealed, until in self._taken.items() if until >= now - AHEAD_SECONDS}
        if asked.sealed in self._taken:
            raise RequestRefused("replayed")
        return asked

    async def passkey_answer(self, ceremony: str) -> PasskeyAnswer | None:
        """What the operator answered in this ceremony, once; None while there is nothing, or the table is
        away."""
        try:
            return await self._aws.call(
                operator_requests.take_passkey_answer, self._table, self._account, self._sealer, ceremony
            )
        except Exception as exc:  # noqa: BLE001  the operator's answer stays there
            log.warning("the control item can't be read: %s", exc, extra={"account": self._account})
            return None

    async def show(self, state: AccountState, message: str = "", **shown: Any) -> None:
        """`qr`, `qr_expires_at`, `pairing_code`, `passkey`, `linked`: see
        `accounts.operator_requests.answer`."""
        try:
            await self._aws.call(
                operator_requests.answer,
                self._table,
                self._sealer,
                self._account,
                os.urandom(12),
                state=state,
                message=message,
                **shown,
            )
        except Exception:
            log.exception("the operator can't be answered", extra={"account": self._account})
