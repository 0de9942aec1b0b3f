"""The output of commands: text for people, or one JSON document per line for programs (`--json`).

Everything that the console writes passes through here. People read times in this machine's zone, or in UTC if
they ask for it, and always with the zone; programs read ISO 8601, in UTC.

Ticket ids, names and groups come from other people. Characters that would control the terminal (escape
sequences, line breaks, marks of writing direction) are printed as escapes, such as \\x1b, so that nobody can
hide a line, forge one, or command the terminal.
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
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, TextIO

from tocsin.timestamps import iso
from tocsin_console import layout
from tocsin_console.progress import Live, Progress

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
    """A line about what went wrong, apart from what a command says; in a narrow terminal several."""
    line = plain(text)
    lines = layout.broken(line, shutil.get_terminal_size().columns) if sys.stderr.isatty() else [line]
    print("\n".join(lines), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Output:
    """Where a command writes: with `as_json` only what it `record`s, without it only what it `say`s.

    `stream`: standard output, `answers`: standard input, if not given.
    """

    as_json: bool = False
    stream: TextIO | None = None
    answers: TextIO | None = None
    _live: Live = field(default_factory=Live, repr=False, compare=False)

    @property
    def _out(self) -> TextIO:
        return self.stream or sys.stdout

    @property
    def in_terminal(self) -> bool:
        """Whether a person looks at it, so that colours and moving the cursor make sense."""
        return not self.as_json and self._out.isatty()

    @property
    def has_colours(self) -> bool:
        """Whether colours make sense, and nobody asked for none (https://no-color.org)."""
        return self.in_terminal and not os.environ.get("NO_COLOR")

    @property
    def can_ask(self) -> bool:
        """Whether a person looks at it and can answer."""
        return self.in_terminal and (self.answers or sys.stdin).isatty()

    def ask(self, question: str) -> str:
        """What the operator types behind the question; empty if they end the input."""
        self._live.hide()
        print(plain(question), end="", file=self._out, flush=True)
        return (self.answers or sys.stdin).readline()

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        found = shutil.get_terminal_size()
        return found.columns, found.lines

    def rewind(self, rows: int) -> None:
        """In a terminal, take back the last `rows` rows, as far as they are still on the screen."""
        self._live.hide()
        rows = min(rows, self.size()[1] - 1)
        print(f"\x1b[{rows}A\x1b[J", end="", file=self._out, flush=True)

    def say(self, text: str = "") -> int:
        """One line, whatever `text` holds; in a terminal that is narrower, as many as it takes, which is
        returned."""
        line = plain(text)
        lines = layout.broken(line, self.size()[0]) if self.in_terminal else [line]
        for one in lines:
            self.draw(one)
        return len(lines)

    def say_whole(self, text: str) -> None:
        """One line that somebody copies: it is broken nowhere, however narrow the terminal is."""
        self.draw(plain(text))

    def draw(self, line: str) -> None:
        """One line that holds nothing of other people's, with the console's own colours."""
        if not self.as_json:
            self._live.hide()
            print(line, file=self._out, flush=True)

    def record(self, value: Mapping[str, Any]) -> None:
        """One JSON document on one line. Whoever parses it gets back what was recorded."""
        if self.as_json:
            text = json.dumps(value, ensure_ascii=False, default=str)
            print(_STEERING.sub(_json_escape, text), file=self._out, flush=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """One row a line, in columns, nothing cut. In a terminal that is too narrow for that, a row is a
        block, with a line for each of its cells."""
        cells = [[plain(str(cell)) for cell in row] for row in rows]
        for line in layout.lines(heads, cells, self.size()[0] if self.in_terminal else None):
            self.draw(line)

    def progress(self, what: str, total: int | None = None) -> Progress:
        """A line that tells how far `what` is, while a `with` lasts: in a terminal alone. `total`: of how
        many, where that is known."""
        can_draw = self.in_terminal and os.environ.get("TERM") != "dumb"
        return Progress(plain(what), total, self._live, self._out if can_draw else None, self.size()[0])


_zone: tzinfo | None = None


def show_times_in(zone: tzinfo | None) -> None:
    """Have all times for people be of this zone from now on; None: of this machine's."""
    global _zone
    _zone = zone


def local(milliseconds: float) -> datetime:
    """A moment in the zone that times are shown in. Raises OverflowError, ValueError, OSError, TypeError for
    what can't be one."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(_zone)


def moment(milliseconds: float | None, *, timespec: str = "seconds") -> str:
    """A time for people with the offset of its zone, as in `2026-11-30 16:20:05 +07`, or `UTC`; "-" where
    there is none, "?" for what can't be one. `timespec`: as of `datetime.isoformat`."""
    if not milliseconds:
        return "-"
    try:
        at = local(milliseconds)
        return f"{at.replace(tzinfo=None).isoformat(' ', timespec)} {zone_of(at)}"
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"


def time_of_day(milliseconds: float) -> str:
    """Of a moment that is near: `16:20 +07`; "?" for what can't be one."""
    try:
        at = local(milliseconds)
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"
    return f"{at:%H:%M} {zone_of(at)}"


def zone_of(at: datetime) -> str:
    """The offset of an aware moment, in hours if they are whole: `+07`, `+05:30`, `UTC`."""
    offset = at.utcoffset()
    if not offset:
        return "UTC"
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{f':{rest:02d}' if rest else ''}"


def iso_moment(text: str) -> str:
    """An ISO time as `moment` writes it; what isn't one stays as it is."""
    try:
        at = datetime.fromisoformat(text)
        return moment(at.timestamp() * 1000) if at.tzinfo else text
    except (ValueError, OverflowError):
        return text


def json_moment(milliseconds: object) -> str | None:
    """A time for programs: ISO 8601, in UTC; None where there is none, or for what can't be one."""
    if not isinstance(milliseconds, int | float) or not milliseconds:
        return None
    try:
        return iso(milliseconds)
    except (ValueError, OverflowError, OSError):
        return None


def json_iso_moment(text: str) -> str | None:
    """An ISO time that somebody else may have written, for programs; None for what isn't one."""
    try:
        at = datetime.fromisoformat(text)
        return json_moment(at.timestamp() * 1000) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def with_json_moments(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The same values for programs; those of these names are moments, in ms."""
    return {name: json_moment(value) if name in names else value for name, value in values.items()}


def counted(count: int, many: str) -> str:
    """How many, with the word for it: `counted(1, "replies")` is "1 reply". `many`: the plural."""
    return f"{count} {_one(many) if count == 1 else many}"


def _one(many: str) -> str:
    if many.endswith("ies"):
        return f"{many[:-3]}y"
    return many.removesuffix("es") if many.endswith("sses") else many.removesuffix("s")


def how_long(seconds: float) -> str:
    """A span of time for people, in its largest unit."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
