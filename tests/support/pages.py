"""Pages whose tables name the test of each row."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Page:
    """A page below layers/core/tocsin. `named`: each test that it names, by file and function or class."""

    def __init__(self, path: str) -> None:
        self.text = (ROOT / "layers/core/tocsin" / path).read_text()
        self.named = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", self.text)))

    def rows(self) -> list[list[str]]:
        """The cells of every row of every table, heads among them."""
        lines = [line for line in self.text.splitlines() if line.startswith("| ")]
        rows = [line for line in lines if not line.startswith("| ---")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]


@cache
def names_in(path: str) -> frozenset[str]:
    """What a module of the tests defines: functions, classes, and names at its top."""
    tree = ast.parse((ROOT / path).read_text())
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assigned = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return frozenset([*assigned, *(node.name for node in ast.walk(tree) if isinstance(node, defined))])
