"""How commands speak: text for people, or one JSON document a line for programs (`--json`)."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO


@dataclass(frozen=True)
class Output:
    """Where a command writes: with `as_json` only what it `record`s, without it only what it `say`s."""

    as_json: bool = False
    stream: TextIO | None = None

    @property
    def _out(self) -> TextIO:
        return self.stream or sys.stdout

    @property
    def in_terminal(self) -> bool:
        """Whether a person looks at it, so that colours and moving the cursor make sense."""
        return not self.as_json and self._out.isatty()

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        found = shutil.get_terminal_size()
        return found.columns, found.lines

    def rewind(self, rows: int) -> None:
        """In a terminal, take back the last `rows` rows, as far as they are still on the screen."""
        rows = min(rows, self.size()[1] - 1)
        print(f"\x1b[{rows}A\x1b[J", end="", file=self._out, flush=True)

    def say(self, text: str = "") -> None:
        if not self.as_json:
            print(text, file=self._out, flush=True)

    def record(self, value: Mapping[str, Any]) -> None:
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False, default=str), file=self._out, flush=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest cell; nothing is cut."""
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(line[column]) for line in [list(heads), *cells]) for column in range(len(heads))]
        for line in [list(heads), *cells]:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def moment(milliseconds: float | None) -> str:
    """A time for people, in UTC; "-" where there is none."""
    if not milliseconds:
        return "-"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso_moment(text: str) -> str:
    """An ISO time as `moment` writes it; what isn't one stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment(at.timestamp() * 1000) if at.tzinfo else text


def how_long(seconds: float) -> str:
    """A span of time for people, in its largest unit."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
