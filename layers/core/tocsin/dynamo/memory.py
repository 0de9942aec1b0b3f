"""A table in memory, for tests: the same contract as `DynamoTable`, proved by the same suite.

Each request is atomic under one lock. Contention and lost answers don't arise here by themselves; tests put a
wrapper around the table that raises them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tocsin.dynamo.attributes import item_bytes
from tocsin.dynamo.table import ConditionFailed, Conflict, InvalidWrite, ScanPage
from tocsin.dynamo.writes import Check, Delete, Item, Key, Put, Update, Value, Write, holds

# DynamoDB's limit for one item, names included.
ITEM_LIMIT_BYTES = 400 * 1024


class MemoryTable:
    """`page`: how many items a scan looks at in one request."""

    def __init__(self, *, page: int = 100) -> None:
        self._page = page
        self._items: dict[Key, dict[str, Value]] = {}
        self._tokens: set[str] = set()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Item | None:
        with self._lock:
            item = self._items.get(key)
            return dict(item) if item is not None else None

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        with self._lock:
            return {key: dict(self._items[key]) for key in keys if key in self._items}

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        with self._lock:
            return [dict(self._items[key]) for key in self._matching(pk, prefix)]

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        with self._lock:
            return self._matching(pk, prefix)

    def count(self, pk: str, without: str) -> int:
        with self._lock:
            return sum(without not in self._items[key] for key in self._matching(pk, ""))

    def scan(self, after: Key | None = None, *, prefix: str = "", sk: str = "") -> ScanPage:
        with self._lock:
            later = sorted(key for key in self._items if after is None or key > after)
            looked_at = later[: self._page]
            items = [
                dict(self._items[key])
                for key in looked_at
                if key[0].startswith(prefix) and sk in ("", key[1])
            ]
            size = sum(item_bytes(self._items[key]) for key in looked_at)
        following = looked_at[-1] if len(later) > self._page else None
        return ScanPage(items, following, -(-size // 4096) / 2)

    def _matching(self, pk: str, prefix: str) -> list[Key]:
        return sorted(key for key in self._items if key[0] == pk and key[1].startswith(prefix))

    def put(self, put: Put) -> None:
        self._single(put)

    def delete(self, delete: Delete) -> None:
        self._single(delete)

    def update(self, update: Update) -> Item:
        return self._single(update)

    def _single(self, write: Put | Update | Delete) -> Item:
        with self._lock:
            before = self._items.get(write.key)
            if not holds(write.when, before or {}):
                raise ConditionFailed(write.key, dict(before) if before is not None else None)
            after = applied(write, before)
            self._adopt(write.key, after)
            return dict(after or {})

    def transact(self, writes: Sequence[Write], token: str) -> None:
        if len({write.key for write in writes}) < len(writes):
            raise InvalidWrite("a transaction names one item twice")
        with self._lock:
            if token in self._tokens:
                return
            befores = [self._items.get(write.key) for write in writes]
            failed = {
                position: dict(before) if before is not None else None
                for position, (write, before) in enumerate(zip(writes, befores, strict=True))
                if not holds(write.when, before or {})
            }
            if failed:
                raise Conflict(failed)
            afters = [applied(write, before) for write, before in zip(writes, befores, strict=True)]
            for write, after in zip(writes, afters, strict=True):
                self._adopt(write.key, after)
            self._tokens.add(token)

    def _adopt(self, key: Key, item: dict[str, Value] | None) -> None:
        if item is None:
            self._items.pop(key, None)
        else:
            self._items[key] = item


def applied(write: Write, before: Item | None) -> dict[str, Value] | None:
    """What `write` makes of an item (None: no item). Raises InvalidWrite if that were too large."""
    if isinstance(write, Delete):
        return None
    if isinstance(write, Check):
        return dict(before) if before is not None else None
    after = _written(write, before)
    if item_bytes(after) > ITEM_LIMIT_BYTES:
        raise InvalidWrite("Item size has exceeded the maximum allowed size")
    return after


def _written(write: Put | Update, before: Item | None) -> dict[str, Value]:
    identity: dict[str, Value] = {"pk": write.key[0], "sk": write.key[1]}
    if isinstance(write, Put):
        return identity | dict(write.attributes)
    after = identity | dict(before or {}) | dict(write.set)
    for attribute, by in write.add.items():
        number = after.get(attribute, 0)
        if not isinstance(number, int):
            raise InvalidWrite(f"{attribute} is no number")
        after[attribute] = number + by
    for attribute in write.remove:
        after.pop(attribute, None)
    return after
