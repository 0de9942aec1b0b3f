"""Every test that SEALED.md names exists, and every row names one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "layers/core/tocsin/SEALED.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)
FOOTHOLDS = 5


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


def rows() -> list[list[str]]:
    """The cells of every row of every table."""
    lines = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_each_named_test_exists(path: str, name: str) -> None:
    assert name in functions_of(path)


def test_each_foothold_has_its_table() -> None:
    assert sum(row[-1] == "tests" for row in rows()) == TABLE.count("\n## Who can ") == FOOTHOLDS


def test_every_row_is_complete_and_names_a_test() -> None:
    for row in rows():
        assert len(row) == 3
        assert all(row)
        assert row[-1] == "tests" or "::" in row[-1]
