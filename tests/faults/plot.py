"""The storm as a picture, in plain SVG: deliveries and recoveries over time, the backlog, the kills."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from tests.faults.witness import Witness

WIDTH, LEFT, RIGHT = 1000, 64, 24
PANEL, GAP, TOP, BOTTOM = 150, 54, 84, 56
BARS = 120
COLOURS = {"shown": "#4477aa", "healed": "#228833", "asked": "#cc6677", "backlog": "#997700"}
KILLS = {"connector": "#aa3377", "other": "#555555"}


def svg(seen: Witness, kills: Sequence[tuple[float, str]], title: str) -> str:
    """Three panels under one time axis, each with its own scale from zero."""
    began = min((at for at, _ in seen.put), default=0.0)
    ended = max([seen.last_shown, *(at for at, _ in kills), began + 1])
    axis = _Axis(began, ended)
    panels = [
        ("copies shown a second", "shown", _rates(seen.shown.values(), axis), True),
        (
            "copies healed (green) and asked for again (red) a second",
            "healed",
            _rates(seen.healed.values(), axis),
            True,
        ),
        ("notifications on their way", "backlog", _backlog(seen, axis), False),
    ]
    height = TOP + len(panels) * (PANEL + GAP) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" font-size="15">Deliveries and recoveries in a storm</text>',
        f'<text x="{LEFT}" y="46" fill="#555">{escape(title)}</text>',
    ]
    for place, (name, kind, values, bars) in enumerate(panels):
        y = TOP + place * (PANEL + GAP) + PANEL
        asked = _rates(seen.asked.values(), axis) if kind == "healed" else []
        top = _round_up(max([*values, *asked, 0.0]))
        parts += _frame(name, y, top)
        parts += _kills(kills, axis, y)
        parts += _bars(values, y, top, COLOURS[kind]) if bars else [_line(values, y, top, COLOURS[kind])]
        if asked:
            parts.append(_line(asked, y, top, COLOURS["asked"]))
    parts += _times(axis, TOP + (len(panels) - 1) * (PANEL + GAP) + PANEL)
    parts += _legend(height - 14)
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """Time, from the first event to the end, in `BARS` equal steps."""

    def __init__(self, began: float, ended: float) -> None:
        self.began, self.seconds = began, ended - began
        self.step = self.seconds / BARS

    def bar(self, at: float) -> int:
        return min(max(int((at - self.began) / self.step), 0), BARS - 1)

    def x(self, at: float) -> float:
        share = min(max((at - self.began) / self.seconds, 0.0), 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def _rates(moments: Iterable[float], axis: _Axis) -> list[float]:
    counts = [0] * BARS
    for at in moments:
        counts[axis.bar(at)] += 1
    return [count / axis.step for count in counts]


def _backlog(seen: Witness, axis: _Axis) -> list[float]:
    """How many notifications had been put and were on no device yet, at the end of each step."""
    first: dict[str, float] = {}
    for (message, _, _), at in seen.shown.items():
        first[message] = min(at, first.get(message, at))
    change = [0] * BARS
    for at, message in seen.put:
        change[axis.bar(at)] += 1
        if message in first:
            change[axis.bar(first[message])] -= 1
    waiting, line = 0, []
    for step in change:
        waiting += step
        line.append(float(waiting))
    return line


def _frame(name: str, y: float, top: float) -> list[str]:
    parts = [f'<text x="{LEFT}" y="{y - PANEL - 10}">{escape(name)}</text>']
    for share in (0.0, 0.5, 1.0):
        line = y - share * PANEL
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{line}" y2="{line}" stroke="#dddddd"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{line + 4}" text-anchor="end" fill="#555">{top * share:g}</text>'
        )
    return parts


def _bars(values: Sequence[float], y: float, top: float, colour: str) -> list[str]:
    width = (WIDTH - LEFT - RIGHT) / BARS
    return [
        f'<rect x="{LEFT + place * width:.1f}" y="{y - value / top * PANEL:.1f}" width="{width - 1:.1f}"'
        f' height="{value / top * PANEL:.1f}" fill="{colour}"/>'
        for place, value in enumerate(values)
        if value
    ]


def _line(values: Sequence[float], y: float, top: float, colour: str) -> str:
    width = (WIDTH - LEFT - RIGHT) / BARS
    points = " ".join(
        f"{LEFT + (place + 0.5) * width:.1f},{y - value / top * PANEL:.1f}"
        for place, value in enumerate(values)
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _kills(kills: Sequence[tuple[float, str]], axis: _Axis, y: float) -> list[str]:
    return [
        f'<line x1="{axis.x(at):.1f}" x2="{axis.x(at):.1f}" y1="{y - PANEL}" y2="{y}" stroke-dasharray="3 3"'
        f' stroke="{KILLS.get(name, KILLS["other"])}"/>'
        for at, name in kills
    ]


def _times(axis: _Axis, y: float) -> list[str]:
    step = _round_up(axis.seconds / 8)
    marks = [mark * step for mark in range(int(axis.seconds / step) + 1)]
    return [
        f'<text x="{axis.x(axis.began + mark):.1f}" y="{y + 18}" text-anchor="middle" fill="#555">'
        f"{mark:g} s</text>"
        for mark in marks
    ]


def _legend(y: float) -> list[str]:
    parts, x = [], LEFT
    for name, colour in (
        ("a connector is killed", KILLS["connector"]),
        ("a function is killed", KILLS["other"]),
    ):
        parts.append(
            f'<line x1="{x}" x2="{x + 24}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}"'
            ' stroke-dasharray="3 3"/>'
        )
        parts.append(f'<text x="{x + 30}" y="{y}">{name}</text>')
        x += 200
    return parts


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
