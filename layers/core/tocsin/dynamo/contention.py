"""What to do while others hold an item, or the table throttles us: wait for a moment, and ask again.

DynamoDB refuses a write while a transaction on the item is in flight, and boto3 does not repeat it. A
transaction takes some milliseconds, so the first pauses are short; after a second the caller's queue does the
waiting.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from tocsin.dynamo.errors import Contention, TableError

if TYPE_CHECKING:
    from tocsin.dynamo.table import IndexedTable
    from tocsin.dynamo.writes import Delete, Index, Item, Key, Put, Update, Write

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.005
MAX_PAUSE_SECONDS = 0.080
PATIENCE_SECONDS = 1.0


def pauses(random: Callable[[int], bytes]) -> Iterator[float]:
    """Seconds to wait after each failure: 5 ms doubling to 80 ms, full jitter, one second in all."""
    ceiling, waited = FIRST_PAUSE_SECONDS, 0.0
    while waited < PATIENCE_SECONDS:
        # Full jitter, but never nothing: a zero would only ask the same question again.
        pause = ceiling * (1 + int.from_bytes(random(2), "big")) / 65536
        yield pause
        waited += pause
        ceiling = min(2 * ceiling, MAX_PAUSE_SECONDS)


def repeated(
    operation: Callable[[], T],
    *,
    causes: type[TableError] | tuple[type[TableError], ...] = Contention,
    random: Callable[[int], bytes] = os.urandom,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Repeat `operation` as it is while it fails by one of `causes`. Raises the last one after a second."""
    refusal: TableError = Contention()
    for pause in pauses(random):
        try:
            return operation()
        except causes as error:
            refusal = error
            sleep(pause)
    raise refusal


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

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        return self.table.query(pk, prefix)

    def walk(self, pk: str, prefix: str = "") -> Iterator[Item]:
        return self.table.walk(pk, prefix)

    def indexed(
        self, index: Index, value: str, *, at_most: int | None = None, limit: int | None = None
    ) -> list[Key]:
        return self.table.indexed(index, value, at_most=at_most, limit=limit)

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
