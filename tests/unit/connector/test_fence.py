"""A process that woke up too late writes nothing into the keys table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tocsin.accounts.lease import LeaseLost
from tocsin.connector.fence import Fenced
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Table
from tocsin.dynamo.writes import Delete, Put, Update

KEY = ("account#main", "credentials")
WRITES = {
    "put": lambda table: table.put(Put(KEY, {"a": 2})),
    "update": lambda table: table.update(Update(KEY, set={"a": 2})),
    "delete": lambda table: table.delete(Delete(KEY)),
    "transact": lambda table: table.transact([Put(KEY, {"a": 2})], "token"),
}


@pytest.fixture
def table() -> MemoryTable:
    made = MemoryTable()
    made.put(Put(KEY, {"a": 1}))
    return made


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_no_write_passes_once_the_account_is_lost(table: MemoryTable, write: Callable[[Table], None]) -> None:
    fenced = Fenced(table, "main", lambda: False)
    with pytest.raises(LeaseLost):
        write(fenced)
    item = table.get(KEY)
    assert item is not None
    assert item["a"] == 1


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_while_it_is_ours_every_write_passes(table: MemoryTable, write: Callable[[Table], None]) -> None:
    write(Fenced(table, "main", lambda: True))
    item = table.get(KEY)
    assert item is None or item["a"] == 2


def test_reading_is_free(table: MemoryTable) -> None:
    fenced = Fenced(table, "main", lambda: False)
    assert fenced.get(KEY) == fenced.get_many([KEY])[KEY] == fenced.query(KEY[0])[0]
    assert fenced.keys(KEY[0]) == [KEY]
    assert fenced.count(KEY[0], without="b") == 1
    assert len(fenced.scan().items) == 1
