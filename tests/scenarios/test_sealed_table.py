"""Every test that SEALED.md names exists, and every row names one."""

from __future__ import annotations

import pytest

from tests.support.pages import Page, names_in

PAGE = Page("SEALED.md")
FOOTHOLDS = 6


@pytest.mark.parametrize(("path", "name"), PAGE.named)
def test_each_named_test_exists(path: str, name: str) -> None:
    assert name in names_in(path)


def test_each_foothold_has_its_table() -> None:
    assert sum(row[-1] == "tests" for row in PAGE.rows()) == PAGE.text.count("\n## Who can ") == FOOTHOLDS


def test_every_row_is_complete_and_names_a_test() -> None:
    for row in PAGE.rows():
        assert len(row) == 3
        assert all(row)
        assert row[-1] == "tests" or "::" in row[-1]
