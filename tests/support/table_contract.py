"""What every table must do. Memory and moto run this suite in the unit tests, the emulator in the others."""

from typing import Any
from uuid import uuid4

import pytest

from tocsin.dynamo.table import (
    ConditionFailed,
    Conflict,
    DynamoTable,
    IndexedTable,
    InvalidWrite,
    Table,
)
from tocsin.dynamo.writes import (
    ITEM_ABSENT,
    ITEM_EXISTS,
    Absent,
    AnyOf,
    AtMost,
    Check,
    Condition,
    Delete,
    Equals,
    Exists,
    Item,
    Key,
    OneOf,
    Put,
    Shorter,
    Update,
)
from tocsin.tables.notifications import TICKET, WATCH

KEY = ("session#a.1#1@lid", "outbound")
OTHER = ("session#a.1#1@lid", "inbound#0")
# What the conditions are tried on.
JUDGED: Item = {"next": 5, "turn": "0042", "tries": [1, 2]}


def make_dynamo_table(client: Any, name: str = "keys") -> DynamoTable:
    """A table with the indexes of the contract; one of a deployment may have others, or none."""
    names = {"pk": "S", "sk": "S", WATCH.pk: "S", "watch_due": "N", TICKET.pk: "S"}
    client.create_table(
        TableName=name,
        KeySchema=key_schema("pk", "sk"),
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": kind} for attribute, kind in names.items()
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index.name,
                "KeySchema": key_schema(index.pk, index.sk),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index in (WATCH, TICKET)
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoTable(client, name)


def key_schema(pk: str, sk: str | None) -> list[dict[str, str]]:
    kinds = {pk: "HASH"} | ({sk: "RANGE"} if sk else {})
    return [{"AttributeName": name, "KeyType": kind} for name, kind in kinds.items()]


def new_token() -> str:
    """DynamoDB remembers tokens for the whole account."""
    return uuid4().hex


class TableContract:
    """Subclasses give the fixtures `table` and `other`, a second one beside it."""

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
        "condition",
        [
            ITEM_ABSENT,
            Equals("next", 4),
            Equals("other", 5),
            AtMost("next", 4),
            AtMost("turn", "0041"),
            Exists("moved"),
            OneOf("turn", ("0041", "0043")),
            OneOf("other", ("0042",)),
            Shorter("tries", 2),
            AnyOf((Absent("turn"), AtMost("turn", "0041"))),
        ],
    )
    def test_failed_condition_returns_the_item_and_changes_nothing(
        self, table: Table, condition: Condition
    ) -> None:
        table.put(Put(KEY, JUDGED))
        with pytest.raises(ConditionFailed) as caught:
            table.update(Update(KEY, add={"next": 1}, when=(condition,)))
        assert caught.value.item == {"pk": KEY[0], "sk": KEY[1], **JUDGED}
        assert table.get(KEY) == caught.value.item

    @pytest.mark.parametrize(
        "condition",
        [
            ITEM_EXISTS,
            Equals("next", 5),
            Exists("next"),
            AtMost("next", 5),
            AtMost("next", 6),
            AtMost("turn", "0042"),
            AtMost("turn", "005"),
            OneOf("turn", ("0042", "0043")),
            Shorter("tries", 3),
            AnyOf((Absent("turn"), AtMost("turn", "0042"))),
            AnyOf((Absent("other"), AtMost("turn", "0041"))),
        ],
    )
    def test_conditions_that_hold_let_the_write_through(self, table: Table, condition: Condition) -> None:
        table.put(Put(KEY, JUDGED))
        assert table.update(Update(KEY, add={"next": 1}, when=(condition,)))["next"] == 6

    @pytest.mark.parametrize(
        "condition",
        [
            ITEM_EXISTS,
            Exists("next"),
            AtMost("next", 9),
            AtMost("turn", "9"),
            Equals("next", 0),
            OneOf("turn", ("",)),
        ],
    )
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

    @pytest.mark.parametrize("key", [("k" * 2049, "s"), ("k", "s" * 1025)], ids=["partition", "sort"])
    def test_too_long_a_key_is_invalid(self, table: Table, key: Key) -> None:
        with pytest.raises(InvalidWrite):
            table.put(Put(key, {}))

    def test_every_type_comes_back_as_it_was(self, table: Table) -> None:
        values: Item = {
            "list": ["a", 1, {"deep": [b"\x00"]}],
            "map": {"a": {"b": 1}, "empty": {}},
            "set": frozenset({"x", "y"}),
            "yes": True,
            "nothing": [],
        }
        table.put(Put(KEY, values))
        assert table.get(KEY) == {"pk": KEY[0], "sk": KEY[1], **values}

    @pytest.mark.parametrize(
        ("value", "error"), [(1.5, TypeError), (None, TypeError), (frozenset(), ValueError)]
    )
    def test_what_a_table_cannot_hold_is_refused(
        self, table: Table, value: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            table.put(Put(KEY, {"value": value}))
        assert table.get(KEY) is None

    def test_set_first_keeps_what_is_there(self, table: Table) -> None:
        table.put(Put(KEY, {"first": 1}))
        item = table.update(Update(KEY, set_first={"first": 2, "second": 2}))
        assert (item["first"], item["second"]) == (1, 2)

    def test_append_begins_a_list_and_goes_on_at_its_end(self, table: Table) -> None:
        for at in range(2):
            item = table.update(Update(KEY, append={"tries": {"at": at}}))
        assert item["tries"] == [{"at": 0}, {"at": 1}]

    def test_set_in_changes_one_entry_of_a_map(self, table: Table) -> None:
        table.put(Put(KEY, {"receipts": {"1@lid delivered": 1}}))
        for entry, at in (("2@lid read", 2), ("1@lid delivered", 3)):
            item = table.update(Update(KEY, set_in={"receipts": {entry: at}}))
        assert item["receipts"] == {"1@lid delivered": 3, "2@lid read": 2}

    def test_set_in_changes_several_entries_of_a_map(self, table: Table) -> None:
        table.put(Put(KEY, {"receipts": {"1@lid delivered": 1}}))
        item = table.update(Update(KEY, set_in={"receipts": {"1@lid read": 2, "2@lid delivered": 3}}))
        assert item["receipts"] == {"1@lid delivered": 1, "1@lid read": 2, "2@lid delivered": 3}

    def test_set_in_needs_its_map(self, table: Table) -> None:
        table.put(Put(KEY, {"next": 1}))
        with pytest.raises(InvalidWrite):
            table.update(Update(KEY, set_in={"receipts": {"a": 1}}))

    def test_a_set_grows_shrinks_and_goes_with_its_last_member(self, table: Table) -> None:
        for member in ("a", "b"):
            item = table.update(Update(KEY, add={"parked": frozenset({member})}))
        assert item["parked"] == {"a", "b"}
        assert table.update(Update(KEY, discard={"parked": frozenset({"a", "z"})}))["parked"] == {"b"}
        assert "parked" not in table.update(Update(KEY, discard={"parked": frozenset({"b"})}))

    def test_discarding_from_nothing_changes_nothing(self, table: Table) -> None:
        table.put(Put(KEY, {"next": 1}))
        item = table.update(Update(KEY, discard={"parked": frozenset({"a"})}))
        assert item == {"pk": KEY[0], "sk": KEY[1], "next": 1}

    def test_all_actions_go_together(self, table: Table) -> None:
        table.put(Put(KEY, {"map": {}, "gone": 1, "set": frozenset({"a", "b"})}))
        item = table.update(
            Update(
                KEY,
                set={"state": "sent"},
                set_first={"sent_at": 5},
                set_in={"map": {"k": 1}},
                append={"tries": 1},
                add={"count": 1},
                discard={"set": frozenset({"a"})},
                remove=("gone", "never"),
            )
        )
        expected = {"state": "sent", "sent_at": 5, "map": {"k": 1}, "tries": [1], "count": 1}
        assert item == {"pk": KEY[0], "sk": KEY[1], **expected, "set": {"b"}}

    def test_an_attribute_named_twice_is_invalid_and_nothing_is_written(self, table: Table) -> None:
        with pytest.raises(InvalidWrite):
            table.update(Update(KEY, set={"outcome": 1}, remove=("outcome",)))
        assert table.get(KEY) is None

    @pytest.mark.parametrize("amount", [1, frozenset({"a"})])
    def test_adding_to_another_type_is_invalid(self, table: Table, amount: Any) -> None:
        table.put(Put(KEY, {"count": "text"}))
        with pytest.raises(InvalidWrite):
            table.update(Update(KEY, add={"count": amount}))

    def test_what_was_read_changes_nothing_in_the_table(self, table: Table) -> None:
        table.put(Put(KEY, {"map": {"a": 1}}))
        before = table.get(KEY)
        table.update(Update(KEY, set_in={"map": {"a": 2}}))
        assert before is not None
        assert before["map"] == {"a": 1}

    # -- indexes, walks, two tables --------------------------------------------------------------------------

    def test_an_index_holds_what_has_its_attributes_in_the_order_of_the_number(
        self, table: IndexedTable
    ) -> None:
        for name, due in (("a", 20), ("b", 3), ("c", 100)):
            table.put(Put((name, "state"), {"watching": "main", "watch_due": due}))
        table.put(Put(("d", "state"), {"watching": "other", "watch_due": 1}))
        table.put(Put(("e", "state"), {"watching": "main"}))
        assert table.indexed(WATCH, "main") == [("b", "state"), ("a", "state"), ("c", "state")]
        assert table.indexed(WATCH, "main", at_most=20) == [("b", "state"), ("a", "state")]
        assert table.indexed(WATCH, "main", limit=1) == [("b", "state")]
        assert table.indexed(WATCH, "nobody") == []

    def test_an_index_is_read_from_its_newest_backwards(self, table: IndexedTable) -> None:
        for pk, due in (("a", 20), ("b", 10), ("c", 30)):
            table.put(Put((pk, "state"), {"watching": "backwards", "watch_due": due}))
        a, b, c = (20, ("a", "state")), (10, ("b", "state")), (30, ("c", "state"))
        assert table.newest(WATCH, "backwards", 99, 10) == [c, a, b]
        assert table.newest(WATCH, "backwards", 99, 2) == [c, a]
        assert table.newest(WATCH, "backwards", 20, 10) == [b]
        assert table.newest(WATCH, "nobody", 99, 10) == []

    def test_a_partition_is_read_from_its_latest_backwards(self, table: IndexedTable) -> None:
        for number in range(250):
            table.put(Put(("backwards", f"{number:03d}"), {"number": number}))
        table.put(Put(("elsewhere", "001"), {"number": -1}))
        assert [item["number"] for item in table.latest("backwards", "248")] == list(range(247, -1, -1))
        assert list(table.latest("backwards", "000")) == []

    def test_an_index_forgets_what_loses_its_attribute(self, table: IndexedTable) -> None:
        table.put(Put(KEY, {"watching": "main", "watch_due": 1}))
        table.update(Update(KEY, remove=("watching", "watch_due")))
        assert table.indexed(WATCH, "main") == []

    def test_an_index_without_order(self, table: IndexedTable) -> None:
        for name in ("a", "b"):
            table.put(Put((name, "state"), {"ticket_id": "TCK-1"}))
        assert sorted(table.indexed(TICKET, "TCK-1")) == [("a", "state"), ("b", "state")]

    def test_a_walk_sees_what_a_query_sees_in_its_order(self, table: IndexedTable) -> None:
        for number in range(4):
            table.put(Put((KEY[0], f"inbound#{number}"), {"record": bytes(380_000)}))
        table.put(Put(KEY, {"n": 1}))
        assert list(table.walk(KEY[0])) == table.query(KEY[0])
        assert [item["sk"] for item in table.walk(KEY[0], "inbound#3")] == ["inbound#3"]

    def test_a_walk_goes_on_although_what_it_found_is_deleted(self, table: IndexedTable) -> None:
        for number in range(4):
            table.put(Put((KEY[0], f"inbound#{number}"), {"record": bytes(380_000)}))
        met = []
        for item in table.walk(KEY[0]):
            met.append(item["sk"])
            table.delete(Delete((KEY[0], str(item["sk"]))))
        assert met == [f"inbound#{number}" for number in range(4)]

    def test_two_tables_are_read_together(self, table: IndexedTable, other: IndexedTable) -> None:
        table.put(Put(KEY, {"n": 1}))
        other.put(Put(OTHER, {"n": 2}))
        mine, others = table.get_beside([KEY, OTHER], other, [KEY, OTHER])
        assert mine == {KEY: table.get(KEY)}
        assert others == {OTHER: other.get(OTHER)}

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
