"""One account's keys as stored: read and renewed, however long the table is away.

How long that may be, the lease says: whoever loses it is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from tocsin.accounts.state import AccountState
from tocsin.connector.context import ConnectorContext
from tocsin.connector.gateway.status import AccountStatus
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.account import Credentials
from tocsin.keys.high_water_mark import HighWaterMark, is_behind, read_high_water_mark
from tocsin.keys.store import KeyStore
from tocsin.sealing import DamagedRecord
from tocsin.whatsapp.reaction import Kind, Reaction

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0

HIGH_WATER_MARK_TRIES: Final = 3

DAMAGED: Final = Reaction(Kind.STOP, "damaged-credentials", AccountState.STOPPED)
DAMAGED_SECONDS: Final = 60.0


class StoredKeys:
    """`report`: tells the operator why the account can't connect."""

    def __init__(
        self,
        context: ConnectorContext,
        keys: KeyStore,
        status: AccountStatus,
        report: Callable[[Reaction], Awaitable[None]],
    ) -> None:
        self._context = context
        self._keys = keys
        self._status = status
        self._report = report
        self._name = status.account
        self._damage = ""

    async def credentials(self) -> Credentials:
        """The account as stored, made if it is new. Waits while it can't be read."""
        while True:
            try:
                credentials = await self._context.aws.call(self._keys.account.create)
            except DamagedRecord as exc:
                await self._wait_for_mending(exc)
                continue
            except Exception as exc:  # noqa: BLE001  the table is away; the lease says for how long that may be
                log.warning("the account can't be read: %s", exc, extra={"account": self._name})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._damage = ""
            self._status.token = credentials.connector_token
            self._status.incarnation = credentials.incarnation
            return credentials

    async def renew(self) -> None:
        """Make fresh keys in place of void ones. Tries until the table takes them."""
        while True:
            try:
                await self._context.aws.call(self._keys.account.renew)
                return
            except DamagedRecord as exc:
                await self._wait_for_mending(exc)
                continue
            except Exception as exc:  # noqa: BLE001  as long as it takes: void keys must not log in again
                log.warning("the keys can't be renewed: %s", exc, extra={"account": self._name})
                await asyncio.sleep(RETRY_SECONDS)

    async def high_water_mark(self) -> HighWaterMark | None:
        """How far the keys were when that was last written into the notifications table; None if unknown."""
        name = self._context.config.notifications_table
        if name is None:
            return None
        table = DynamoTable(self._context.aws.client("dynamodb"), name)
        for _ in range(HIGH_WATER_MARK_TRIES):
            try:
                return await self._context.aws.call(read_high_water_mark, table, self._name)
            except Exception as exc:  # noqa: BLE001  the table is away, or its item is
                log.warning("the high-water mark can't be read: %s", exc, extra={"account": self._name})
            await asyncio.sleep(RETRY_SECONDS)
        return None

    async def are_set_back(self) -> bool:
        """Return whether the keys table is older than what was last used. The mark is read first. If it can't
        be read, the answer is no."""
        mark = await self.high_water_mark()
        return is_behind(await self.credentials(), mark)

    async def _wait_for_mending(self, damage: DamagedRecord) -> None:
        """No new identity is made in place of one that can't be read: a person must look. Told once."""
        log.error("%s", damage, extra={"account": self._name})
        if self._damage != str(damage):
            self._damage = str(damage)
            await self._report(replace(DAMAGED, detail=self._damage))
        await asyncio.sleep(DAMAGED_SECONDS)
