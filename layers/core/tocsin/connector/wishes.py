"""The operator's wishes, read from the account's control item, and what the operator is shown in answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tocsin.connector.aws import Aws
from tocsin.keys import control
from tocsin.keys.control import Control
from tocsin.keys.table import Table

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""While the account waits for the operator."""

GLANCE_SECONDS: Final = 5.0
"""While it is connected, and the operator can only want to unlink it."""


class Wishes:
    """One account's control item. Answers that can't be written are logged; the account goes on."""

    def __init__(
        self,
        aws: Aws,
        table: Table,
        account: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._aws = aws
        self._table = table
        self._account = account
        self._sleep = sleep

    async def next(self, seconds: float = POLL_SECONDS) -> Control:
        """Wait for a request and take it up."""
        while True:
            try:
                seen = await self._aws.call(control.read_control, self._table, self._account)
                if seen.request is not None and await self._aws.call(
                    control.take_up, self._table, self._account, seen
                ):
                    return seen
            except Exception as exc:  # noqa: BLE001  the table is away: the operator waits a little longer
                log.warning("the control item can't be read: %s", exc, extra={"account": self._account})
            await self._sleep(seconds)

    async def show(self, state: str, message: str = "", **shown: Any) -> None:
        """`qr`, `qr_expires_at`, `pairing_code`: see `keys.control.answer`."""
        try:
            await self._aws.call(
                control.answer, self._table, self._account, state=state, message=message, **shown
            )
        except Exception:
            log.exception("the operator can't be answered", extra={"account": self._account})
