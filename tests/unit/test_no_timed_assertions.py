"""No test asserts how much time passed: a loaded machine would break it, whatever the code does.

What such an assertion means is counted instead (`tests.support.steps`), or awaited with a bound that only a
test which hangs reaches. Where the code has a clock of its own, a test puts that forward
(`tests.support.skipping_loop`). `tests/bench` measures, and asserts nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted(
    path for path in (ROOT / "tests").glob("**/*.py") if path.parts[len(ROOT.parts) + 1] != "bench"
)

STOPWATCHES = frozenset(
    name + unit
    for name in ("monotonic", "perf_counter", "process_time", "thread_time")
    for unit in ("", "_ns")
)
"""Clocks that serve nothing but the measuring of time."""
CALENDARS = frozenset({"time", "time_ns", "now", "utcnow"})
"""Clocks that also say what is stored: only their differences are times that passed."""
_SPELT = ("time()", "time_ns(", "datetime.now(", "utcnow(")
WORDS = (*(name.removesuffix("_ns") for name in STOPWATCHES), *_SPELT)

AWAITING = frozenset({"timeout", "wait_for", "eventually", "settimeout", "wait_until_said", "wait_for_state"})
LONG_ENOUGH = 60
"""Seconds after which it is certain that a test hangs, however loaded the machine."""


class Times:
    """The names of a function that hold moments or times that passed."""

    def __init__(self, function: ast.AST, measuring: frozenset[str] = frozenset()) -> None:
        self._measuring = measuring
        self._passed: set[str] = set()
        self._moments: dict[str, frozenset[str]] = {}
        known = -1
        while known != (known := len(self._passed) + len(self._moments)):
            for node in ast.walk(function):
                self._learn(node)

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            return
        pairs = [(target, value) for target in targets]
        for target, value in pairs:
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs += zip(target.elts, value.elts, strict=False)
            elif isinstance(target, ast.Name):
                if self.is_passed(value):
                    self._passed.add(target.id)
                elif clocks := self._clocks(value):
                    self._moments[target.id] = clocks

    def is_passed(self, value: ast.AST) -> bool:
        """Whether it is a time that passed: what lies between two moments."""
        return any(
            (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and bool(self._clocks(node.right)))
            or (isinstance(node, ast.Name) and node.id in self._passed)
            or (isinstance(node, ast.Call) and _called(node) in self._measuring)
            for node in ast.walk(value)
        )

    def is_timed(self, node: ast.Assert) -> bool:
        for compared in (one for one in ast.walk(node.test) if isinstance(one, ast.Compare)):
            sides = [compared.left, *compared.comparators]
            clocks = [self._clocks(side) for side in sides]
            if any(self.is_passed(side) for side in sides) or any("stopwatch" in one for one in clocks):
                return True
            ordered = not any(isinstance(one, ast.Eq | ast.NotEq | ast.In) for one in compared.ops)
            if ordered and any(one and other for one, other in pairwise(clocks)):
                return True
        return False

    def _clocks(self, value: ast.AST) -> frozenset[str]:
        found: set[str] = set()
        for node in ast.walk(value):
            if isinstance(node, ast.Call):
                found |= {_clock(node)} - {""}
            elif isinstance(node, ast.Name):
                found |= self._moments.get(node.id, frozenset())
        return frozenset(found)


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "")


def _clock(node: ast.Call) -> str:
    """Of which kind of clock it is a reading; empty: of none."""
    name, owner = _called(node), getattr(node.func, "value", None)
    whose = getattr(owner, "id", getattr(owner, "attr", ""))
    if name in STOPWATCHES or (name == "time" and owner is not None and whose != "time"):
        return "stopwatch"  # also `loop.time()`
    return "calendar" if name in CALENDARS and whose in ("time", "datetime", "") else ""


def timed(source: str) -> Iterator[int]:
    """The lines with an assertion on time that passed."""
    if not any(word in source for word in WORDS):
        return
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    measuring = frozenset(
        function.name
        for function in functions
        if any(
            Times(function).is_passed(node.value)
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        )
    )
    lines: set[int] = set()
    for function in functions:
        asserted = [node for node in ast.walk(function) if isinstance(node, ast.Assert)]
        if asserted:
            times = Times(function, measuring)
            lines |= {node.lineno for node in asserted if times.is_timed(node)}
    yield from sorted(lines)


def impatient(source: str) -> Iterator[int]:
    """The lines that await something for less than `LONG_ENOUGH` and fail without it."""
    if not any(f"{name}(" in source for name in AWAITING):
        return
    tree = ast.parse(source)
    expected = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith) and "TimeoutError" in ast.unparse(node.items[0])
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in AWAITING and node not in expected:
            bounds = [*node.args, *(one.value for one in node.keywords if one.arg in ("timeout", "seconds"))]
            if bounds and isinstance(bounds[-1], ast.Constant) and _is_short(bounds[-1].value):
                yield node.lineno


def _is_short(bound: object) -> bool:
    return isinstance(bound, int | float) and not isinstance(bound, bool) and bound < LONG_ENOUGH


def test_whoever_awaits_something_is_patient() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in TESTS
        for line in impatient(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("body", "noticed"),
    [
        ("async with asyncio.timeout(5): await arrived.wait()", True),
        ("await asyncio.wait_for(arrived.wait(), 2)", True),
        ("await asyncio.wait_for(arrived.wait(), timeout=2)", True),
        ("eventually(there, 'not there', 10)", True),
        ("line.settimeout(2)", True),
        ("async with asyncio.timeout(60): await arrived.wait()", False),
        ("with pytest.raises(TimeoutError): await asyncio.wait_for(arrived.wait(), 0.1)", False),
    ],
)
def test_an_impatient_one_is_noticed(body: str, noticed: bool) -> None:
    assert bool(list(impatient(f"async def test():\n {body}\n"))) is noticed


def test_no_assertion_is_on_time_that_passed() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in TESTS
        for line in timed(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "body",
    [
        "began = time.monotonic(); work(); assert time.monotonic() - began < 5",
        "began = perf_counter(); work(); took = perf_counter() - began; assert took < 5",
        "began, other = time.process_time(), 1; work(); assert other and time.process_time() < began + 1",
        "end = time.monotonic() + 5\n assert time.monotonic() < end, 'late'",
        "assert abs(record.until - time.time() - 60) < 5",
        "began = time.time(); work(); assert time.time() < began + 5",
        "began = loop.time(); work(); assert 1 <= loop.time() - began",
        "began = datetime.now(UTC); assert (taken() - began).total_seconds() < 2",
        "def kill():\n  nonlocal took\n  took = time.monotonic() - began()\n  took = perf_counter() - took\n"
        " assert took < 20",
        "def measured():\n  began = monotonic()\n  return monotonic() - began\n assert measured() < 2",
    ],
)
def test_one_is_noticed(body: str) -> None:
    assert list(timed(f"def test():\n {body}\n")) != []


@pytest.mark.parametrize(
    "body",
    [
        "now = int(time.time()); store(now); assert stored() == now + 60",
        "now = int(time.time()); assert read(now - 5) == now - 5",
        "before = time.time(); keep(); assert before + 60 <= kept() <= time.time() + 60",
        "while time.monotonic() < end: work()\n assert work() == 1",
        "began = time.monotonic(); work(); print(time.monotonic() - began); assert work()",
    ],
)
def test_what_compares_no_times_is_none(body: str) -> None:
    assert list(timed(f"def test():\n {body}\n")) == []
