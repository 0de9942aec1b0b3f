"""Records of a table's stream as Lambda hands them over: JSON, in which bytes are base64 text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from tocsin.dynamo.attributes import to_attribute


def image_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The image of an item; what is None isn't there."""
    return as_handed_over({name: to_attribute(value) for name, value in item.items() if value is not None})


def as_handed_over(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attribute values as boto3 returns them, as Lambda hands them over."""
    handed: dict[str, Any] = json.loads(json.dumps(attributes, default=_base64))
    return handed


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
