"""What the door knows of its sources: read by name, remembered for half a minute."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from tocsin.door.answer import unavailable
from tocsin.door.proofs import Vault, proven_source
from tocsin.door.sources import DamagedSource, Source
from tocsin.tables.notifications import source_key

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table
    from tocsin.versions import Versions

log = logging.getLogger(__name__)

FRESH_MS: Final = 30_000
"""How long what was read is used, so how long a source that was removed may still be heard."""

MAX_KNOWN: Final = 1000
"""Names that are remembered, those included that don't exist: strangers try them."""


class SourceReader:
    """`table`: the notifications table; `vault`: opens the proofs of records; `versions`: of sources. One
    read of both a name in half a minute, whoever asks for it."""

    def __init__(self, table: Table, vault: Vault, versions: Versions) -> None:
        self._table = table
        self._vault = vault
        self._versions = versions
        self._known: dict[str, tuple[int, Source | None]] = {}

    def read(self, name: str, now: int) -> Source | None:
        """The source of this name; None if there is none, or none that is readable. `now`: ms. Raises Refused
        (503)."""
        read_at, source = self._known.get(name, (0, None))
        if name in self._known and 0 <= now - read_at < FRESH_MS:
            return source
        source = self._read(name)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[name] = (now, source)
        return source

    def _read(self, name: str) -> Source | None:
        try:
            since = self._versions.last(name)
            item = self._table.get(source_key(name))
        except Exception as error:  # noqa: BLE001 - whatever keeps it away, callers shall come again
            log.warning("the sources can't be read", extra={"error": type(error).__name__})
            raise unavailable("the sources can't be read now") from None
        if item is None:
            return None
        try:
            return proven_source(name, item, self._vault, since=since)
        except DamagedSource as damage:
            log.error("a source's record is damaged", extra={"source": name, "attribute": str(damage)})
            return None
        except Exception as error:  # noqa: BLE001 - whatever keeps the key away, callers shall come again
            log.warning("the sources can't be proven", extra={"error": type(error).__name__})
            raise unavailable("the sources can't be read now") from None
