"""Who changed what, the newest first."""

from __future__ import annotations

from tocsin.notify.store.audit import AuditLine
from tocsin.notify.store.stores import Stores


def test_lines_come_back_newest_first(stores: Stores) -> None:
    lines = [AuditLine(at, "user/dewi", f"did {at}", at, "because") for at in (1, 2, 10)]
    for line in (lines[1], lines[0], lines[2]):
        stores.audit.add(line)
    assert list(stores.audit.lines()) == [lines[2], lines[1], lines[0]]


def test_two_changes_of_one_moment_are_two_lines(stores: Stores) -> None:
    for _ in range(2):
        stores.audit.add(AuditLine(1, "", "the same"))
    assert len(list(stores.audit.lines())) == 2


def test_a_note_of_any_length_is_cut(stores: Stores) -> None:
    stores.audit.add(AuditLine(1, "", "x", note="n" * 9000))
    (line,) = stores.audit.lines()
    assert len(line.note) == 500
