"""What happens to keys, told in one place: reads and writes of the table, and the life of sessions.

| event                                                                             | level |
| --------------------------------------------------------------------------------- | ----- |
| `key read`, `key written`, `key refused`: type, requested, found, version         | DEBUG |
| `session made`, `archived`, `closed`, `promoted`, `cleaned`, `forgotten`,         |       |
| `recovered`, `moved`                                                              | INFO  |
| `identity changed`; damaged records (`context.log_damage`)                          | WARNING |

A session is *archived* when another takes its place, *closed* when none does (the next send makes one),
*promoted* when an archived one comes back, *cleaned* when an operator put it out of use, *forgotten* when
all that was shared with a device is deleted, *recovered* when it was replaced because somebody could not
read, and *moved* when it went from a phone number to its LID.

No event holds key bytes. `version` is the beginning of the item's tag (16 random bytes that change with each
turn), so that two lines about one item tell whether they saw the same one. Users' numbers are masked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.dynamo.table import ConditionFailed, Conflict, ScanPage, Table, TableError
from tocsin.dynamo.writes import Delete, Item, Key, Put, Update, Write
from tocsin.sealing import masked
from tocsin.tables.keys import INBOUND, OUTBOUND, inbound_device

if TYPE_CHECKING:
    from tocsin.signal.state import Record

_log = logging.getLogger("tocsin.keys")

MADE, ARCHIVED, CLOSED, PROMOTED = "made", "archived", "closed", "promoted"
CLEANED, FORGOTTEN, RECOVERED, MOVED = "cleaned", "forgotten", "recovered", "moved"

# First part of the partition key → what such an item is; `account` and `user` items are named by sort key.
_TYPES = {
    "prekey": "prekey",
    "stanza": "stanza",
    "secret": "message-secret",
    "connectors": "heartbeat",
    "group": "sender-key",
}


class IdentityChange(NamedTuple):
    """A device has another identity than before. `by`: what proved it, a `message` or a signed `bundle`."""

    user: str
    device: int
    old: bytes
    new: bytes
    by: str

    def __repr__(self) -> str:
        return f"IdentityChange({masked(self.user)}, device={self.device}, by={self.by!r})"


class Observer:
    """Hears of everything, and writes it to the log. Another one overrides what it wants to hear."""

    def session(self, what: str, user: str, device: int, **facts: object) -> None:
        """Something became of a session, durably. `what`: one of the words above."""
        _log.info("session %s", what, extra={"recipient": masked(user), "device": device, **facts})

    def read(self, requested: Key, item: Item | None) -> None:
        """One item was asked for."""
        _log.debug("key read", extra=_facts(requested, item is not None, item))

    def read_many(self, requested: Key, found: int) -> None:
        """Items of a partition, or of the whole table, were asked for; `requested`: where they begin."""
        _log.debug("key read", extra=_facts(requested, found, None))

    def written(self, requested: Key, item: Item | None) -> None:
        """One item was written (`item`: as far as the write says what it holds) or deleted (None)."""
        _log.debug("key written", extra=_facts(requested, item is not None, item))

    def refused(self, requested: Key, why: str) -> None:
        """A write of this item, alone or among others, didn't happen."""
        _log.debug("key refused", extra={**_facts(requested, False, None), "why": why})


LOG = Observer()


def log_identity_change(change: IdentityChange) -> None:
    """The default reaction: say it."""
    _log.warning(
        "identity changed",
        extra={"recipient": masked(change.user), "device": change.device, "by": change.by},
    )


def session_changes(before: Record | None, after: Record) -> Iterator[str]:
    """What became of a device's sessions between two records: which one is current now, and which was."""
    old = before.current if before is not None else None
    new = after.current
    if (old.base_key if old else None) == (new.base_key if new else None):
        return
    if new is not None:
        known = before is not None and any(state.base_key == new.base_key for state in before.states)
        yield PROMOTED if known else MADE
    if old is not None:
        yield ARCHIVED if new is not None else CLOSED


