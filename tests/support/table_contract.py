"""What every table must do. Memory and moto run this suite in the unit tests, the emulator in the others."""

from typing import Any
from uuid import uuid4

import pytest

from tocsin.dynamo.table import (
    ConditionFailed,
    Conflict,
    DynamoTable,
    InvalidWrite,
    Table,
)
from tocsin.dynamo.writes import (
    ITEM_ABSENT,
    ITEM_EXISTS,
    AtMost,
    Check,
    Condition,
    Delete,
    Equals,
    Exists,
    Item,
    Put,
    Update,
)

KEY = ("session#a.1#1@lid", "outbound")
OTHER = ("session#a.1#1@lid", "inbound#0")


def make_dynamo_table(client: Any, name: str = "keys") -> DynamoTable:
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoTable(client, name)


def new_token() -> str:
    """DynamoDB remembers tokens for the whole account."""
    return uuid4().hex


class TableContract:
    """Subclasses give the fixture `table`."""

    def test_get_returns_what_was_put_with_its_key(self, table: Table) -> None:
        put = Put(KEY, {"next": 7, "tag#1": b"\x00\xff", "moved": "2@lid", "list": [1, 2], "names": ["a"]})
        table.put(put)
        assert table.get(KEY) == {"pk": KEY[0], "sk": KEY[1], **put.attributes}

    def test_get_of_an_absent_item_is_none(self, table: Table) -> None:
        assert table.get(KEY) is None

    def test_get_many_returns_those_that_exist(self, table: Table) -> None:
        table.put(Put(KEY, {"next": 1}))
        assert set(table.get_many([KEY, OTHER])) == {KEY}

    def test_query_returns_one_partition_in_order(self, table: Table) -> None:
        for sk in ("inbound#2", "outbound", "inbound#1"):
            table.put(Put((KEY[0], sk), {"n": 1}))
        table.put(Put(("session#a.1#2@lid", "outbound"), {"n": 1}))
        assert [item["sk"] for item in table.query(KEY[0])] == ["inbound#1", "inbound#2", "outbound"]
        assert table.keys(KEY[0], "inbound#") == [(KEY[0], "inbound#1"), (KEY[0], "inbound#2")]

    def test_count_leaves_out_what_has_the_attribute(self, table: Table) -> None:
        for number in range(5):
            table.put(Put((KEY[0], str(number)), {"retry": True} if number < 2 else {"n": 1}))
        assert table.count(KEY[0], without="retry") == 3
        assert table.count("nothing", without="retry") == 0

    def test_count_counts_beyond_one_page(self, table: Table) -> None:
        for number in range(4):
            table.put(Put((KEY[0], str(number)), {"record": bytes(380_000)}))
        assert table.count(KEY[0], without="retry") == 4

    def test_query_reads_beyond_one_page(self, table: Table) -> None:
        for number in range(4):
            table.put(Put((KEY[0], f"inbound#{number}"), {"record": bytes(380_000)}))
        assert len(table.query(KEY[0])) == 4

    def test_update_answers_the_whole_new_item(self, table: Table) -> None:
        table.put(Put(KEY, {"next": 5, "old": "x", "tag#1": b"t"}))
        item = table.update(Update(KEY, set={"new": "y"}, add={"next": 1}, remove=("old",)))
        assert item == {"pk": KEY[0], "sk": KEY[1], "next": 6, "new": "y", "tag#1": b"t"}

    def test_update_makes_an_absent_item_and_add_counts_from_zero(self, table: Table) -> None:
        assert table.update(Update(KEY, add={"next": 3}))["next"] == 3

    @pytest.mark.parametrize(
        "condition", [ITEM_ABSENT, Equals("next", 4), Equals("other", 5), AtMost("next", 4), Exists("moved")]
    )
    def test_failed_condition_returns_the_item_and_changes_nothing(
        self, table: Table, condition: Condition
    ) -> None:
        table.put(Put(KEY, {"next": 5}))
        with pytest.raises(ConditionFailed) as caught:
            table.update(Update(KEY, add={"next": 1}, when=(condition,)))
        assert caught.value.item == {"pk": KEY[0], "sk": KEY[1], "next": 5}
        assert table.get(KEY) == caught.value.item

    @pytest.mark.parametrize(
        "condition", [ITEM_EXISTS, Equals("next", 5), Exists("next"), AtMost("next", 5), AtMost("next", 6)]
    )
    def test_conditions_that_hold_let_the_write_through(self, table: Table, condition: Condition) -> None:
        table.put(Put(KEY, {"next": 5}))
        assert table.update(Update(KEY, add={"next": 1}, when=(condition,)))["next"] == 6

    @pytest.mark.parametrize("condition", [ITEM_EXISTS, Exists("next"), AtMost("next", 9), Equals("next", 0)])
    def test_an_absent_item_fails_what_it_should(self, table: Table, condition: Condition) -> None:
        with pytest.raises(ConditionFailed) as caught:
            table.update(Update(KEY, add={"next": 1}, when=(condition,)))
        assert caught.value.item is None
        assert table.get(KEY) is None

    def test_put_if_absent_has_one_winner(self, table: Table) -> None:
        table.put(Put(KEY, {"by": "first"}, when=(ITEM_ABSENT,)))
        with pytest.raises(ConditionFailed) as caught:
            table.put(Put(KEY, {"by": "second"}, when=(ITEM_ABSENT,)))
        assert caught.value.item is not None
        assert caught.value.item["by"] == "first"

    def test_delete_under_a_tag(self, table: Table) -> None:
        table.put(Put(KEY, {"tag": b"1"}))
        with pytest.raises(ConditionFailed):
            table.delete(Delete(KEY, when=(Equals("tag", b"2"),)))
        table.delete(Delete(KEY, when=(Equals("tag", b"1"),)))
        assert table.get(KEY) is None

    def test_transaction_does_all(self, table: Table) -> None:
        table.put(Put(KEY, {"next": 5}))
        table.put(Put(OTHER, {"tag": b"1"}))
        third = (KEY[0], "inbound#1")
        writes = [
            Update(KEY, set={"next": 9}, when=(AtMost("next", 9),)),
            Delete(OTHER, when=(Equals("tag", b"1"),)),
            Put(third, {"tag": b"2"}, when=(ITEM_ABSENT,)),
            Check(("prekey#a", "1"), when=(ITEM_ABSENT,)),
        ]
        table.transact(writes, new_token())
        assert {item["sk"]: item.get("next") for item in table.query(KEY[0])} == {
            "inbound#1": None,
            "outbound": 9,
        }

    def test_transaction_does_nothing_if_one_condition_fails_and_names_it(self, table: Table) -> None:
        table.put(Put(KEY, {"next": 5}))
        writes = [
            Put(OTHER, {"tag": b"1"}, when=(ITEM_ABSENT,)),
            Update(KEY, set={"next": 3}, when=(AtMost("next", 3),)),
            Delete(("prekey#a", "1"), when=(ITEM_EXISTS,)),
        ]
        with pytest.raises(Conflict) as caught:
            table.transact(writes, new_token())
        assert set(caught.value.failed) == {1, 2}
        assert caught.value.failed[1] == {"pk": KEY[0], "sk": KEY[1], "next": 5}
        assert caught.value.failed[2] is None
        assert table.get(OTHER) is None

    def test_a_repeated_token_is_not_done_twice(self, table: Table) -> None:
        token = new_token()
        for _ in range(2):
            table.transact([Update(KEY, add={"next": 1}), Update(OTHER, add={"next": 1})], token)
        assert table.get(KEY) == {"pk": KEY[0], "sk": KEY[1], "next": 1}

    def test_too_large_an_item_is_invalid_and_nothing_is_written(self, table: Table) -> None:
        with pytest.raises(InvalidWrite):
            table.put(Put(KEY, {"record": bytes(410 * 1024)}))
        assert table.get(KEY) is None

    def test_scan_walks_through_everything_in_pages(self, table: Table) -> None:
        keys = {(f"session#a.1#{number}@lid", "outbound") for number in range(4)}
        for key in keys:
            table.put(Put(key, {"record": bytes(380_000)}))
        assert sorted((item["pk"], item["sk"]) for item in scanned(table)) == sorted(keys)

    def test_scan_keeps_only_what_matches(self, table: Table) -> None:
        for key in (KEY, OTHER, ("stanza#a.1#1@lid", "outbound"), ("session#a.2#1@lid", "outbound")):
            table.put(Put(key, {"n": 1}))
        assert scanned(table, prefix="session#a.1#", sk="outbound") == [{"pk": KEY[0], "sk": KEY[1], "n": 1}]
        assert len(scanned(table, prefix="session#a.1#")) == 2


def scanned(table: Table, **filters: str) -> list[Item]:
    """Everything that a walk through the table finds."""
    found: list[Item] = []
    page = table.scan(**filters)
    while True:
        found += page.items
        if page.following is None:
            return found
        page = table.scan(page.following, **filters)
