"""Who changed what: one line for each change that an operator made, kept as long as notifications are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.dynamo.writes import ITEM_ABSENT, Item, Put
from tocsin.notify.store.codec import cut
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import AUDIT, audit_key


@dataclass(frozen=True)
class AuditLine:
    """`at`: ms. `by`: who, as AWS calls them; empty if it didn't say. `what`: in words, without texts or
    whole
    numbers. `count`: of how many. `note`: what the operator wrote to it."""

    at: int
    by: str
    what: str
    count: int = 1
    note: str = ""


class Audit:
    """The lines, in order of time."""

    def __init__(self, table: NotificationsTable, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._table = table
        self._random = random

    def add(self, line: AuditLine) -> None:
        item: Item = {
            "at": line.at,
            "by": cut(line.by),
            "what": cut(line.what),
            "count": line.count,
            "note": cut(line.note),
            "expire_at": self._table.expire_at(line.at),
        }
        self._table.put(Put(audit_key(line.at, self._random(6).hex()), item, when=(ITEM_ABSENT,)))

    def lines(self) -> list[AuditLine]:
        """All that are kept, the newest first."""
        return [_read(item) for item in reversed(self._table.query(AUDIT))]


def _read(item: Item) -> AuditLine:
    def number(name: str) -> int:
        value = item.get(name)
        return value if isinstance(value, int) else 0

    return AuditLine(
        number("at"),
        str(item.get("by", "")),
        str(item.get("what", "")),
        number("count"),
        str(item.get("note", "")),
    )
