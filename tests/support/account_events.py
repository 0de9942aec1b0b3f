"""The events about accounts, held against their schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from tocsin_local.paths import ROOT

SCHEMA = ROOT / "layers/core/tocsin/notify/events/account-event.schema.json"


def fits(event: str, detail: Mapping[str, Any]) -> None:
    """Raise ValidationError for an event that isn't as its schema says, or says what that doesn't know."""
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    schema = {"$defs": definitions, "$ref": f"#/$defs/{event}", "unevaluatedProperties": False}
    Draft202012Validator(schema).validate(detail)
