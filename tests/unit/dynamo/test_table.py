"""The table contract on memory and on moto."""

from typing import Any

import pytest

from tests.support.table_contract import TableContract, make_dynamo_table
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import DynamoTable, IndexedTable, InvalidWrite, Table
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


def test_in_memory_too_a_transaction_has_a_hundred_members() -> None:
    """Of a request over the wire `dynamodb_rules` says so."""
    table = MemoryTable()
    writes = [Update(("p", str(number)), add={"next": 1}) for number in range(101)]
    with pytest.raises(InvalidWrite):
        table.transact(writes, "t1")
    table.transact(writes[:100], "t2")
    assert len(table.query("p")) == 100


@pytest.mark.parametrize("consistent", [True, False])
def test_a_table_for_glances_reads_at_half_the_price(consistent: bool) -> None:
    client = Recording()
    table = DynamoTable(client, "keys", consistent=consistent)
    table.get(("p", "s"))
    table.get_many([("p", "s")])
    table.query("p")
    table.keys("p")
    table.count("p", "gone")
    assert client.consistent == [consistent] * 5
    assert DynamoTable(client, "keys")._consistent


def test_a_table_of_some_attributes_asks_for_those_in_each_read() -> None:
    asked: list[dict[str, Any]] = []

    class Client:
        def get_item(self, **request: Any) -> dict[str, Any]:
            asked.append(request)
            return {}

    table = DynamoTable(Client(), "keys", attributes=("pk", "state"))
    table.get(("p", "s"))
    table.get_many([("p", "s"), ("p", "t")])
    assert {one["ProjectionExpression"] for one in asked} == {"#0, #1"}
    assert [one["ExpressionAttributeNames"] for one in asked] == [{"#0": "pk", "#1": "state"}] * 3


class Recording:
    """A client of an empty table. `consistent`: what each request asked for."""

    def __init__(self) -> None:
        self.consistent: list[bool] = []

    def get_item(self, **request: Any) -> dict[str, Any]:
        self.consistent.append(request["ConsistentRead"])
        return {}

    def query(self, **request: Any) -> dict[str, Any]:
        self.consistent.append(request["ConsistentRead"])
        return {"Items": [], "Count": 0}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        self.consistent.append(request["RequestItems"]["keys"]["ConsistentRead"])
        return {"Responses": {}}
