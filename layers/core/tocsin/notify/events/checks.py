"""JSON from the bus, checked against a schema that lies beside this file, every violation in words.

Violations name fields and rules, and quote nothing of what the fields hold, so they may be logged.

Texts that are too long are cut, not refused (`x-cut-after` in a schema), or left out (`x-left-out-after`).
What bears `x-left-out-if-malformed` and isn't as described is left out as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from tocsin.notify.texts.formatting import shortened

MAX_BYTES = 256 * 1024
"""What EventBridge and SQS carry."""

MAX_VIOLATIONS = 200
MAX_ID_CHARACTERS = 128

MAX_NESTED = 100
"""Lists and objects within each other. The schemas need five; a few hundred exhaust the stack of whatever
walks through them."""


class InvalidEvent(ValueError):
    """The event doesn't hold what the schema asks for; nobody is told anything. `violations`: each with its
    path.

    They name fields and rules, and quote nothing of what the fields hold, so they may be logged.
    """

    def __init__(self, violations: Collection[str]) -> None:
        super().__init__(*violations)
        self.violations = tuple(violations)

    def __str__(self) -> str:
        return "; ".join(self.violations)


class Schema:
    """A JSON Schema (draft 2020-12) of the file `name` beside this module."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def json(self) -> dict[str, Any]:
        return _loaded(self.name)

    def validator(self) -> Any:
        return _validator(self.name)

    def violations(self, detail: Mapping[str, Any]) -> list[str]:
        errors = islice(self.validator().iter_errors(detail), MAX_VIOLATIONS + 1)
        return sorted({f"{_path(error.absolute_path)}: {_sentence(error)}" for error in errors})

    def unknown_fields(self, detail: Mapping[str, Any]) -> tuple[str, ...]:
        """Fields of the detail that the schema doesn't know: a typo, perhaps."""
        return tuple(sorted(set(detail) - set(self.json["properties"])))


@cache
def _loaded(name: str) -> dict[str, Any]:
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator, ValidationError, validators

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[Any]:
        """In JSON Schema "$" is the end of the text; in Python it also stands before a last line break."""
        if isinstance(instance, str) and not re.search(re.sub(r"\$\Z", r"\\Z", wanted), instance):
            yield ValidationError("pattern")

    return validators.extend(Draft202012Validator, {"pattern": pattern})(_loaded(name))


@dataclass(frozen=True)
class Fitted:
    """Brings an event to the lengths and the form that the schema `of` wants, as far as it says how. What the
    schema doesn't know, stays.

    `cut`: paths of texts that were too long; `left_out`: what of a person was malformed, as violations.
    """

    of: Schema
    cut: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def fit(self, value: Any, rule: Mapping[str, Any], path: str) -> Any:
        """Return `value` as it fits the schema's `rule`."""
        if "$ref" in rule:
            rule = {**rule, **self.of.json["$defs"][rule["$ref"].rpartition("/")[2]]}
        if isinstance(value, str):
            return self._text(value, rule, path)
        if isinstance(value, dict) and ("properties" in rule or "additionalProperties" in rule):
            known, others = rule.get("properties", {}), rule.get("additionalProperties", {})
            places = {key: (known.get(key, others), f"{path}.{key[:64]}") for key in value}
            return {
                key: self.fit(inner, *places[key])
                for key, inner in value.items()
                if self._stays(inner, *places[key])
            }
        if isinstance(value, list) and "items" in rule:
            return [self.fit(inner, rule["items"], f"{path}[{n}]") for n, inner in enumerate(value)]
        return value

    def _text(self, text: str, rule: Mapping[str, Any], path: str) -> str | None:
        most = rule.get("x-cut-after") or rule.get("x-left-out-after")
        if most is None or len(text) <= most:
            return text
        self.cut.append(path)
        return shortened(text, most) if "x-cut-after" in rule else None

    def _stays(self, value: Any, rule: Mapping[str, Any], path: str) -> bool:
        error = (
            next(self.of.validator().descend(value, rule), None)
            if rule.get("x-left-out-if-malformed")
            else None
        )
        if error is not None:
            self.left_out.append(f"{path}: {_sentence(error)}")
        return error is None


def listed(violations: Sequence[str]) -> Sequence[str]:
    """No more of them than anybody reads."""
    if len(violations) <= MAX_VIOLATIONS:
        return violations
    return [*violations[:MAX_VIOLATIONS], "detail: holds more violations than are listed"]


@cache
def controls() -> re.Pattern[str]:
    """What no id may hold."""
    return re.compile(_loaded("ticket-event.schema.json")["$defs"]["id"]["not"]["pattern"])


def _path(steps: Any) -> str:
    path = "detail"
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step[:64]}"
    return path


_TYPE_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


def _types(wanted: str | list[str]) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(_TYPE_NAMES.get(name, name) for name in names)


def _missing(error: Any) -> str:
    absent = [name for name in error.validator_value if name not in error.instance]
    return f"lacks {', '.join(absent)}"


def _alternatives(error: Any) -> Iterator[str]:
    return (name for one in error.validator_value for name in one.get("required", ()))


HOLDS_CONTROLS = "holds control characters, line breaks or marks that turn the direction of writing"

# What a violated keyword of the schema means, in words that quote nothing of the event.
_SENTENCES: Mapping[str, Callable[[Any], str]] = {
    "required": _missing,
    "type": lambda error: f"is not {_types(error.validator_value)}",
    "enum": lambda error: f"is none of {', '.join(one for one in error.validator_value if one)}",
    "pattern": lambda error: f"doesn't match {error.validator_value}",
    "not": lambda error: HOLDS_CONTROLS,
    "oneOf": lambda error: f"must have exactly one of {', '.join(_alternatives(error))}",
    "minItems": lambda error: f"holds fewer than {error.validator_value} entries",
    "minLength": lambda error: "is empty",
    "maxLength": lambda error: f"is longer than {error.validator_value} characters",
    "minimum": lambda error: f"is less than {error.validator_value}",
    "maximum": lambda error: f"is more than {error.validator_value}",
    "maxItems": lambda error: f"holds more than {error.validator_value} entries",
    "maxProperties": lambda error: f"holds more than {error.validator_value} fields",
}


def _sentence(error: Any) -> str:
    sentence = _SENTENCES.get(error.validator)
    return sentence(error) if sentence else f"violates {error.validator}"
