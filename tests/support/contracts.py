"""The AsyncAPI document of the bus, made of the schema files: one for each event in and out.

python -m tests.support.contracts            writes it
python -m tests.support.contracts --check    says whether it is as the files are (make lint)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tocsin.notify.cloud_events import TYPES
from tocsin.notify.events.audience import ROUTES
from tocsin.notify.notification import MESSAGE_REQUESTED

EVENTS = Path(__file__).parents[2] / "layers/core/tocsin/notify/events"
DOCUMENT = EVENTS / "asyncapi.json"
JSON_SCHEMA = "application/schema+json;version=draft-2020-12"

SHARED = "notification-outcome"
IN: Mapping[str, str] = {
    **dict.fromkeys(ROUTES, "ticket-event"),
    MESSAGE_REQUESTED: "message-requested",
}
"""Detail type → its schema file."""

OUT: Mapping[str, str] = {event: name.replace(".", "-") for event, name in TYPES.items()}
ACCOUNT = "account-event"
"""One file for the events of an account, each under its name in `$defs`."""


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Each schema file by its name."""
    paths = sorted(EVENTS.rglob("*.schema.json"))
    return {
        path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8")) for path in paths
    }


@cache
def registry() -> Registry[Any]:
    found: Registry[Any] = Registry()
    return found.with_resources((one["$id"], Resource.from_contents(one)) for one in schemas().values())


def validator(name: str) -> Draft202012Validator:
    """Of the events that a file describes."""
    return Draft202012Validator(
        schemas()[name], registry=registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def validator_of(detail_type: str) -> Draft202012Validator:
    """Of the detail of an event."""
    if detail_type in account_events():
        whole = schemas()[ACCOUNT]
        return Draft202012Validator({"$defs": whole["$defs"], "$ref": f"#/$defs/{detail_type}"})
    return validator({**IN, **OUT}[detail_type])


def account_events() -> list[str]:
    return sorted(name for name in schemas()[ACCOUNT]["$defs"] if name.startswith("Account"))


def document() -> dict[str, Any]:
    """AsyncAPI 3."""
    messages = {
        **{event: _message(event, f"#/components/schemas/{name}") for event, name in {**IN, **OUT}.items()},
        **{
            event: _message(event, f"#/components/schemas/{ACCOUNT}/$defs/{event}")
            for event in account_events()
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tocsin's events",
            "version": "1",
            "description": "What Tocsin takes from its EventBridge bus and tells there. A payload is "
            "the detail of the event; its detail-type is the name of the message. Ticket events and requests "
            "bear the source that the parameter EventSource names, outcomes the source tocsin. Fields may be "
            "added.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "in": {
                "address": "bus",
                "description": "Source: the parameter EventSource, ticketing by default.",
                "messages": {event: _of_component(event) for event in IN},
            },
            "out": {
                "address": "bus",
                "description": "Source: tocsin.",
                "messages": {event: _of_component(event) for event in [*OUT, *account_events()]},
            },
        },
        "operations": {
            "take": _operation("receive", "in", list(IN)),
            "tell": _operation("send", "out", [*OUT, *account_events()]),
        },
        "components": {
            "messages": messages,
            "schemas": {name: _component(schema) for name, schema in schemas().items()},
        },
    }


def _operation(action: str, channel: str, events: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{event}"} for event in events],
    }


def _of_component(event: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{event}"}


def _message(event: str, schema: str) -> dict[str, Any]:
    return {
        "name": event,
        "title": event,
        "contentType": "application/json",
        "payload": {"schemaFormat": JSON_SCHEMA, "schema": {"$ref": schema}},
    }


def _component(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema file as it stands in the document: its references lead there."""
    name = str(schema["$id"]).split(":")[2]
    plain = {key: value for key, value in schema.items() if key not in ("$id", "$schema")}
    moved: dict[str, Any] = _moved(plain, f"#/components/schemas/{name}/")
    return moved


def _moved(value: Any, here: str) -> Any:
    if isinstance(value, list):
        return [_moved(one, here) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _reference(one, here) if key == "$ref" else _moved(one, here) for key, one in value.items()}


def _reference(target: str, here: str) -> str:
    if target.startswith("#/"):
        return here + target.removeprefix("#/")
    return f"#/components/schemas/{target.split(':')[2]}"


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    if "--check" not in arguments:
        DOCUMENT.write_text(text(), encoding="utf-8")
        return 0
    for schema in schemas().values():
        Draft202012Validator.check_schema(schema)
    if DOCUMENT.read_text(encoding="utf-8") == text():
        return 0
    print(
        f"{DOCUMENT.name} is not as the schema files are: python -m tests.support.contracts", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
