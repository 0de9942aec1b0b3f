"""Python values ⇄ DynamoDB attribute values, for the few types that the tables hold.

boto3's own converter goes through Decimal and is one more import on the cold path.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from tocsin.dynamo.writes import Item, Key, Value


def to_attribute(value: Value) -> dict[str, Any]:
    """The attribute value of a str, int, bool, bytes, a list or mapping of these, or a set of str.

    Raises TypeError for other types, ValueError for an empty set, which DynamoDB doesn't hold.
    """
    if isinstance(value, str):
        return {"S": str(value)}  # a member of an enum, too
    if isinstance(value, bool):  # before int: a bool is one
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, (list, tuple)):
        return {"L": [to_attribute(member) for member in value]}
    if isinstance(value, Mapping):
        return {"M": {name: to_attribute(inner) for name, inner in value.items()}}
    if isinstance(value, frozenset):
        if not value:
            raise ValueError("a set must have a member")
        return {"SS": sorted(value)}
    raise TypeError(f"no attribute type for {type(value).__name__}")


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """The Python value of an attribute value, as boto3 returns it, or as Lambda hands over that of a stream:
    there, bytes are base64 text. Raises TypeError for a type that the tables don't hold, ValueError for text
    that isn't base64."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "B":
        return b64decode(value, validate=True) if isinstance(value, str) else bytes(value)
    if kind == "L":
        return [from_attribute(member) for member in value]
    if kind == "M":
        return {name: from_attribute(inner) for name, inner in value.items()}
    if kind == "SS":
        return frozenset(value)
    if kind in ("S", "BOOL"):
        return value
    raise TypeError(f"attribute type {kind} is not used in these tables")


def to_key(key: Key) -> dict[str, Any]:
    """The key attributes of a request."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def to_item(key: Key, attributes: Item) -> dict[str, Any]:
    """A whole item of a request."""
    return to_key(key) | {name: to_attribute(value) for name, value in attributes.items()}


def from_item(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The item of a response or a stream, with `pk` and `sk` among its attributes."""
    return {name: from_attribute(attribute) for name, attribute in attributes.items()}


def item_bytes(item: Item) -> int:
    """The size of an item as DynamoDB counts it: names and values in bytes, a number as some ten."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return 3 + item_bytes(value) + len(value)
    if isinstance(value, frozenset):
        return sum(_value_bytes(member) for member in value)
    if isinstance(value, (list, tuple)):
        return 3 + sum(1 + _value_bytes(member) for member in value)
    return 10


def key_of(item: Item) -> Key:
    """The key of an item that came from a table."""
    return str(item["pk"]), str(item["sk"])
