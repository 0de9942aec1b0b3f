"""Texts that replace those that came with the deployment: each change is a version, and the last ones are
kept.

    texts   current             version, files, at (ms), by, what
    texts   version#00000012    the same, as it was written

Both are written in one transaction, under the condition that nobody changed them since they were read. What
is
written was judged before (`texts/own.py`); whoever reads judges nothing and falls back where it doesn't hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tocsin.dynamo.table import Conflict
from tocsin.dynamo.writes import ITEM_ABSENT, Delete, Equals, Item, Put, Write
from tocsin.notify.store.codec import cut
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import texts_key, texts_version_key

MAX_VERSIONS: Final = 30


class TextsChangedMeanwhile(Exception):
    """Somebody else changed the texts since they were read; nothing was written."""

    def __str__(self) -> str:
        return "somebody else changed the texts at the same moment, so nothing was saved: reload, then repeat"


@dataclass(frozen=True)
class OwnTexts:
    """`files`: path, such as `id/TicketCreated.customer.txt` → what it says. `number`: of the version, 0 if
    there never
    was one. `at`: ms; `by`: who; `what`: the change, in a sentence."""

    files: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    at: int = 0
    by: str = ""
    what: str = ""


class OwnTextsStore:
    """The texts in force, and earlier ones."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def current(self) -> OwnTexts:
        return _read(self._table.get(texts_key()))

    def history(self) -> list[OwnTexts]:
        """The versions that are kept, the newest first."""
        pk, prefix = texts_version_key()
        return [_read(item) for item in reversed(self._table.query(pk, prefix))]

    def write(self, before: OwnTexts, files: Mapping[str, str], *, at: int, by: str, what: str) -> OwnTexts:
        """Write a new version over `before`, the one that was read. Raises TextsChangedMeanwhile, and what
        the table
        raises."""
        number = before.number + 1
        content: Item = {"version": number, "files": dict(files), "at": at, "by": cut(by), "what": cut(what)}
        unchanged = (Equals("version", before.number),) if before.number else (ITEM_ABSENT,)
        writes: list[Write] = [
            Put(texts_key(), content, when=unchanged),
            Put(texts_version_key(number), content),
        ]
        if number > MAX_VERSIONS:
            writes.append(Delete(texts_version_key(number - MAX_VERSIONS)))
        try:
            self._table.transact(writes, self._table.new_token())
        except Conflict:
            raise TextsChangedMeanwhile from None
        return _read(content)


def _read(item: Item | None) -> OwnTexts:
    """What an item holds; of what has no such form, nothing."""
    held = item or {}
    files, number, at = held.get("files"), held.get("version"), held.get("at")
    known = files.items() if isinstance(files, Mapping) else ()
    return OwnTexts(
        {str(path): text for path, text in known if isinstance(text, str)},
        number if isinstance(number, int) else 0,
        at if isinstance(at, int) else 0,
        str(held.get("by", "")),
        str(held.get("what", "")),
    )
