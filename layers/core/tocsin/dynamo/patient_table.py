"""A table that waits for a moment where others hold an item, so that its callers need not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from tocsin.dynamo.contention import repeated

if TYPE_CHECKING:
    from tocsin.dynamo.table import IndexedTable
    from tocsin.dynamo.writes import Delete, Index, Item, Key, Put, Update, Write

T = TypeVar("T")


class PatientTable:
    """A table whose writes are repeated while their items are contended, for a second at most.

    `random(n)`: n random bytes.
    """

    def __init__(
        self,
        table: IndexedTable,
        *,
        random: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.table = table
        self._random = random
        self._sleep = sleep

    def get(self, key: Key) -> Item | None:
        return self.table.get(key)

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return self.table.get_many(keys)

    def new_token(self) -> str:
        """Return a name for one attempt at a transaction."""
        return self._random(16).hex()

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        return self.table.query(pk, prefix)

    def walk(self, pk: str, prefix: str = "") -> Iterator[Item]:
        return self.table.walk(pk, prefix)

    def latest(self, pk: str, below: str) -> Iterator[Item]:
        return self.table.latest(pk, below)

    def indexed(
        self, index: Index, value: str, *, at_most: int | None = None, limit: int | None = None
    ) -> list[Key]:
        return self.table.indexed(index, value, at_most=at_most, limit=limit)

    def numbered(self, index: Index, value: str, after: int, at_most: int) -> Iterator[tuple[int, Key]]:
        return self.table.numbered(index, value, after, at_most)

    def newest(self, index: Index, value: str, below: int, limit: int) -> list[tuple[int, Key]]:
        return self.table.newest(index, value, below, limit)

    def put(self, put: Put) -> None:
        self._repeated(lambda: self.table.put(put))

    def update(self, update: Update) -> Item:
        return self._repeated(lambda: self.table.update(update))

    def delete(self, delete: Delete) -> None:
        self._repeated(lambda: self.table.delete(delete))

    def transact(self, writes: Sequence[Write], token: str) -> None:
        self._repeated(lambda: self.table.transact(writes, token))

    def _repeated(self, operation: Callable[[], T]) -> T:
        return repeated(operation, random=self._random, sleep=self._sleep)
