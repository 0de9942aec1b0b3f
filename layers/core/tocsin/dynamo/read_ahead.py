"""A table of which some items were read ahead, in one request, for many who will each ask for one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tocsin.dynamo.table import ScanPage, Table
from tocsin.dynamo.writes import Delete, Item, Key, Put, Update, Write


class ReadAheadTable:
    """Passes everything on to `table` but a `get` of what was read ahead."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._asked: Collection[Key] = ()
        self._found: Mapping[Key, Item] = {}

    @contextmanager
    def knowing(self, asked: Collection[Key], found: Mapping[Key, Item]) -> Iterator[None]:
        """While the block lasts, answer for the keys `asked` with what was `found`. It must be short: what is
        written meanwhile isn't seen."""
        self._asked, self._found = frozenset(asked), found
        try:
            yield
        finally:
            self._asked, self._found = (), {}

    def get(self, key: Key) -> Item | None:
        return self._found.get(key) if key in self._asked else self.table.get(key)

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return self.table.get_many(keys)

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        return self.table.query(pk, prefix)

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        return self.table.keys(pk, prefix)

    def count(self, pk: str, without: str) -> int:
        return self.table.count(pk, without)

    def scan(self, after: Key | None = None, *, prefix: str = "", sk: str = "") -> ScanPage:
        return self.table.scan(after, prefix=prefix, sk=sk)

    def put(self, put: Put) -> None:
        self.table.put(put)

    def update(self, update: Update) -> Item:
        return self.table.update(update)

    def delete(self, delete: Delete) -> None:
        self.table.delete(delete)

    def transact(self, writes: Sequence[Write], token: str) -> None:
        self.table.transact(writes, token)
