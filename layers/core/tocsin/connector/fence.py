"""The keys table for one account in this process: written to only while the account is ours.

A process that was stopped for longer than a lease goes on where it stood, in the middle of whatever it was
about to write. The heartbeat is asked right before each request, in the thread that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tocsin.accounts.lease import LeaseLost
from tocsin.dynamo.table import ScanPage, Table
from tocsin.dynamo.writes import Delete, Item, Key, Put, Update, Write


class Fenced:
    """`holds`: whether the account is ours now. Reads pass; writes raise LeaseLost once it isn't."""

    def __init__(self, table: Table, account: str, holds: Callable[[], bool]) -> None:
        self._table = table
        self._account = account
        self._holds = holds

    def get(self, key: Key) -> Item | None:
        return self._table.get(key)

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return self._table.get_many(keys)

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        return self._table.query(pk, prefix)

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        return self._table.keys(pk, prefix)

    def count(self, pk: str, without: str) -> int:
        return self._table.count(pk, without)

    def scan(self, after: Key | None = None, *, prefix: str = "", sk: str = "") -> ScanPage:
        return self._table.scan(after, prefix=prefix, sk=sk)

    def put(self, put: Put) -> None:
        self._check()
        self._table.put(put)

    def update(self, update: Update) -> Item:
        self._check()
        return self._table.update(update)

    def delete(self, delete: Delete) -> None:
        self._check()
        self._table.delete(delete)

    def transact(self, writes: Sequence[Write], token: str) -> None:
        self._check()
        self._table.transact(writes, token)

    def _check(self) -> None:
        if not self._holds():
            raise LeaseLost(self._account)
