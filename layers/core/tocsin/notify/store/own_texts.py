"""Texts that replace those that came with the deployment: each change is a version, and the last ones are
kept.

    texts   current             version, files, at (ms), by, what, proof
    texts   version#00000012    the same, as it was written

    proof = seal({digest: SHA-256 of all that}, place of the item)

Both are written in one transaction, under the condition that nobody changed them since they were read. What
is written was judged before (`texts/own.py`). Everybody who may read the table reads the words; whoever may
only write to it has nothing said, for they can't make a proof, and which version is the last one, the keys
table knows (`tocsin.versions`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tocsin.dynamo.table import Conflict
from tocsin.dynamo.writes import ITEM_ABSENT, Condition, Delete, Item, Key, Put, Write, as_read
from tocsin.notify.content import DAMAGED, LOCKED
from tocsin.notify.store.codec import cut
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.notifications import texts_key, texts_version_key

if TYPE_CHECKING:
    from tocsin.versions import Versions

MAX_VERSIONS: Final = 30

EARLIER: Final = "earlier"
"""Why texts don't count, besides `DAMAGED`: they were an operator's once, and were changed since."""

PROOF: Final = "proof"
"""The attribute."""

_LAST: Final = "current"
"""The name under which the last version is noted."""


class TextsChangedMeanwhile(Exception):
    """Somebody else changed the texts since they were read; nothing was written."""

    def __str__(self) -> str:
        return "somebody else changed the texts at the same moment, so nothing was saved: reload, then repeat"


class TextsDoubted(Exception):
    """What stands in the table is not what an operator wrote last; the text says why."""


@dataclass(frozen=True)
class OwnTexts:
    """`files`: path, such as `id/TicketCreated.customer.txt` → what it says. `number`: of the version, 0 if
    there never was one. `at`: ms; `by`: who; `what`: the change, in a sentence. `doubt`: why they don't
    count, `DAMAGED` or `EARLIER`; their files are left out then. `LOCKED`: who reads them can't tell.
    `stands`: the item that they were read from, by which a change notices one in between."""

    files: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    at: int = 0
    by: str = ""
    what: str = ""
    doubt: str = ""
    stands: Item | None = field(default=None, repr=False, compare=False)

    @property
    def count(self) -> bool:
        """Whether they do, as far as whoever reads them can tell."""
        return self.doubt in ("", LOCKED)


class OwnTextsStore:
    """The texts in force, and earlier ones. `versions`: of texts."""

    def __init__(self, table: NotificationsTable, versions: Versions) -> None:
        self._table = table
        self._versions = versions

    def in_force(self) -> OwnTexts:
        """What is to be said. Raises TextsDoubted, and what keeps table or key away."""
        own = self.current()
        if own.doubt:
            raise TextsDoubted(own.doubt)
        return own

    def current(self) -> OwnTexts:
        """As they are stored; their `doubt` says whether they count. One read where there never were any."""
        item = self._table.get(texts_key())
        if item is None:
            return OwnTexts()
        since = self._versions.last(_LAST)
        own = self._judged(item, texts_key(), since)
        # They may have been changed between the two reads.
        return self._judged(self._table.get(texts_key()), texts_key(), since) if own.doubt == EARLIER else own

    def history(self) -> list[OwnTexts]:
        """The versions that are kept, the newest first."""
        pk, prefix = texts_version_key()
        kept = reversed(self._table.query(pk, prefix))
        return [self._judged(item, (pk, str(item["sk"])), since=0) for item in kept]

    def write(self, before: OwnTexts, files: Mapping[str, str], *, at: int, by: str, what: str) -> OwnTexts:
        """Write a new version over `before`, the one that was read. Raises TextsChangedMeanwhile,
        TextWithheld for who has no key, and what the table raises."""
        # The number of what doesn't count may be anybody's.
        known = 0 if before.doubt == DAMAGED else before.number
        number = max(known, self._versions.last(_LAST)) + 1
        content: Item = {"version": number, "files": dict(files), "at": at, "by": cut(by), "what": cut(what)}
        writes: list[Write] = [
            Put(texts_key(), self._proven(content, texts_key()), when=_unchanged(before.stands)),
            Put(texts_version_key(number), self._proven(content, texts_version_key(number))),
        ]
        if number > MAX_VERSIONS:
            writes.append(Delete(texts_version_key(number - MAX_VERSIONS)))
        try:
            self._table.transact(writes, self._table.new_token())
        except Conflict:
            raise TextsChangedMeanwhile from None
        self._versions.note(_LAST, number)
        return _read(content)

    def _proven(self, content: Item, key: Key) -> Item:
        return {**content, PROOF: self._table.texts.seal({"digest": _digest(_read(content))}, key, PROOF)}

    def _judged(self, item: Item | None, key: Key, since: int) -> OwnTexts:
        """What an item holds, if it counts. `since`: the version that does."""
        own = _read(item)
        doubt = EARLIER if own.number < since else self._doubt(own, (item or {}).get(PROOF), key)
        return replace(own, doubt=doubt, files=own.files if doubt in ("", LOCKED) else {})

    def _doubt(self, own: OwnTexts, proof: object, key: Key) -> str:
        try:
            proven = self._table.texts.open(proof, key, PROOF)
        except TextWithheld as refusal:
            return refusal.why
        return "" if proven.get("digest") == _digest(own) else DAMAGED


def _unchanged(item: Item | None) -> tuple[Condition, ...]:
    if item is None:
        return (ITEM_ABSENT,)
    return as_read("version", item), as_read(PROOF, item)


def _digest(own: OwnTexts) -> str:
    told = [own.number, dict(own.files), own.at, own.by, own.what]
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


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
        stands=item,
    )
