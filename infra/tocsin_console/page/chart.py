"""Bars as SVG: where each rectangle stands. Colours are classes of the style sheet. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 720
HEIGHT = 200
_LEFT = 40
_BOTTOM = 24
_TOP = 14
_GAP = 0.22
_MAX_LABELS = 8


@dataclass(frozen=True)
class Bar:
    """One place on the axis. `values`: one for each series, from below."""

    label: str
    title: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Column:
    """All of a bar: its rectangles, and the whole height for the pointer. `title`: what it says."""

    x: float
    width: float
    title: str
    rects: tuple[Rect, ...]


@dataclass(frozen=True)
class Chart:
    """`lines`: of the grid, with their value. `labels`: under the axis."""

    columns: tuple[Column, ...]
    lines: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    baseline: float
    left: float = _LEFT
    width: int = WIDTH
    height: int = HEIGHT


def bars(found: Sequence[Bar], kinds: Sequence[str]) -> Chart:
    """Stacked bars. `kinds`: the class of each series."""
    top = nice(max((sum(bar.values) for bar in found), default=0))
    room, base = HEIGHT - _BOTTOM - _TOP, HEIGHT - _BOTTOM
    step = (WIDTH - _LEFT) / max(len(found), 1)
    columns = []
    for place, bar in enumerate(found):
        x, y = _LEFT + place * step, float(base)
        rects = []
        for kind, value in zip(kinds, bar.values, strict=True):
            height = value / top * room
            y -= height
            if value:
                width = max(step * (1 - _GAP), 1)
                rects.append(
                    Rect(round(x + step * _GAP / 2, 1), round(y, 1), round(width, 1), round(height, 1), kind)
                )
        columns.append(Column(round(x, 1), round(step, 1), bar.title, tuple(rects)))
    lines = tuple(Tick(round(base - share * room, 1), _short(round(top * share))) for share in (0.5, 1.0))
    each = -(-len(found) // _MAX_LABELS) or 1
    labels = tuple(
        Tick(round(_LEFT + (place + 0.5) * step, 1), bar.label)
        for place, bar in enumerate(found)
        if place % each == 0
    )
    return Chart(tuple(columns), lines, labels, float(base))


def nice(value: int) -> int:
    """The next round number that isn't smaller: its half stands on the axis, too, and so is whole."""
    size = 1
    while True:
        for step in (2, 4, 6, 8, 10) if size == 1 else (2, 3, 4, 5, 6, 8, 10):
            if step * size >= value:
                return step * size
        size *= 10


def _short(value: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return str(value)
