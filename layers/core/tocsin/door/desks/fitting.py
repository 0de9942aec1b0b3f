"""What breaks the schema of the ticket event is repaired or dropped; the ticket is told all the same.

The same schema that the planner checks against (`notify/events/ticket-event.schema.json`), read without its
validator, which would take longer to load than all the rest of the door. A test holds the two together:
whatever leaves here without a violation, the planner takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from tocsin.door.desks.body import cleaned
from tocsin.notify.events.checks import Schema
from tocsin.notify.texts.formatting import shortened

SCHEMA: Final = Schema("ticket-event.schema.json")

MAX_BYTES: Final = 200_000
_FEW_CHARACTERS = 2000
_ADDRESS_CHARACTERS: Final = 1000
"""Of what the schema leaves open: phones and groups, which are judged when they are planned."""
_DROP: Final = object()
_STEERING = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@dataclass
class Fitting:
    """Fits one detail. `repairs` and `violations`: each with its path; neither quotes what the fields
    hold."""

    repairs: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def fit(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        fitted = self._object(dict(detail), SCHEMA.json, "detail")
        return self._small(fitted) if isinstance(fitted, dict) else {}

    def _small(self, detail: dict[str, Any]) -> dict[str, Any]:
        """No larger than the bus takes: what texts of Tocsin's own don't show goes first."""
        ticket = detail.get("ticket", {})
        if len(json.dumps(detail, ensure_ascii=False).encode(errors="replace")) <= MAX_BYTES:
            return detail
        self.repairs.append(
            "detail: is larger than the bus takes; ticket.extra is dropped, long texts are cut"
        )
        ticket.pop("extra", None)
        for place, name in ((ticket, "description"), (detail.get("reply", {}), "text")):
            if name in place:
                place[name] = shortened(place[name], _FEW_CHARACTERS)
        return detail

    def _any(self, value: Any, rule: Mapping[str, Any], path: str) -> Any:
        if "$ref" in rule:
            rule = {**SCHEMA.json["$defs"][rule["$ref"].rpartition("/")[2]], **rule}
        if "properties" in rule or "additionalProperties" in rule:
            return self._object(value, rule, path)
        if "items" in rule:
            return self._list(value, rule, path)
        if "enum" in rule and value not in rule["enum"]:
            return self._dropped(path, "is none of the values that it may have")
        types = rule.get("type", [])
        return self._scalar(value, rule, [types] if isinstance(types, str) else types, path)

    def _object(self, value: Any, rule: Mapping[str, Any], path: str) -> Any:
        if not isinstance(value, dict):
            return self._dropped(path, "is not an object")
        known, others = rule.get("properties", {}), rule.get("additionalProperties", {})
        fitted: dict[str, Any] = {}
        for name, inner in value.items():
            if inner is None or len(fitted) >= rule.get("maxProperties", 1000):
                continue
            kept = self._any(inner, known.get(name, others), f"{path}.{name}")
            if kept is not _DROP:
                fitted[name] = kept
        lacking = [name for name in rule.get("required", ()) if name not in fitted]
        if not lacking:
            return fitted
        if path in ("detail", "detail.ticket"):
            self.violations += [f"{path}.{name}: is missing" for name in lacking]
            return fitted
        return self._dropped(path, f"lacks {', '.join(lacking)}")

    def _list(self, value: Any, rule: Mapping[str, Any], path: str) -> Any:
        if not isinstance(value, list):
            return self._dropped(path, "is not a list")
        most = rule.get("maxItems", len(value))
        if len(value) > most:
            self.repairs.append(f"{path}: holds more than {most} entries; those beyond are dropped")
        fitted = [
            self._any(one, rule["items"], f"{path}[{number}]") for number, one in enumerate(value[:most])
        ]
        return [one for one in fitted if one is not _DROP]

    def _scalar(self, value: Any, rule: Mapping[str, Any], types: list[str], path: str) -> Any:
        if isinstance(value, str) or "string" not in types:
            return (
                self._text(value, rule, path)
                if isinstance(value, str)
                else self._number(value, rule, types, path)
            )
        if isinstance(value, bool) and "boolean" in types:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return value if "integer" in types else str(value)
        return self._dropped(path, "is not text")

    def _number(self, value: Any, rule: Mapping[str, Any], types: list[str], path: str) -> Any:
        if not types:
            # Numbers and groups are judged one by one when they are planned, if they are single values.
            return self._dropped(path, "is no single value") if isinstance(value, (dict, list)) else value
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not rule.get("minimum", 0) <= value <= rule.get("maximum", value):
            return self._dropped(path, "is not a whole number within its bounds")
        return value

    def _text(self, value: str, rule: Mapping[str, Any], path: str) -> Any:
        text = cleaned(value)
        if not {"type", "enum"} & rule.keys() and len(text) > _ADDRESS_CHARACTERS:
            return self._dropped(path, "is too long")
        if "not" in rule:
            # Ids are shown in terminals as they are: nothing in one may steer it.
            text = " ".join(_STEERING.sub("", text).split())
        if "maxLength" in rule and len(text) > rule["maxLength"]:
            text = _shorter_id(text, rule["maxLength"]) if "not" in rule else ""
        if len(text) > rule.get("x-cut-after", len(text)):
            self.repairs.append(f"{path}: is cut")
            text = shortened(text, rule["x-cut-after"])
        if len(text) > rule.get("x-left-out-after", len(text)) or len(text) < rule.get("minLength", 0):
            return self._dropped(path, "is too long or empty")
        if "pattern" in rule and not re.search(re.sub(r"\$\Z", r"\\Z", rule["pattern"]), text):
            return self._dropped(path, "has not the form that it needs")
        if "type" in rule and "string" not in rule["type"]:
            return self._dropped(path, "is text")
        return text

    def _dropped(self, path: str, reason: str) -> Any:
        self.repairs.append(f"{path}: {reason}; dropped")
        return _DROP


def _shorter_id(text: str, most: int) -> str:
    """Another id stays another one."""
    return f"{text[: most - 9]}~{sha256(text.encode(errors='replace')).hexdigest()[:8]}"
