"""Timing by medians, and the sections that the report is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns
from typing import Protocol, TypeVar

OURS = "tocsin"

Result = TypeVar("Result")


def microseconds(call: Callable[[], object], times: int) -> float:
    """The median time of one call, after a tenth as many calls to warm up."""
    for _ in range(times // 10 + 1):
        call()
    return median(timed(call)[1] for _ in range(times))


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """The result of one call, and how many microseconds it took."""
    before = perf_counter_ns()
    result = call()
    return result, (perf_counter_ns() - before) / 1000


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that `percent` of them don't exceed."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0).__int__()]


@dataclass(frozen=True)
class Verdict:
    """Whether one aim is met, on this machine, now."""

    what: str
    aim: str
    met: bool

    def __str__(self) -> str:
        return f"{self.aim} {'met' if self.met else 'MISSED'}"


class Section(Protocol):
    """A part of the report: prints itself, and knows which aims it meets."""

    def __str__(self) -> str: ...

    def verdicts(self) -> Iterator[Verdict]: ...


@dataclass(frozen=True)
class Aim:
    """What we want of a ratio to somebody else's figure: to be `times` as fast, or slower by that at most."""

    other: str
    times: float
    faster: bool = True

    def met(self, ours: float, theirs: float) -> bool:
        return theirs / ours >= self.times if self.faster else ours / theirs <= self.times

    def __str__(self) -> str:
        return f"{self.other} ×{self.times:g}" if self.faster else f"≤ {self.times:g} × {self.other}"


@dataclass
class Table:
    """Rows of figures in microseconds, a column for each party; ours is first, the others relate to it."""

    title: str
    parties: Sequence[str]
    aims: Sequence[Aim] = ()
    notes: list[str] = field(default_factory=list)
    rows: list[tuple[str, Mapping[str, float | None]]] = field(default_factory=list)

    def add(self, name: str, figures: Mapping[str, float | None]) -> None:
        self.rows.append((name, figures))

    def verdicts(self) -> Iterator[Verdict]:
        for name, figures in self.rows:
            yield from self._verdicts(name, figures)

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows) + 2
        lines = heading(self.title)
        lines.append(" " * width + "".join(f"{party:>22}" for party in (OURS, *self.parties)) + "   aims")
        for name, figures in self.rows:
            verdicts = ", ".join(map(str, self._verdicts(name, figures)))
            lines.append(f"{name:<{width}}" + self._figures(figures) + "   " + verdicts)
        return "\n".join(lines + noted(self.notes)) + "\n"

    def _figures(self, figures: Mapping[str, float | None]) -> str:
        ours = figures[OURS]
        assert ours is not None
        cells = [f"{ours:.1f} µs"]
        for party in self.parties:
            theirs = figures.get(party)
            cells.append("–" if theirs is None else f"{theirs:.1f} µs ({theirs / ours:.2f}×)")
        return "".join(f"{cell:>22}" for cell in cells)

    def _verdicts(self, name: str, figures: Mapping[str, float | None]) -> Iterator[Verdict]:
        ours = figures[OURS]
        for aim in self.aims:
            theirs = figures.get(aim.other)
            if ours is not None and theirs is not None:
                yield Verdict(f"{self.title}: {name}", str(aim), aim.met(ours, theirs))


@dataclass
class Sheet:
    """Rows of a name, some cells of text, and perhaps an aim."""

    title: str
    columns: Sequence[str]
    notes: list[str] = field(default_factory=list)
    rows: list[tuple[str, Sequence[str], Verdict | None]] = field(default_factory=list)

    def add(self, name: str, *cells: str, aim: str = "", met: bool | None = None) -> None:
        """`met`: None where nothing was compared."""
        verdict = None if met is None else Verdict(f"{self.title}: {name}", aim, met)
        self.rows.append((name, cells, verdict))

    def verdicts(self) -> Iterator[Verdict]:
        return (verdict for _, _, verdict in self.rows if verdict is not None)

    def __str__(self) -> str:
        width = max(len(name) for name, _, _ in self.rows) + 2
        widths = [
            max(len(cell) for cell in (column, *(cells[place] for _, cells, _ in self.rows))) + 3
            for place, column in enumerate(self.columns)
        ]
        lines = heading(self.title)
        lines.append(" " * width + _row(self.columns, widths) + ("   aim" if any(self.verdicts()) else ""))
        for name, cells, verdict in self.rows:
            lines.append(f"{name:<{width}}" + _row(cells, widths) + (f"   {verdict}" if verdict else ""))
        return "\n".join(lines + noted(self.notes)) + "\n"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def heading(title: str) -> list[str]:
    return [title, "=" * len(title)]


def noted(notes: Sequence[str]) -> list[str]:
    return [f"* {note}" for note in notes]
