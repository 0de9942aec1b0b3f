"""Every test that PEOPLE.md names exists, and every situation names one."""

from __future__ import annotations

import pytest

from tests.support.pages import Page, names_in

PAGE = Page("people/PEOPLE.md")


@pytest.mark.parametrize(("path", "name"), PAGE.named)
def test_each_named_test_exists(path: str, name: str) -> None:
    assert name in names_in(path)


def test_each_situation_names_its_test() -> None:
    situations = [row for row in PAGE.rows() if row[0] != "situation"]
    assert len(situations) > 30
    assert [row for row in situations if "::" not in row[-1] or len(row) != 3] == []
