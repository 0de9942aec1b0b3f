"""The output of commands: text for people, or one JSON document per line for programs (`--json`).

Everything that the console writes passes through here. Ticket ids, names and groups come from other people.
Characters that would control the terminal (escape sequences, line breaks, marks of writing direction) are
printed as escapes, such as \\x1b, so that nobody can hide a line, forge one, or command the terminal.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

# Control characters (C0, DEL, C1), line and paragraph separators, marks that turn the direction of writing,
# the byte order mark, halves of surrogate pairs (which are no text and can't be encoded).
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: str) -> str:
    """`text` on one line, with what would steer a terminal as its escape."""
    return _STEERING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _json_escape(found: re.Match[str]) -> str:
    """The same character once it is parsed; half a surrogate pair is none, and not every parser takes it."""
    character = found.group()
    return "\\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


def plain_logs() -> None:
    """Have the warnings of the libraries below written in the same way."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def replace_unencodable() -> None:
    """Have a terminal that can't show a character show "?" instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def end_after_closed_pipe() -> int:
    """Keep Python silent about a reader that closed our output early (`| head`). Returns the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def complain(text: str) -> None:
    """A line for people about what went wrong, apart from what a command says."""
    print(plain(text), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Output:
    """Where a command writes: with `as_json` only what it `record`s, without it only what it `say`s.

    `stream`: standard output, `answers`: standard input, if not given.
    """

    as_json: bool = False
    stream: TextIO | None = None
    answers: TextIO | None = None

    @property
    def _out(self) -> TextIO:
        return self.stream or sys.stdout

    @property
    def in_terminal(self) -> bool:
        """Whether a person looks at it, so that colours and moving the cursor make sense."""
        return not self.as_json and self._out.isatty()

    @property
    def can_ask(self) -> bool:
        """Whether a person looks at it and can answer."""
        return self.in_terminal and (self.answers or sys.stdin).isatty()

    def ask(self, question: str) -> str:
        """What the operator types behind the question; empty if they end the input."""
        print(plain(question), end="", file=self._out, flush=True)
        return (self.answers or sys.stdin).readline()

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        found = shutil.get_terminal_size()
        return found.columns, found.lines

    def rewind(self, rows: int) -> None:
        """In a terminal, take back the last `rows` rows, as far as they are still on the screen."""
        rows = min(rows, self.size()[1] - 1)
        print(f"\x1b[{rows}A\x1b[J", end="", file=self._out, flush=True)

    def say(self, text: str = "") -> None:
        """One line, whatever `text` holds."""
        self.draw(plain(text))

    def draw(self, line: str) -> None:
        """One line that holds nothing of other people's, with the console's own colours."""
        if not self.as_json:
            print(line, file=self._out, flush=True)

    def record(self, value: Mapping[str, Any]) -> None:
        """One JSON document on one line. Whoever parses it gets back what was recorded."""
        if self.as_json:
            text = json.dumps(value, ensure_ascii=False, default=str)
            print(_STEERING.sub(_json_escape, text), file=self._out, flush=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest cell; nothing is cut."""
        cells = [[plain(str(cell)) for cell in row] for row in rows]
        widths = [max(len(line[column]) for line in [list(heads), *cells]) for column in range(len(heads))]
        for line in [list(heads), *cells]:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def moment(milliseconds: float | None) -> str:
    """A time for people, in UTC; "-" where there is none, "?" for what can't be one."""
    if not milliseconds:
        return "-"
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"


def iso_moment(text: str) -> str:
    """An ISO time as `moment` writes it; what isn't one stays as it is."""
    try:
        at = datetime.fromisoformat(text)
        return moment(at.timestamp() * 1000) if at.tzinfo else text
    except (ValueError, OverflowError):
        return text


def how_long(seconds: float) -> str:
    """A span of time for people, in its largest unit."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
