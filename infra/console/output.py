"""How commands speak: text for people, or one JSON document a line for programs (`--json`)."""

from __future__ import annotations

import json
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

    def say(self, text: str = "") -> None:
        if not self.as_json:
            print(text, file=self.stream or sys.stdout, flush=True)

    def record(self, value: Mapping[str, Any]) -> None:
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False), file=self.stream or sys.stdout, flush=True)

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
