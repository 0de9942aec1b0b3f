"""The month as a picture, in plain SVG: sends of each hour by account, and how many wait."""

from __future__ import annotations

from collections import Counter
from html import escape

from tests.month.simulation import ACCOUNTS, DAY, FIRST_STORM, HOUR, LOCK, QUOTA, START, STORM_OF_NIGHT, Month

WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 1200, 60, 20, 150, 46, 70
COLOURS = {"north": "#4477aa", "south": "#228833", "east": "#cc6677"}
MARKS = {
    "storm": (FIRST_STORM, STORM_OF_NIGHT),
    "lock": (LOCK,),
    "quota": (QUOTA,),
}


def svg(month: Month, title: str) -> str:
    """One panel for each account, one for what waits, under one time axis."""
    hours = month.days * 24 + 24
    names = [*ACCOUNTS]
    height = TOP + (len(names) + 1) * (PANEL + GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15">A month of an internet provider</text>',
        f'<text x="{LEFT}" y="44" fill="#555">{escape(title)}</text>',
    ]
    for place, name in enumerate(names):
        counts = Counter(int((gone.at - START) // HOUR) for gone in month.gone if gone.account == name)
        values = [counts[hour] for hour in range(hours)]
        parts += _panel(f"{name}: sent an hour", place, values, hours, COLOURS[name], _marks(name))
    waiting = {int((at - START) // HOUR): number for at, number in month.waiting}
    values = [waiting.get(hour, 0) for hour in range(hours)]
    parts += _panel("waiting, all accounts", len(names), values, hours, "#997700", [])
    return "\n".join([*parts, "</svg>", ""])


def _marks(account: str) -> list[tuple[str, float]]:
    return [
        (kind, (day * DAY + second) / HOUR)
        for kind, happenings in MARKS.items()
        for day, second, whose, _ in happenings
        if whose == account
    ]


def _panel(
    name: str, place: int, values: list[int], hours: int, colour: str, marks: list[tuple[str, float]]
) -> list[str]:
    foot = TOP + place * (PANEL + GAP) + PANEL
    top = max([*values, 1])
    step = (WIDTH - LEFT - RIGHT) / hours
    parts = [
        f'<text x="{LEFT}" y="{foot - PANEL - 6}">{escape(name)}</text>',
        f'<text x="{LEFT - 6}" y="{foot - PANEL + 10}" text-anchor="end">{top}</text>',
        f'<text x="{LEFT - 6}" y="{foot}" text-anchor="end">0</text>',
        f'<line x1="{LEFT}" y1="{foot}" x2="{WIDTH - RIGHT}" y2="{foot}" stroke="#999"/>',
    ]
    parts += [
        f'<rect x="{LEFT + hour * step:.1f}" y="{foot - PANEL * value / top:.1f}" width="{max(step, 1):.1f}"'
        f' height="{PANEL * value / top:.1f}" fill="{colour}"/>'
        for hour, value in enumerate(values)
        if value
    ]
    for kind, hour in marks:
        x = LEFT + hour * step
        parts.append(f'<line x1="{x:.1f}" y1="{foot - PANEL}" x2="{x:.1f}" y2="{foot}" stroke="#aa3377"/>')
        parts.append(f'<text x="{x + 4:.1f}" y="{foot - PANEL + 10}" fill="#aa3377">{kind}</text>')
    for day in range(0, hours // 24, 5):
        x = LEFT + day * 24 * step
        parts.append(f'<text x="{x:.1f}" y="{foot + 16}" fill="#555">day {day}</text>')
    return parts
