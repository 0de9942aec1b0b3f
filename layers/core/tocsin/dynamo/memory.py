"""A table in memory, for tests: the same contract as `DynamoTable`, proved by the same suite.

Each request is atomic under one lock. Contention and lost answers don't arise here by themselves; tests put a
wrapper around the table that raises them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tocsin.dynamo.attributes import item_bytes, to_attribute
from tocsin.dynamo.errors import ConditionFailed, Conflict, InvalidWrite
from tocsin.dynamo.table import TRANSACTION_LIMIT, ScanPage
from tocsin.dynamo.writes import Check, Delete, Index, Item, Key, Put, Update, Value, Write, holds

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table

# DynamoDB's limits: for one item, names included, and for the values of its keys.
ITEM_LIMIT_BYTES = 400 * 1024
PARTITION_KEY_LIMIT_BYTES = 2048
SORT_KEY_LIMIT_BYTES = 1024


class MemoryTable:
    """`page`: how many items a scan or a walk looks at in one request."""

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

    def get_beside(
        self, keys: Sequence[Key], other: Table, other_keys: Sequence[Key]
    ) -> tuple[dict[Key, Item], dict[Key, Item]]:
        return self.get_many(keys), other.get_many(other_keys)

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        with self._lock:
            return [dict(self._items[key]) for key in self._matching(pk, prefix)]

    def walk(self, pk: str, prefix: str = "") -> Iterator[Item]:
        after = ""
        while True:
            with self._lock:
                later = [key for key in self._matching(pk, prefix) if key[1] > after]
                page = [dict(self._items[key]) for key in later[: self._page]]
            yield from page
            if len(later) <= self._page:
                return
            after = later[self._page - 1][1]

    def latest(self, pk: str, below: str) -> Iterator[Item]:
        with self._lock:
            earlier = [dict(self._items[key]) for key in self._matching(pk, "") if key[1] < below]
        return iter(earlier[::-1])

    def indexed(
        self, index: Index, value: str, *, at_most: int | None = None, limit: int | None = None
    ) -> list[Key]:
        with self._lock:
            held = [(key, item) for key, item in self._items.items() if item.get(index.pk) == value]
        if index.sk is None:
            return sorted(key for key, _ in held)[:limit]
        places = [(item.get(index.sk), key) for key, item in held]
        numbers = [(number, key) for number, key in places if isinstance(number, int)]
        return [key for number, key in sorted(numbers) if at_most is None or number <= at_most][:limit]

    def numbered(self, index: Index, value: str, after: int, at_most: int) -> Iterator[tuple[int, Key]]:
        with self._lock:
            held = [
                (item.get(index.sk or ""), key)
                for key, item in self._items.items()
                if item.get(index.pk) == value
            ]
        numbers = sorted((number, key) for number, key in held if isinstance(number, int))
        return (one for one in numbers if after < one[0] <= at_most)

    def newest(self, index: Index, value: str, below: int, limit: int) -> list[tuple[int, Key]]:
        return sorted(self.numbered(index, value, -1, below - 1), reverse=True)[:limit]

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
        if len(writes) > TRANSACTION_LIMIT:
            raise InvalidWrite(f"a transaction has at most {TRANSACTION_LIMIT} members")
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
    """What `write` makes of an item (None: no item). Raises InvalidWrite if that, or its key, were too
    large."""
    pk, sk = write.key
    if len(pk.encode()) > PARTITION_KEY_LIMIT_BYTES or len(sk.encode()) > SORT_KEY_LIMIT_BYTES:
        raise InvalidWrite("Size of a key has exceeded the maximum size limit")
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
        return identity | {name: _held(value) for name, value in write.attributes.items()}
    if write.overlaps:
        raise InvalidWrite("an attribute is named twice")
    after = identity | dict(before or {})
    after |= {name: _held(value) for name, value in write.set.items()}
    after |= {name: _held(value) for name, value in write.set_first.items() if name not in after}
    for name, entries in write.set_in.items():
        after[name] = {**_map_in(after, name), **{entry: _held(value) for entry, value in entries.items()}}
    for name, member in write.append.items():
        after[name] = [*_list_in(after, name), _held(member)]
    for name, amount in write.add.items():
        after[name] = _added(after, name, amount)
    _discard(write, after)
    return after


def _held(value: Value) -> Value:
    """What a table keeps of a value: nothing that the caller still can change. Raises as `to_attribute`."""
    if isinstance(value, (str, int, bytes)):
        return value
    if isinstance(value, Mapping):
        return {name: _held(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_held(member) for member in value]
    to_attribute(value)
    return value


def _map_in(item: Item, name: str) -> Mapping[str, Value]:
    found = item.get(name)
    if not isinstance(found, Mapping):
        raise InvalidWrite(f"the document path is invalid: {name} is no map")
    return found


def _list_in(item: Item, name: str) -> Sequence[Value]:
    found = item.get(name, [])
    if not isinstance(found, list):
        raise InvalidWrite(f"{name} is no list")
    return found


def _added(item: Item, name: str, amount: int | frozenset[str]) -> int | frozenset[str]:
    if isinstance(amount, int):
        number = item.get(name, 0)
        if isinstance(number, int):
            return number + amount
    else:
        members = item.get(name, frozenset())
        if isinstance(members, frozenset):
            return members | amount
    raise InvalidWrite(f"{name} can't be added to: it is of another type")


def _discard(update: Update, item: dict[str, Value]) -> None:
    for name, members in update.discard.items():
        found = item.get(name, frozenset())
        if not isinstance(found, frozenset):
            raise InvalidWrite(f"{name} is no set")
        item[name] = found - members
        if found <= members:
            del item[name]
    for name in update.remove:
        item.pop(name, None)
