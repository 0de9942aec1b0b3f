"""Who changed what: one line for each change that an operator made, kept as long as notifications are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Item, Key, Put, Update
from tocsin.notify.store.codec import cut
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import AUDIT, audit_key

LATEST: Final = 9_999_999_999_999
"""Beyond every moment that a key can name (ms)."""

LETTERS_DROPPED: Final = "dead-letters-dropped"
"""Kind of a line by which dead letters were dropped; `ids`: of their notifications."""

MAX_IDS: Final = 200
"""Of one line; of more, the first ones are kept."""


@dataclass(frozen=True)
class AuditLine:
    """`at`: ms. `by`: who, as AWS calls them; empty if it didn't say. `what`: in words, without texts or
    whole numbers. `count`: of how many. `note`: what the operator wrote to it. `kind`, `ids`: what programs
    read, where one does: which kind of change it was, and of what; a line of before they were kept has
    none."""

    at: int
    by: str
    what: str
    count: int = 1
    note: str = ""
    kind: str = ""
    ids: tuple[str, ...] = ()


class Audit:
    """The lines, in order of time."""

    def __init__(self, table: NotificationsTable, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._table = table
        self._random = random

    def add(self, line: AuditLine) -> Key:
        """Write a line. Returns its key."""
        item: Item = {
            "at": line.at,
            "by": cut(line.by),
            "what": cut(line.what),
            "count": line.count,
            "note": cut(line.note),
            "expire_at": self._table.expire_at(line.at),
        }
        if line.kind:
            item = {**item, "kind": line.kind, "ids": list(line.ids[:MAX_IDS])}
        key = audit_key(line.at, self._random(6).hex())
        self._table.put(Put(key, item, when=(ITEM_ABSENT,)))
        return key

    def recount(self, key: Key, count: int) -> None:
        """Of how many a line is, where that is known only at its end. Raises ConditionFailed."""
        self._table.update(Update(key, set={"count": count}, when=(ITEM_EXISTS,)))

    def lines(self, *, since: int = 0, until: int | None = None) -> Iterator[AuditLine]:
        """Those from `since` on and before `until` (ms), the newest first; read as they are asked for."""
        for item in self._table.latest(AUDIT, audit_key(LATEST if until is None else until, "")[1]):
            line = _read(item)
            if line.at < since:
                return
            yield line


def _read(item: Item) -> AuditLine:
    def number(name: str) -> int:
        value = item.get(name)
        return value if isinstance(value, int) else 0

    ids = item.get("ids")
    return AuditLine(
        number("at"),
        str(item.get("by", "")),
        str(item.get("what", "")),
        number("count"),
        str(item.get("note", "")),
        str(item.get("kind", "")),
        tuple(map(str, ids)) if isinstance(ids, list) else (),
    )
