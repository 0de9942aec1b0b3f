"""Every kind of message that Baileys' schema knows, encoded by Baileys, is read; its quote is found."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.interop.baileys_client import FOLDER, missing
from tests.vectors.folder import load
from tocsin.whatsapp.content import content_of, parse_plaintext
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin.whatsapp.written import KINDS, SILENT, is_wrapper

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

SCHEMA = FOLDER / "node_modules" / "baileys" / "WAProto" / "WAProto.proto"
QUOTED = "3EB0AABBCCDDEEFF001122"
OURS = {described.json_name: described for described in Message.DESCRIPTOR.fields}


class Field(NamedTuple):
    """A field of the schema. `type`: its message's or scalar's name."""

    type: str
    name: str
    number: int


def messages_of(schema: Path) -> dict[str, list[Field]]:
    """The fields of each message of a .proto file, by the message's full name."""
    found: dict[str, list[Field]] = {}
    path: list[tuple[str, str]] = []
    for line in map(str.strip, schema.read_text(encoding="utf-8").splitlines()):
        if opened := re.match(r"(message|enum|oneof) (\w+) \{(\})?$", line):
            path.append((opened[1], opened[2]))
            found.setdefault(_name_of(path), [])
            if opened[3]:
                path.pop()
        elif line.startswith("}"):
            path.pop()
        elif field := re.match(r"(?:optional |repeated |required )?([\w.]+) (\w+) = (\d+)", line):
            found[_name_of(path)].append(Field(field[1], field[2], int(field[3])))
    return found


def _name_of(path: list[tuple[str, str]]) -> str:
    return ".".join(name for kind, name in path if kind != "oneof")


SCHEMAS = messages_of(SCHEMA) if SCHEMA.exists() else {}
FIELDS = SCHEMAS.get("Message", [])


def encoded(*tasks: dict[str, Any]) -> Iterator[bytes]:
    """What Baileys makes of each task (node/message-kinds.mjs)."""
    made = subprocess.run(
        ["node", "message-kinds.mjs"],
        cwd=FOLDER,
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        check=True,
    )
    return map(b64decode, json.loads(made.stdout))


def quoting(field: Field) -> dict[str, Any] | None:
    """The smallest message of a kind that quotes another one; None for a kind that can't."""
    for part in SCHEMAS.get(f"Message.{field.type}") or SCHEMAS.get(field.type, []):
        if part.type == "ContextInfo":
            return {field.name: {part.name: {"stanzaId": QUOTED}}}
    return None


def test_our_schema_has_each_field_of_theirs_under_its_name_and_number() -> None:
    assert FIELDS
    ours = {described.json_name: described.number for described in OURS.values()}
    assert ours == {field.name: field.number for field in FIELDS}


def test_every_kind_that_can_quote_is_told_with_its_quote() -> None:
    tasks = {field.name: task for field in FIELDS if (task := quoting(field)) is not None}
    told = {name for name in tasks if OURS[name].name not in SILENT}
    assert len(told) > 30
    messages = encoded(*({"message": message} for message in tasks.values()))
    for name, plain in zip(tasks, messages, strict=True):
        content = content_of(parse_plaintext(plain))
        if name in told:
            kind = KINDS.get(OURS[name].name, "other")
            assert (content.kind, content.quoted_id) == (kind, QUOTED), name


def test_every_wrapper_is_looked_through() -> None:
    theirs = [field.name for field in FIELDS if field.type == "FutureProofMessage"]
    assert theirs == [name for name, described in OURS.items() if is_wrapper(described)]
    text = {"extendedTextMessage": {"text": "Hi", "contextInfo": {"stanzaId": QUOTED}}}
    messages = encoded(*({"message": {name: {"message": text}}} for name in theirs))
    read = {(content.kind, content.text, content.quoted_id) for content in map(_content, messages)}
    assert read == {("text", "Hi", QUOTED)}


def test_the_vectors_are_what_baileys_makes_today() -> None:
    vectors = load("replies")
    cases = [*vectors["kinds"], *vectors["sealed_edits"]]
    for case, plain in zip(cases, encoded(*(case["task"] for case in cases)), strict=True):
        made, kept = _content(plain), _content(bytes.fromhex(case["message"]))
        assert (made.kind, made.text, made.details) == (kept.kind, kept.text, kept.details), case["name"]


def _content(plain: bytes) -> Any:
    return content_of(parse_plaintext(plain))
