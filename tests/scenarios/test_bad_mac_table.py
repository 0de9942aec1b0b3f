"""Every test that BAD-MAC.md names exists, and every cause names one."""

from __future__ import annotations

import pytest

from tests.support.pages import Page, names_in

PAGE = Page("BAD-MAC.md")
CAUSES = 26


@pytest.mark.parametrize(("path", "name"), PAGE.named)
def test_each_named_test_exists(path: str, name: str) -> None:
    assert name in names_in(path)


def test_every_cause_has_a_row() -> None:
    assert [int(row[0]) for row in PAGE.rows() if row[0].isdecimal()] == list(range(1, CAUSES + 1))


def test_every_row_names_a_test() -> None:
    heads = [row for row in PAGE.rows() if row[-1] == "tests"]
    assert len(heads) == 3
    assert all("::" in row[-1] for row in PAGE.rows() if row not in heads)


def test_every_row_is_complete() -> None:
    assert all(all(row) for row in PAGE.rows())
    assert {len(row) for row in PAGE.rows()} == {3, 4, 6}
