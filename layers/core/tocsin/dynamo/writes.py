"""Conditions and writes as data: what a write demands of the item it finds, and what it does to it.

DynamoDB gets them as expressions (`Expression`), the table in memory evaluates them (`holds`); both come from
the same objects, so that what the tests prove on one is what runs on the other.

These are named tuples, for a cold start makes eight dataclasses in 3 ms and eight named tuples in 0.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

# What an attribute may hold: no fractions, and only sets of strings.
Value: TypeAlias = "str | int | bytes | bool | Sequence[Value] | Mapping[str, Value] | frozenset[str]"
Item: TypeAlias = Mapping[str, Value]
# Partition key and sort key, stored as the attributes `pk` and `sk`.
Key: TypeAlias = tuple[str, str]


class Index(NamedTuple):
    """A sparse index of a table: the items that have the attribute `pk` and, if it is given, the number `sk`,
    in its order. It knows their keys only."""

    name: str
    pk: str
    sk: str | None = None


# Shared by all writes that change nothing of a kind, hence not to be written to.
NOTHING: Mapping[str, Any] = MappingProxyType({})


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


class OneOf(NamedTuple):
    """The attribute is there and holds one of these."""

    attribute: str
    values: tuple[Value, ...]

    def holds(self, item: Item) -> bool:
        return self.attribute in item and item[self.attribute] in self.values

    def render(self, expression: Expression) -> str:
        values = ", ".join(expression.value(value) for value in self.values)
        return f"{expression.name(self.attribute)} IN ({values})"


class AtMost(NamedTuple):
    """The attribute is there and not above this number, or behind this text in the order of its bytes."""

    attribute: str
    limit: int | str

    def holds(self, item: Item) -> bool:
        value = item.get(self.attribute)
        if isinstance(self.limit, str):
            return isinstance(value, str) and value.encode() <= self.limit.encode()
        return isinstance(value, int) and value <= self.limit

    def render(self, expression: Expression) -> str:
        return f"{expression.name(self.attribute)} <= {expression.value(self.limit)}"


class Shorter(NamedTuple):
    """The attribute is there and has fewer members than this: of a list or a map."""

    attribute: str
    size: int

    def holds(self, item: Item) -> bool:
        value = item.get(self.attribute)
        return isinstance(value, (list, Mapping)) and len(value) < self.size

    def render(self, expression: Expression) -> str:
        return f"size({expression.name(self.attribute)}) < {expression.value(self.size)}"


class AnyOf(NamedTuple):
    """At least one of these holds."""

    conditions: tuple[Absent | Exists | Equals | OneOf | AtMost | Shorter, ...]

    def holds(self, item: Item) -> bool:
        return any(condition.holds(item) for condition in self.conditions)

    def render(self, expression: Expression) -> str:
        return f"({' OR '.join(condition.render(expression) for condition in self.conditions)})"


Condition: TypeAlias = Absent | Exists | Equals | OneOf | AtMost | Shorter | AnyOf

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
    """Change some attributes; an absent item is made. Each attribute is named once.

    `set_first`: where the attribute is absent. `set_in`: entries of maps, which must be there.
    `append`: one member to a list, which begins empty. `add`: to a number, which begins at 0, or into a set.
    `discard`: out of a set; the last member takes the attribute with it.
    """

    key: Key
    set: Item = NOTHING
    add: Mapping[str, int | frozenset[str]] = NOTHING
    remove: tuple[str, ...] = ()
    when: tuple[Condition, ...] = ()
    set_first: Item = NOTHING
    set_in: Mapping[str, Mapping[str, Value]] = NOTHING
    append: Item = NOTHING
    discard: Mapping[str, frozenset[str]] = NOTHING

    @property
    def overlaps(self) -> bool:
        """Whether it names an attribute twice, which no table takes."""
        changes = (self.set, self.set_first, self.set_in, self.append, self.add, self.discard, self.remove)
        named = [attribute for change in changes for attribute in change]
        return len(set(named)) < len(named)


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
