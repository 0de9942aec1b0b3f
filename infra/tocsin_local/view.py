"""The output of the demo: a live table in a terminal, otherwise plain lines. Both fit 80 columns."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tocsin_console import qr
from tocsin_local.speech import say

STAGES = ("event", "planned", "sent", "delivered", "read")

WORTH_TELLING_SECONDS = 1.0
"""Steps that took less don't say how long."""

_LABEL_WIDTH = 31
_WIDEST_PHONE = 76
_SIDE_BY_SIDE = 2 * (_WIDEST_PHONE + 2)


@dataclass
class Row:
    """One notification on the screen. `at`: stage → seconds since its event; `notes`: what else happened;
    `end`: `read` or `dead`, once reached."""

    label: str
    at: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    end: str = ""


@dataclass(frozen=True)
class Shown:
    """A message as the phone of `owner` shows it."""

    owner: str
    text: str


class View(Protocol):
    """What the demo shows, in this order."""

    def chapter(self, title: str) -> None:
        """A new part of the demo begins."""

    def step(self, text: str) -> None:
        """Something begins that takes a while. It ends with the next step or chapter, or with `done`."""

    def done(self) -> None:
        """The last step is complete."""

    def say(self, text: str) -> None:
        """One line about what is happening now."""

    def code(self, text: str) -> None:
        """A QR code, as the operator's terminal shows it."""

    def stage(self, row: Row, stage: str, seconds: float) -> None:
        """A notification reached its next stage, `seconds` after its event."""

    def note(self, row: Row, text: str) -> None:
        """Something else happened to a notification: a retry, a recovery, a dead letter."""

    def phones(self, messages: Sequence[Shown]) -> None:
        """What the phones show."""

    def summary(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """At the end: notification, ticket event, what became of it."""


class PlainView:
    """Lines, in the order things happen: for logs and pipes."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or say
        self._step: _Step | None = None

    def chapter(self, title: str) -> None:
        self.done()
        self._write(f"\n== {title}")

    def step(self, text: str) -> None:
        self.done()
        self._step = _Step(text)
        self._write(f"   {text} …")

    def done(self) -> None:
        if self._step is not None and self._step.took > WORTH_TELLING_SECONDS:
            self._write(f"   {self._step.text}: done in {self._step.took:.1f} s")
        self._step = None

    def say(self, text: str) -> None:
        self._write(f"   {text}")

    def code(self, text: str) -> None:
        self._write(f"   QR code: {text[:60]}…")

    def stage(self, row: Row, stage: str, seconds: float) -> None:
        row.at[stage] = seconds
        self._write(f"   {row.label:<{_LABEL_WIDTH}} {stage:<9} {seconds:6.2f} s")

    def note(self, row: Row, text: str) -> None:
        row.notes.append(text)
        self._write(f"   {row.label:<{_LABEL_WIDTH}} ! {text}")

    def phones(self, messages: Sequence[Shown]) -> None:
        for message in messages:
            self._write(f"   on the phone of {message.owner}:")
            for line in message.text.splitlines():
                self._write(f"     | {line}".rstrip())

    def summary(self, rows: Sequence[tuple[str, str, str]]) -> None:
        wide = max(len(event) for _, event, _ in rows)
        for label, event, end in rows:
            self._write(f"   {label:<{_LABEL_WIDTH}} {event:<{wide}}  {end}")


class LiveView:
    """A table that fills as things happen, one a chapter; it stays on the screen when the next begins."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._rows: list[Row] = []
        self._step: _Step | None = None

    def chapter(self, title: str) -> None:
        self.settle()
        self._console.print()
        self._console.print(Rule(Text(title, "bold"), align="left", characters="─", style="dim"))

    def step(self, text: str) -> None:
        self.done()
        self._step = _Step(text)
        self._refresh()

    def done(self) -> None:
        if self._step is not None:
            took = f"  {self._step.took:.1f} s" if self._step.took > WORTH_TELLING_SECONDS else ""
            self._console.print(Text.assemble("  ", ("✓", "green"), f" {self._step.text}", (took, "dim")))
        self._step = None
        self._refresh()

    def say(self, text: str) -> None:
        self._console.print(Text(f"  {text}", "dim"))

    def code(self, text: str) -> None:
        for line in qr.lines(text):
            self._console.print(Text.assemble("  ", Text.from_ansi(line)), no_wrap=True, crop=False)

    def stage(self, row: Row, stage: str, seconds: float) -> None:
        row.at[stage] = seconds
        self._show(row)

    def note(self, row: Row, text: str) -> None:
        row.notes.append(text)
        self._show(row)

    def phones(self, messages: Sequence[Shown]) -> None:
        self.settle()
        width = min(_WIDEST_PHONE, self._console.width - 4)
        boxes = [
            Panel(
                whatsapp_text(message.text),
                title=f"{message.owner}'s phone",
                title_align="left",
                border_style="green",
                width=width,
            )
            for message in messages
        ]
        if self._console.width >= _SIDE_BY_SIDE:
            self._console.print(Columns(boxes, padding=(0, 1)))
            return
        for box in boxes:
            self._console.print(_indented(box))

    def summary(self, rows: Sequence[tuple[str, str, str]]) -> None:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
        for head in ("notification", "ticket event", "what became of it"):
            table.add_column(head, no_wrap=head != "what became of it")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(_indented(table))

    def settle(self) -> None:
        """Leave what is shown on the screen as it is; what comes next begins below."""
        self.done()
        if self._rows:
            self._console.print(_table(self._rows))
        self._rows = []
        self._refresh()

    def _show(self, row: Row) -> None:
        if not any(known is row for known in self._rows):
            self._rows.append(row)
        self._refresh()

    def _refresh(self) -> None:
        parts: list[RenderableType] = [_table(self._rows)] if self._rows else []
        if self._step is not None:
            parts.append(_indented(Spinner("dots", Text(self._step.text), style="cyan")))
        self._live.update(Group(*parts))


@contextmanager
def open_view() -> Iterator[View]:
    """The view for the output: `LiveView` for a terminal, else `PlainView`."""
    if not sys.stdout.isatty():
        yield PlainView()
        return
    console = Console(highlight=False)
    with Live(console=console, refresh_per_second=12, transient=True) as live:
        view = LiveView(console, live)
        try:
            yield view
        finally:
            view.settle()


def whatsapp_text(text: str) -> Text:
    """A message with WhatsApp's formatting carried out, as a phone does: *bold*, _italic_, lists."""
    shown = Text()
    for line in text.splitlines():
        line = "• " + line[2:] if line.startswith("- ") else line
        at = 0
        for found in _FORMATTED.finditer(line):
            shown.append(line[at : found.start()])
            shown.append(found[2], "bold" if found[1] == "*" else "italic")
            at = found.end()
        shown.append(line[at:] + "\n")
    shown.rstrip()
    return shown


_FORMATTED = re.compile(r"(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\1(?!\w)")


@dataclass
class _Step:
    text: str
    began: float = field(default_factory=time.monotonic)

    @property
    def took(self) -> float:
        return time.monotonic() - self.began


def _table(rows: Sequence[Row]) -> Group:
    """The rows with their times, each followed by its notes. 75 columns wide."""
    head = f"  {'seconds after the event':<{_LABEL_WIDTH + 2}}"
    head += "".join(f"{stage:>{_cell(stage)}}" for stage in STAGES)
    lines = [Text(head, "dim")]
    for row in rows:
        mark, style = {"read": ("✓", "green"), "dead": ("✗", "red")}.get(row.end, (" ", ""))
        line = Text.assemble("  ", (mark, style), f" {row.label:<{_LABEL_WIDTH}}")
        for stage in STAGES:
            known = f"{row.at[stage]:.2f}" if stage in row.at else "·"
            line.append(f"{known:>{_cell(stage)}}", "" if stage in row.at else "dim")
        lines.append(line)
        lines += [Text(f"      {note}", "yellow") for note in row.notes]
    return Group(*lines)


def _cell(stage: str) -> int:
    return max(len(stage), 6) + 2


def _indented(what: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 0, 0, 2))
    grid.add_row(what)
    return grid
