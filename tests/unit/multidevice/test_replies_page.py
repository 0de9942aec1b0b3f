"""REPLIES.md names what the code tells: every kind, every detail, and every field that is no reply."""

from __future__ import annotations

import re
from pathlib import Path

import tocsin.multidevice
from tocsin.multidevice.replies import UNREADABLE, WITHOUT_COPY
from tocsin.notify.replies import CHANGES, UNREAD
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin.whatsapp.written import DETAILS, EMPTY, KINDS, OTHER, SILENT, UNAVAILABLE

PAGE = (Path(tocsin.multidevice.__path__[0]) / "REPLIES.md").read_text(encoding="utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose first column is called `head`."""
    table = PAGE.split(f"| {head} |", 1)[1].split("\n\n", 1)[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def named(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_kinds_are_all_that_there_are() -> None:
    told = {*KINDS.values(), "voice", OTHER, EMPTY, UNAVAILABLE, UNREADABLE, *WITHOUT_COPY.values(), *CHANGES}
    assert named([row[0] for row in rows("kind")]) == told


def test_kinds_without_content_are_those_of_the_domain() -> None:
    assert {UNAVAILABLE, UNREADABLE, *WITHOUT_COPY.values()} == UNREAD


def test_the_details_are_all_that_there_are() -> None:
    names = {name for name, _ in DETAILS.values()} | {"latitude", "longitude", "options", "type"}
    assert names <= named([row[2] for row in rows("kind") if len(row) > 2])


def test_the_fields_that_no_person_writes_are_all_that_there_are() -> None:
    fields = {Message.DESCRIPTOR.fields_by_name[name].json_name for name in SILENT}
    assert named([row[0] for row in rows("no person's field")]) == fields
