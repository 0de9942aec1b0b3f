"""The table contract on memory and on moto, and the names of a cancelled transaction."""

import pytest

from tests.support.table_contract import TableContract, make_dynamo_table
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import (
    Conflict,
    Contention,
    DynamoTable,
    IndexedTable,
    InvalidWrite,
    Table,
    TableError,
    cancelled,
)
from tocsin.dynamo.writes import Update


class TestMemoryTable(TableContract):
    @pytest.fixture
    def table(self) -> IndexedTable:
        return MemoryTable()

    @pytest.fixture
    def other(self) -> IndexedTable:
        return MemoryTable()


class TestMemoryTableInSmallPages(TableContract):
    @pytest.fixture
    def table(self) -> IndexedTable:
        return MemoryTable(page=1)

    @pytest.fixture
    def other(self) -> IndexedTable:
        return MemoryTable(page=1)


class TestDynamoTable(TableContract):
    @pytest.fixture
    def table(self, dynamo_table: DynamoTable) -> IndexedTable:
        return dynamo_table

    @pytest.fixture
    def other(self, dynamo_table: DynamoTable) -> IndexedTable:
        return make_dynamo_table(dynamo_table._client, f"{dynamo_table._name}-other")

    def test_a_repeated_token_is_not_done_twice(self, table: Table) -> None:
        pytest.skip("moto doesn't look at tokens; memory and the emulator do")


@pytest.mark.parametrize(
    ("codes", "meaning"),
    [
        (["None", "TransactionConflict"], Contention),
        (["ThrottlingError", "None"], Contention),
        (["ConditionalCheckFailed", "TransactionConflict"], Conflict),
        (["ValidationError", "None"], InvalidWrite),
        (["None", "SomethingNew"], InvalidWrite),
    ],
)
def test_a_cancelled_transaction_has_a_named_outcome(codes: list[str], meaning: type[TableError]) -> None:
    assert type(cancelled([{"Code": code} for code in codes])) is meaning


def test_in_memory_too_a_transaction_has_a_hundred_members() -> None:
    """Of a request over the wire `dynamodb_rules` says so."""
    table = MemoryTable()
    writes = [Update(("p", str(number)), add={"next": 1}) for number in range(101)]
    with pytest.raises(InvalidWrite):
        table.transact(writes, "t1")
    table.transact(writes[:100], "t2")
    assert len(table.query("p")) == 100
