"""The table contract on memory and on moto, and the names of a cancelled transaction."""

import pytest

from tests.support.table_contract import TableContract
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Conflict, Contention, InvalidWrite, Table, TableError, cancelled


class TestMemoryTable(TableContract):
    @pytest.fixture
    def table(self) -> Table:
        return MemoryTable()


class TestMemoryTableInSmallPages(TableContract):
    @pytest.fixture
    def table(self) -> Table:
        return MemoryTable(page=1)


class TestDynamoTable(TableContract):
    @pytest.fixture
    def table(self, dynamo_table: Table) -> Table:
        return dynamo_table

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
