"""Timing by medians, and the table that all comparisons print."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns
from typing import TypeVar

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

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows) + 2
        lines = [self.title, "=" * len(self.title)]
        lines.append(" " * width + "".join(f"{party:>22}" for party in (OURS, *self.parties)) + "   aims")
        for name, figures in self.rows:
            lines.append(f"{name:<{width}}" + self._figures(figures) + "   " + self._verdicts(figures))
        lines += [f"* {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def _figures(self, figures: Mapping[str, float | None]) -> str:
        ours = figures[OURS]
        assert ours is not None
        cells = [f"{ours:.1f} µs"]
        for party in self.parties:
            theirs = figures.get(party)
            cells.append("–" if theirs is None else f"{theirs:.1f} µs ({theirs / ours:.2f}×)")
        return "".join(f"{cell:>22}" for cell in cells)

    def _verdicts(self, figures: Mapping[str, float | None]) -> str:
        ours, verdicts = figures[OURS], []
        for aim in self.aims:
            theirs = figures.get(aim.other)
            if ours is not None and theirs is not None:
                verdicts.append(f"{aim} {'met' if aim.met(ours, theirs) else 'MISSED'}")
        return ", ".join(verdicts)
