"""The OpenAPI document of the door's own calls, made of the schema files and of what the dialect knows.

python -m tests.support.openapi            writes it
python -m tests.support.openapi --check    says whether it is as the code is (make lint)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import contracts
from tocsin.accounts.state import AccountState
from tocsin.door.dialects import own
from tocsin.door.files import MAX_FILE_BYTES
from tocsin.door.message import MAX_FILES, MAX_KEY_CHARACTERS, MAX_RECIPIENTS, MAX_TEXT_CHARACTERS
from tocsin.notify.notification import State

DOCUMENT = Path(__file__).parents[2] / "layers/core/tocsin/door/openapi.json"
TICKET = "ticket-event"
EXAMPLE_ID = "msg-7495416317f6e7858a1cb3e8"


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin's HTTP door",
            "version": "1",
            "description": "What help desks and tools call. A success means that the event bus has it; "
            "everything after that is told by GET /v1/messages/{id} and by outcomes. No redirect is ever "
            "answered.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "https://{host}",
                "description": "The stack's output DoorUrl",
                "variables": {"host": {"default": "example.lambda-url.eu-west-1.on.aws"}},
            }
        ],
        "security": [{"key": []}],
        "paths": {
            "/v1/messages": {"post": _send()},
            "/v1/messages/{id}": {"get": _show()},
            "/v1/tickets": {"post": _ticket()},
            "/v1/accounts": {"get": _accounts()},
        },
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What tocsin sources add NAME --kind api printed.",
                }
            },
            "schemas": {
                "Message": _message(),
                "File": _file(),
                "Accepted": _accepted(),
                "Progress": _progress(),
                "Problem": _problem(),
                "Ticket": _ticket_schema(),
            },
            "responses": {
                name: _answer(text, "Problem", "application/problem+json") for name, text in _REFUSALS.items()
            },
        },
    }


_REFUSALS: Mapping[str, str] = {
    "400": "What was sent can't be meant; each violation begins with the path of its field.",
    "401": "The key is missing, wrong or no longer valid.",
    "403": "The source is paused, or may not use that account or write to that recipient.",
    "404": "Nothing of that id is known: it may not have been planned yet.",
    "413": "What was sent is too large.",
    "422": "The key was given to something else, the event breaks its schema, or no files are sent here.",
    "429": "More requests than the source may make in a minute. Retry-After says when to ask again.",
    "503": "The event bus or a table is out of reach for a moment. Ask again.",
}


def _refused(*statuses: str) -> dict[str, Any]:
    return {one: {"$ref": f"#/components/responses/{one}"} for one in statuses}


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(text: str, schema: str, kind: str = "application/json") -> dict[str, Any]:
    return {"description": text, "content": {kind: {"schema": _schema(schema)}}}


def _body(schema: str, example: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": _schema(schema), "example": example}}
    return {"required": True, "content": content}


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Your own name for what you ask for. Asked for again with the same one, it is told once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
}


def _send() -> dict[str, Any]:
    return {
        "operationId": "sendMessage",
        "summary": "Send a message to people and groups",
        "parameters": [_KEY],
        "requestBody": _body("Message", {"to": ["+6281234567890"], "text": "Tagihan Anda sudah terbit."}),
        "responses": {
            "202": _answer("The bus has it.", "Accepted"),
            "200": _answer("The bus had it already, by the same key.", "Accepted"),
            **_refused("400", "401", "403", "413", "422", "429", "503"),
        },
    }


def _show() -> dict[str, Any]:
    return {
        "operationId": "showMessage",
        "summary": "What became of a message, for each recipient and file",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": _answer("How far it got.", "Progress"),
            **_refused("401", "403", "404", "429", "503"),
        },
    }


def _ticket() -> dict[str, Any]:
    example = {
        "event": "created",
        "ticket": {"id": "TCK-1042", "revision": 1, "subject": "No internet since 09:00"},
        "customer": {"name": "Siti", "phone": "+6281234567890", "language": "id"},
    }
    known = {"ticket": {"type": "string"}, "state": {"const": "accepted"}, "repeated": {"type": "boolean"}}
    content = {"application/json": {"schema": {"type": "object", "properties": known}}}
    told = {"description": "The bus has it.", "content": content}
    again = {"description": "The bus had it already, by the same key.", "content": content}
    return {
        "operationId": "tellTicket",
        "summary": "Tell what happened to a ticket",
        "description": "The same ticket with the same revision and event is told to nobody twice.",
        "parameters": [_KEY],
        "requestBody": _body("Ticket", example),
        "responses": {"202": told, "200": again, **_refused("400", "401", "403", "413", "422", "429", "503")},
    }


def _accounts() -> dict[str, Any]:
    one = {
        "type": "object",
        "required": ["account", "state"],
        "properties": {"account": {"type": "string"}, "state": {"enum": [str(one) for one in AccountState]}},
    }
    schema = {"type": "object", "properties": {"accounts": {"type": "array", "items": one}}}
    told = {"description": "Their true state, now.", "content": {"application/json": {"schema": schema}}}
    return {
        "operationId": "listAccounts",
        "summary": "The WhatsApp accounts that the key may use",
        "responses": {"200": told, **_refused("401", "403", "429", "503")},
    }


# -- schemas -----------------------------------------------------------------------------------------------


def _message() -> dict[str, Any]:
    recipient = {"type": "string", "minLength": 1, "examples": ["+6281234567890", "120363000000000000@g.us"]}
    known = {
        "to": {
            "description": "Numbers with their country code, and groups.",
            "oneOf": [
                recipient,
                {"type": "array", "minItems": 1, "maxItems": MAX_RECIPIENTS, "items": recipient},
            ],
        },
        "text": {
            "description": "What they read, in WhatsApp's formatting. Needed, unless there are files. Longer "
            "than 4,096 characters, it is cut.",
            "type": "string",
            "maxLength": MAX_TEXT_CHARACTERS,
        },
        "account": {
            "description": "The account that speaks. Without it: the source's first.",
            "type": "string",
        },
        "audience": {
            "description": "Whose settings and rules hold for the people among them. Without it: customer.",
            "enum": ["customer", "technician"],
        },
        "language": {"description": "Of the text, such as id, es or en.", "type": "string"},
        "sensitive": {
            "description": "For codes and passwords: sealed, shown to nobody, erased once it arrived.",
            "type": "boolean",
        },
        "priority": {"enum": ["normal", "urgent"], "default": "normal"},
        "files": {"type": "array", "maxItems": MAX_FILES, "items": _schema("File")},
        "key": {
            "description": "As the header Idempotency-Key, for who can set none.",
            "type": "string",
            "maxLength": MAX_KEY_CHARACTERS,
        },
    }
    return {"type": "object", "required": ["to"], "additionalProperties": False, "properties": known}


def _file() -> dict[str, Any]:
    known = {
        "name": {"description": "Its ending says what it is.", "type": "string"},
        "mime": {"type": "string"},
        "url": {"description": "Of a host that the parameter FileHosts names.", "type": "string"},
        "key": {"description": "Of the bucket that AttachmentsBucket names.", "type": "string"},
        "content": {"description": f"base64 of at most {MAX_FILE_BYTES} bytes.", "type": "string"},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": known,
        "oneOf": [{"required": ["url"]}, {"required": ["key"]}, {"required": ["content"]}],
    }


def _accepted() -> dict[str, Any]:
    known = {
        "id": {"type": "string", "examples": [EXAMPLE_ID]},
        "state": {"const": "accepted"},
        "account": {"type": "string"},
        "recipients": {"type": "array", "items": {"type": "object"}},
        "repeated": {"type": "boolean"},
    }
    return {"type": "object", "required": ["id", "state", "account", "recipients"], "properties": known}


def _progress() -> dict[str, Any]:
    one = {
        "type": "object",
        "required": ["id", "state", "at"],
        "properties": {
            "id": {"type": "string"},
            "state": {"enum": [str(one) for one in State]},
            "at": {"type": "string", "format": "date-time"},
            "reason": {"description": "Of a failure, or of a wait.", "type": "string"},
        },
    }
    known = {"id": {"type": "string"}, "notifications": {"type": "array", "items": one}}
    return {"type": "object", "required": ["id", "notifications"], "properties": known}


def _problem() -> dict[str, Any]:
    known = {
        "type": {"type": "string", "examples": ["urn:tocsin:problem:invalid"]},
        "title": {"description": "For programs.", "type": "string"},
        "status": {"type": "integer"},
        "detail": {"description": "For people.", "type": "string"},
        "violations": {"type": "array", "items": {"type": "string"}},
    }
    return {"type": "object", "required": ["type", "title", "status", "detail"], "properties": known}


def _ticket_schema() -> dict[str, Any]:
    """The detail of a ticket event, and what happened."""
    event = json.loads(json.dumps(contracts.schemas()[TICKET]).replace("#/$defs/", f"{_HERE}/$defs/"))
    happened = {"description": "What happened.", "enum": [*own.EVENTS, *own.EVENTS.values()]}
    return {
        **{name: value for name, value in event.items() if name not in ("$schema", "$id")},
        "required": ["event", *event["required"]],
        "properties": {"event": happened, **event["properties"]},
    }


_HERE = "#/components/schemas/Ticket"


def written() -> str:
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(written(), encoding="utf-8")
        return 0
    if DOCUMENT.read_text(encoding="utf-8") != written():
        print(f"{DOCUMENT} is not as the code is: python -m tests.support.openapi", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
