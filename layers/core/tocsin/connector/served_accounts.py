"""The accounts of the stack: those its parameter names, and those that were added while it runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from tocsin.accounts.served_accounts import read_roster
from tocsin.connector.aws import Aws
from tocsin.dynamo.table import Table

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0


class Roster:
    """`outside`: the notifications table; None where no stack is deployed, and nothing can be added."""

    def __init__(
        self,
        aws: Aws,
        named: Collection[str],
        outside: Table | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aws = aws
        self._named = tuple(named)
        self._outside = outside
        self._monotonic = monotonic
        self._known: tuple[str, ...] = self._named
        self._read_at = float("-inf")

    async def __call__(self) -> Collection[str]:
        """All names, those of the parameter first. While the table is away, those last read."""
        if self._outside is None or self._monotonic() - self._read_at < FRESH_SECONDS:
            return self._known
        self._read_at = self._monotonic()
        try:
            added = await self._aws.call(read_roster, self._outside)
        except Exception as exc:  # noqa: BLE001  nobody is dropped because the table is away
            log.warning("the accounts that were added can't be read: %s", exc)
            return self._known
        self._known = tuple(dict.fromkeys((*self._named, *added)))
        return self._known
