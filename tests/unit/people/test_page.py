"""Every test that PEOPLE.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "layers/core/tocsin/people/PEOPLE.md").read_text()
NAMED = re.findall(r"`(tests/[^`]+)::([^`]+)`", PAGE)


def test_each_situation_names_its_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    situations = [row for row in rows if not row.startswith("| situation")]
    assert len(situations) > 20
    assert [row for row in situations if "`tests/" not in row] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_it_names_exists(file: str, name: str) -> None:
    assert re.search(rf"^(?:def )?{name}\b", (ROOT / file).read_text(), re.MULTILINE)
