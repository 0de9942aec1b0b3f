"""Conditions and writes as data: what a write demands of the item it finds, and what it does to it.

DynamoDB gets them as expressions (`Expression`), the table in memory evaluates them (`holds`); both come from
the same objects, so that what the tests prove on one is what runs on the other.

These are named tuples, for a cold start makes eight dataclasses in 3 ms and eight named tuples in 0.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

# What an attribute may hold. Lists hold strings or whole numbers.
Value: TypeAlias = "str | int | bytes | bool | list[str] | list[int]"
Item: TypeAlias = Mapping[str, Value]
# Partition key and sort key, stored as the attributes `pk` and `sk`.
Key: TypeAlias = tuple[str, str]


# Shared by all writes that change nothing of a kind, hence not to be written to.
NOTHING: Mapping[str, int] = MappingProxyType({})


class Expression:
    """Collects the placeholders of one request: `#0` for an attribute name, `:0` for a value."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Value] = {}

    def name(self, attribute: str) -> str:
        for placeholder, known in self.names.items():
            if known == attribute:
                return placeholder
        placeholder = f"#{len(self.names)}"
        self.names[placeholder] = attribute
        return placeholder

    def value(self, value: Value) -> str:
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = value
        return placeholder


class Absent(NamedTuple):
    """The attribute is not there. `Absent("pk")`: the item is not there."""

    attribute: str

    def holds(self, item: Item) -> bool:
        return self.attribute not in item

    def render(self, expression: Expression) -> str:
        return f"attribute_not_exists({expression.name(self.attribute)})"


class Exists(NamedTuple):
    """The attribute is there. `Exists("pk")`: the item is there."""

    attribute: str

    def holds(self, item: Item) -> bool:
        return self.attribute in item

    def render(self, expression: Expression) -> str:
        return f"attribute_exists({expression.name(self.attribute)})"


class Equals(NamedTuple):
    """The attribute is there and holds exactly this."""

    attribute: str
    value: Value

    def holds(self, item: Item) -> bool:
        return self.attribute in item and item[self.attribute] == self.value

    def render(self, expression: Expression) -> str:
        return f"{expression.name(self.attribute)} = {expression.value(self.value)}"


class AtMost(NamedTuple):
    """The attribute is there and its number is not above this one."""

    attribute: str
    limit: int

    def holds(self, item: Item) -> bool:
        number = item.get(self.attribute)
        return isinstance(number, int) and number <= self.limit

    def render(self, expression: Expression) -> str:
        return f"{expression.name(self.attribute)} <= {expression.value(self.limit)}"


Condition: TypeAlias = Absent | Exists | Equals | AtMost

# Nobody wrote this item before us.
ITEM_ABSENT = Absent("pk")
# The item is still there: an update would otherwise create it, a delete would pass unnoticed.
ITEM_EXISTS = Exists("pk")


def as_read(attribute: str, item: Item | None) -> Condition:
    """The attribute is what it was when `item` was read: the same value, or still absent."""
    if item is None or attribute not in item:
        return Absent(attribute)
    return Equals(attribute, item[attribute])


class Put(NamedTuple):
    """Write the whole item, whatever was there."""

    key: Key
    attributes: Item
    when: tuple[Condition, ...] = ()


class Update(NamedTuple):
    """Change some attributes; an absent item is made. `add` counts from 0 where the attribute is absent."""

    key: Key
    set: Item = NOTHING
    add: Mapping[str, int] = NOTHING
    remove: tuple[str, ...] = ()
    when: tuple[Condition, ...] = ()


class Delete(NamedTuple):
    """Remove the item; absent is fine unless `when` says otherwise."""

    key: Key
    when: tuple[Condition, ...] = ()


class Check(NamedTuple):
    """Change nothing, but demand. Only in a transaction."""

    key: Key
    when: tuple[Condition, ...]


Write: TypeAlias = Put | Update | Delete | Check


def holds(conditions: tuple[Condition, ...], item: Item) -> bool:
    """Whether all `conditions` hold for `item` (empty: it is absent)."""
    return all(condition.holds(item) for condition in conditions)
