"""The active WhatsApp restrictions of one account, in this process and in the keys table.

The server tells it in the ack of a message, in a notification, or in place of a login. It is written down
before anybody is told, so that it survives this process and is known to every function; a table that is away
delays nobody: then this process knows it alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from tocsin.accounts.limits import (
    COLD_REFUSALS,
    FEW_NEW_CHATS,
    FIRST_CONTACTS,
    KINDS,
    LOGIN,
    MESSAGES,
    NEW_CHATS,
    Limit,
    strictest_for_first_contacts,
)
from tocsin.connector.aws import Aws
from tocsin.connector_client.protocol import ACCOUNT_LIMIT_SECONDS, RATE_LIMIT_SECONDS
from tocsin.keys.store import KeyStore

log = logging.getLogger(__name__)

BY_ACK: Final = {
    "419": (MESSAGES, ACCOUNT_LIMIT_SECONDS),
    "423": (MESSAGES, ACCOUNT_LIMIT_SECONDS),
    "429": (MESSAGES, RATE_LIMIT_SECONDS),
}
"""Error of a message's ack → which restriction it means for certain, and its seconds: the server gives none.
463 and 475 need a question: `connector.health`."""

WORDS: Final = {
    FIRST_CONTACTS: "no first contacts",
    NEW_CHATS: "no new chats",
    COLD_REFUSALS: "no first contacts for a while",
    FEW_NEW_CHATS: "no new chats but for what is urgent",
    MESSAGES: "no messages",
    LOGIN: "no login",
}

WRITE_SECONDS: Final = 3.0
"""How long an ack may wait for its limit to be written down."""


class Limits:
    """`changed` is set whenever a limit began, moved or ended."""

    def __init__(
        self, aws: Aws, keys: KeyStore, account: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._aws = aws
        self._keys = keys
        self._account = account
        self._clock = clock
        self._known: dict[str, Limit] = {}
        self._unwritten: set[str] = set()
        self.changed = asyncio.Event()

    async def load(self) -> None:
        """Read the limits that are stored: another connector may have heard of their end since. Raises what
        the table raises."""
        stored = await self._aws.call(self._keys.account.limits)
        for kind in self._known.keys() - stored.keys() - self._unwritten:
            del self._known[kind]
            self.changed.set()
        for kind, limit in stored.items():
            self._know(kind, limit)

    def active(self, kind: str) -> Limit | None:
        """The limit of this kind, while it holds."""
        limit = self._known.get(kind)
        return limit if limit is not None and limit.until > self._clock() else None

    def strictest(self) -> Limit | None:
        """The active limit of the strictest kind, None without any."""
        return next(filter(None, map(self.active, KINDS)), None)

    def for_first_contacts(self) -> Limit | None:
        """What keeps first contacts back for longest."""
        active = {kind: limit for kind in KINDS if (limit := self.active(kind)) is not None}
        return strictest_for_first_contacts(active)

    async def refused(self, error: str) -> Limit | None:
        """A message was refused with `error`; the limit that this means, if it is one."""
        if error not in BY_ACK:
            return None
        kind, seconds = BY_ACK[error]
        return await self.hear(kind, error, self._clock() + seconds, guessed=True)

    async def hear(
        self, kind: str, cause: str, until: float, *, guessed: bool = False, word: str = ""
    ) -> Limit:
        """The server told of a limit, or (`until` 0) of its end. What counts now. `word`: its own for it."""
        heard = Limit(kind, cause, int(until), int(self._clock()), guessed, word)
        before = self._known.get(kind)
        if not guessed or before is None or before.until < heard.until:
            self._know(kind, heard)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                counts = await self._aws.call(self._keys.account.note_limit, heard, guessed=guessed)
        except Exception as exc:  # noqa: BLE001  the table is away: we know it, and hold to it
            problem = str(exc) or type(exc).__name__
            log.error("a limit can't be written down: %s", problem, extra={"account": self._account})
            self._unwritten.add(kind)
            return self._known[kind]
        self._unwritten.discard(kind)
        self._know(kind, counts)
        return counts

    def _know(self, kind: str, limit: Limit) -> None:
        if self._known.get(kind) != limit:
            self._known[kind] = limit
            self.changed.set()
