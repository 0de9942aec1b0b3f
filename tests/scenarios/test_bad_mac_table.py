"""Every test that BAD-MAC.md names exists, and every cause names one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "layers/core/tocsin/BAD-MAC.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)
CAUSES = 26


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def rows() -> list[list[str]]:
    """The cells of every row of every table but its head."""
    lines = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_each_named_test_exists(path: str, name: str) -> None:
    assert name in functions_of(path)


def test_every_cause_has_a_row() -> None:
    assert [int(row[0]) for row in rows() if row[0].isdecimal()] == list(range(1, CAUSES + 1))


def test_every_row_names_a_test() -> None:
    heads = [row for row in rows() if row[-1] == "tests"]
    assert len(heads) == 3
    assert all("::" in row[-1] for row in rows() if row not in heads)


def test_every_row_is_complete() -> None:
    assert all(all(row) for row in rows())
    assert {len(row) for row in rows()} == {3, 4, 6}
