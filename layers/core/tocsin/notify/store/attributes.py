"""Python values ⇄ DynamoDB attribute values, for the few types the notifications table holds.

boto3's own converter goes through Decimal and costs an import; these tables hold whole numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]


def to_attribute(value: Any) -> AttributeValue:
    """str, bool, int, bytes, None, lists and mappings of these, sets of str. Raises TypeError for others."""
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, bool):  # before int: a bool is one
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, Mapping):
        return {"M": {name: to_attribute(inner) for name, inner in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"L": [to_attribute(inner) for inner in value]}
    if isinstance(value, frozenset):
        return {"SS": sorted(value)}
    raise TypeError(f"no attribute type for {type(value).__name__}")


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """The Python value of one attribute value. Raises TypeError for a type these tables don't hold."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "NULL":
        return None
    if kind == "M":
        return {name: from_attribute(inner) for name, inner in value.items()}
    if kind == "L":
        return [from_attribute(inner) for inner in value]
    if kind == "B":
        return bytes(value)
    if kind == "SS":
        return frozenset(value)
    if kind in ("S", "BOOL"):
        return value
    raise TypeError(f"attribute type {kind} is not used here")


def to_item(values: Mapping[str, Any]) -> Item:
    """An item; names whose value is None are left out."""
    return {name: to_attribute(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: from_attribute(attribute) for name, attribute in item.items()}
