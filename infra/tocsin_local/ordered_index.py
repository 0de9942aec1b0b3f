"""The emulator's indexes in order, so that a page of a large one costs what the page holds.

Of an index MiniStack keeps who is in a partition, and no order: for each page it sorts the whole partition
and compares each member with the condition. Of a partition with 25,000 members that takes seconds; DynamoDB
reads the page. Here a large partition is kept sorted by its number, and MiniStack is shown only the members
that the condition and the limit let through. It does everything else as it does it.

The emulator's own interpreter runs this, which has nothing of ours.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Place = tuple[float, Any, Any]
"""The number of a member, and its keys in the table."""

LARGE = 500
"""Members from which on this is worth its while."""

_RANGE = re.compile(
    r"\s*(\w+) = (:\w+) AND (\w+) (?:(<=|<|>=|>) (:\w+)|(BETWEEN) (:\w+) AND (:\w+))\s*", re.ASCII
)
_END = float("inf")


class Orders:
    """The sorted members of large partitions, for as long as MiniStack keeps the same members."""

    def __init__(self, dynamodb: dict[str, Any]) -> None:
        self._dynamodb = dynamodb
        self._of: dict[int, tuple[Any, dict[tuple[str, Any], list[Place]]]] = {}

    def get(self, table: dict[str, Any], index: str, number: str, partition: Any) -> list[Place]:
        members = self._dynamodb["_index_members"](table)
        kept, orders = self._of.get(id(table), (None, {}))
        if kept is not members:
            orders = {}
            self._of[id(table)] = (members, orders)
        if (index, partition) not in orders:
            found = members[index].get(partition, {})
            items = table["items"]
            orders[index, partition] = sorted(
                (float(items[pk][sk][number]["N"]), pk, sk) for pk, sk in found if sk in items.get(pk, ())
            )
        return orders[index, partition]

    def change(self, table: dict[str, Any], pk: Any, sk: Any, item: dict[str, Any], *, add: bool) -> None:
        """An item comes into the indexes of a table, or goes."""
        _, orders = self._of.get(id(table), (None, {}))
        for (index, partition), order in orders.items():
            [hash_key], [number] = self._dynamodb["_index_key_lists"](
                self._dynamodb["_index_def"](table, index)
            )
            if self._dynamodb["_index_partition"](item, [hash_key], [number]) != partition:
                continue
            place = (float(item[number]["N"]), pk, sk)
            at = bisect_left(order, place)
            if add:
                insort(order, place)
            elif order[at : at + 1] == [place]:
                del order[at]


def install(dynamodb: dict[str, Any]) -> None:
    """`dynamodb`: the names of MiniStack's module."""
    orders = Orders(dynamodb)
    query, index_item = dynamodb["_query"], dynamodb["_index_item"]

    def change(table: dict[str, Any], pk: Any, sk: Any, item: dict[str, Any], add: bool) -> None:
        index_item(table, pk, sk, item, add)
        orders.change(table, pk, sk, item, add=add)

    def quick(data: dict[str, Any]) -> Any:
        with _narrowed(dynamodb, orders, data):
            return query(data)

    dynamodb["_index_item"], dynamodb["_query"] = change, quick


@contextmanager
def _narrowed(dynamodb: dict[str, Any], orders: Orders, data: dict[str, Any]) -> Iterator[None]:
    """While the block lasts, a large partition has only the members that the query can answer with."""
    found = _wanted(dynamodb, data)
    if found is None:
        yield
        return
    table, index, number, partition, cut = found
    members = dynamodb["_index_members"](table)[index]
    whole = members.get(partition, {})
    if len(whole) < LARGE:
        yield
        return
    members[partition] = {(pk, sk): None for _, pk, sk in cut(orders.get(table, index, number, partition))}
    try:
        yield
    finally:
        members[partition] = whole


def _wanted(dynamodb: dict[str, Any], data: dict[str, Any]) -> Any:
    """Table, index, name of the number, partition, and what cuts its order to what is asked for; None for
    whatever MiniStack had better answer alone."""
    index, condition = data.get("IndexName"), _RANGE.fullmatch(data.get("KeyConditionExpression") or "")
    table = dynamodb["_tables"].get(dynamodb["_normalize_table_name"](data.get("TableName")))
    if not index or condition is None or not table or data.get("ExclusiveStartKey"):
        return None
    about = dynamodb["_index_def"](table, index)
    hashes, ranges = dynamodb["_index_key_lists"](about) if about else ([], [])
    values = data.get("ExpressionAttributeValues") or {}
    hash_key, partition, number, sign, value, _, low, high = condition.groups()
    try:
        bounds = [float(values[name]["N"]) for name in (value, low, high) if name]
        wanted = values[partition]["S"]
    except (KeyError, TypeError, ValueError):
        return None
    if (hashes, ranges) != ([hash_key], [number]):
        return None
    return table, index, number, wanted, _cut(sign, bounds, data)


def _cut(sign: str | None, bounds: list[float], data: dict[str, Any]) -> Callable[[list[Place]], list[Place]]:
    low, high = bounds if sign is None else (bounds[0], bounds[0])

    def cut(order: list[Place]) -> list[Place]:
        # MiniStack compares each of these once more, so a member at the bound may be among them.
        begin = 0 if sign in ("<", "<=") else bisect_left(order, (low,))
        end = len(order) if sign in (">", ">=") else bisect_right(order, (high, _LAST))
        limit = data.get("Limit")
        if limit is None:
            return order[begin:end]
        # Those at the bound itself may be refused, so they come on top of the limit.
        most = int(limit) + (bisect_right(order, (low, _LAST)) - bisect_left(order, (low,)))
        if data.get("ScanIndexForward", True):
            return order[begin : min(end, begin + most)]
        most = int(limit) + (bisect_right(order, (high, _LAST)) - bisect_left(order, (high,)))
        return order[max(begin, end - most) : end]

    return cut


class _Last:
    """Behind every key."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_LAST = _Last()
