"""Who changed what, the newest first."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.dynamo.writes import Put
from tocsin.notify.store.audit import LETTERS_DROPPED, MAX_IDS, AuditLine
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import audit_key


def test_lines_come_back_newest_first(stores: Stores) -> None:
    lines = [AuditLine(at, "user/dewi", f"did {at}", at, "because") for at in (1, 2, 10)]
    for line in (lines[1], lines[0], lines[2]):
        stores.audit.add(line)
    assert list(stores.audit.lines()) == [lines[2], lines[1], lines[0]]


def test_of_what_a_line_is_comes_back(stores: Stores) -> None:
    ids = tuple(str(number) for number in range(MAX_IDS + 1))
    stores.audit.add(AuditLine(1, "", "x", kind=LETTERS_DROPPED, ids=ids))
    (line,) = stores.audit.lines()
    assert (line.kind, line.ids) == (LETTERS_DROPPED, ids[:MAX_IDS])


@pytest.mark.parametrize("odd", [{}, {"kind": 7, "ids": 7}, {"ids": {}}])
def test_a_line_of_before_there_were_kinds_is_of_none(stores: Stores, odd: dict[str, Any]) -> None:
    stores.audit._table.put(Put(audit_key(1, "a"), {"at": 1, "what": "x", **odd}))
    (line,) = stores.audit.lines()
    assert line.kind in ("", "7")
    assert line.ids == ()


def test_two_changes_of_one_moment_are_two_lines(stores: Stores) -> None:
    for _ in range(2):
        stores.audit.add(AuditLine(1, "", "the same"))
    assert len(list(stores.audit.lines())) == 2


def test_a_note_of_any_length_is_cut(stores: Stores) -> None:
    stores.audit.add(AuditLine(1, "", "x", note="n" * 9000))
    (line,) = stores.audit.lines()
    assert len(line.note) == 500