def identity_change(user: str, device: int, before: Record | None, after: Record) -> IdentityChange | None:
    """The change of identity between two records of a device, if there is one."""
    old, new = before.identity if before is not None else None, after.identity
    if old is None or new is None or old == new:
        return None
    by = "bundle" if after.states[0].initiated_by_us else "message"
    return IdentityChange(user, device, old, new, by)


class ObservedTable:
    """A table whose requests are told to an observer."""

    def __init__(self, table: Table, observer: Observer) -> None:
        self._table = table
        self._observer = observer

    def get(self, key: Key) -> Item | None:
        item = self._table.get(key)
        self._observer.read(key, item)
        return item

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        found = self._table.get_many(keys)
        for key in keys:
            self._observer.read(key, found.get(key))
        return found

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        found = self._table.query(pk, prefix)
        self._observer.read_many((pk, prefix), len(found))
        return found

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        found = self._table.keys(pk, prefix)
        self._observer.read_many((pk, prefix), len(found))
        return found

    def count(self, pk: str, without: str) -> int:
        counted = self._table.count(pk, without)
        self._observer.read_many((pk, ""), counted)
        return counted

    def scan(self, after: Key | None = None, *, prefix: str = "", sk: str = "") -> ScanPage:
        page = self._table.scan(after, prefix=prefix, sk=sk)
        self._observer.read_many((prefix, sk), len(page.items))
        return page

    def put(self, put: Put) -> None:
        try:
            self._table.put(put)
        except TableError as error:
            self._observer.refused(put.key, _reason(error))
            raise
        self._observer.written(put.key, put.attributes)

    def update(self, update: Update) -> Item:
        try:
            item = self._table.update(update)
        except TableError as error:
            self._observer.refused(update.key, _reason(error))
            raise
        self._observer.written(update.key, item)
        return item

    def delete(self, delete: Delete) -> None:
        try:
            self._table.delete(delete)
        except TableError as error:
            self._observer.refused(delete.key, _reason(error))
            raise
        self._observer.written(delete.key, None)

    def transact(self, writes: Sequence[Write], token: str) -> None:
        try:
            self._table.transact(writes, token)
        except TableError as error:
            blamed = [writes[place] for place in error.failed] if isinstance(error, Conflict) else writes
            for write in blamed:
                self._observer.refused(write.key, _reason(error))
            raise
        for write in writes:
            self._observer.written(write.key, _contents(write))


def type_of(key: Key) -> str:
    """What kind of item lies under a key."""
    pk, sk = key
    kind = pk.partition("#")[0]
    if kind == "session":
        return "outbound" if sk == OUTBOUND else "inbound" if sk.startswith(INBOUND) else "session"
    return _TYPES.get(kind) or sk or kind


def _facts(requested: Key, found: bool | int, item: Item | None) -> dict[str, Any]:
    pk, sk = requested
    facts: dict[str, Any] = {"type": type_of(requested), "requested": f"{masked(pk)} / {masked(sk)}"}
    device = inbound_device(sk)
    if device is not None:
        facts["device"] = device
    return {**facts, "found": found, "version": _version(item or {})}


def _version(item: Item) -> str:
    """The beginning of the tag, and of a counter its value: enough to tell two lives of an item apart."""
    tag = item.get("turn", item.get("tag"))
    parts = [tag[:4].hex()] if isinstance(tag, bytes) else []
    counter = item.get("next", item.get("incarnation"))
    return "/".join([*parts, str(counter)] if isinstance(counter, int) else parts)


def _contents(write: Write) -> Mapping[str, Any] | None:
    """What a write says about the item as it is then; None if it takes the item away."""
    if isinstance(write, Put):
        return write.attributes
    if isinstance(write, Update):
        return write.set
    return None


def _reason(error: TableError) -> str:
    changed = isinstance(error, ConditionFailed | Conflict)
    return "changed since it was read" if changed else type(error).__name__
