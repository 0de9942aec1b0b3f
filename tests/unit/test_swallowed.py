"""Nothing is swallowed: who catches everything says so in the log, raises, or stands here with the reason.

Who repeats something for ever sleeps, waits or is moved on by what it reads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("layers", "functions")
    for path in (ROOT / folder).glob("**/*.py")
    if not path.name.endswith("_pb2.py")
)

EVERYTHING = {"Exception", "BaseException"}

KEPT = {
    "functions/plan_notifications/app.py:lambda_handler": "`plan` said what it was",
    "functions/record_receipts/app.py:lambda_handler": "`tell` names each message that failed",
    "layers/core/tocsin/connector/placement.py:_live": "`_break` tells of it, and ends the process",
    "layers/core/tocsin/multidevice/inbound/receipt_messages.py:_record": "in the report, which `tell` logs",
    "layers/core/tocsin/multidevice/inbound/receipt_messages.py:_parse": "in the report, which `tell` logs",
    "layers/core/tocsin/multidevice/inbound/receipt_messages.py:_heard": "in the report, which `tell` logs",
    "layers/core/tocsin/multidevice/inbound/receipts.py:one_by_one": "it is the result",
    "layers/core/tocsin/multidevice/inbound/receipts.py:_grouped": "in the report, which `tell` logs",
    "layers/core/tocsin/notify/attempts.py:note_bug": "the bug itself is raised right after it",
    "layers/core/tocsin/notify/unreadable.py:is_one": "whoever asks raises what it caught first",
}
"""File and function → where it is told instead."""


class Function(ast.NodeVisitor):
    """What a module catches and repeats, each with the name of its innermost function."""

    def __init__(self) -> None:
        self.names = [""]
        self.caught: list[tuple[str, ast.AST]] = []
        self.loops: list[tuple[str, ast.While]] = []

    def _within(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.names.append(node.name)
        self.generic_visit(node)
        self.names.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._within(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._within(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is None or EVERYTHING & set(words(node.type)):
            self.caught.append((self.names[-1], node))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if "suppress" in words(node.func) and any(EVERYTHING & set(words(one)) for one in node.args):
            self.caught.append((self.names[-1], node))
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if isinstance(node.test, ast.Constant) and node.test.value:
            self.loops.append((self.names[-1], node))
        self.generic_visit(node)


def words(node: ast.AST) -> Iterator[str]:
    """The names in an expression."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr


def is_told(handler: ast.AST) -> bool:
    """Whether a handler raises, or says something to a log."""
    return any(isinstance(one, ast.Raise) for one in ast.walk(handler)) or bool(
        {"log", "logger", "getLogger"} & set(words(handler))
    )


@cache
def read(source: str) -> Function:
    found = Function()
    found.visit(ast.parse(source))
    return found


def swallowing(source: str) -> list[str]:
    found = read(source)
    return [name for name, handler in found.caught if not is_told(handler)]


def endless(source: str) -> list[str]:
    """Loops that neither wait for anything, nor give something away, nor can end."""
    found = read(source)
    ways_on = (ast.Await, ast.Yield, ast.YieldFrom, ast.Return, ast.Break, ast.Raise)
    return [name for name, loop in found.loops if not any(isinstance(one, ways_on) for one in ast.walk(loop))]


def test_who_catches_everything_tells_of_it_or_has_a_reason() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{name}"
        for path in SOURCES
        for name in swallowing(path.read_text(encoding="utf-8"))
    }
    assert found == set(KEPT)


def test_no_loop_goes_on_by_itself() -> None:
    found = [f"{path}:{name}" for path in SOURCES for name in endless(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "body",
    [
        "try:\n    a()\nexcept Exception:\n    pass",
        "try:\n    a()\nexcept (KeyError, Exception):\n    b()",
        "try:\n    a()\nexcept:\n    b()",
        "with suppress(Exception):\n    a()",
    ],
)
def test_twin_what_is_swallowed_is_seen(body: str) -> None:
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    assert swallowing(f"def f():\n{lines}") == ["f"]


def test_twin_a_loop_without_an_end_is_seen() -> None:
    assert endless("def f():\n    while True:\n        a()") == ["f"]
