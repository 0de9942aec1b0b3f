"""How the demo is shown: a live table in a terminal, plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

STAGES = ("event", "planned", "sent", "delivered", "read")


@dataclass
class Row:
    """One notification on the screen. `at`: stage → seconds since its event; `note`: what else happened."""

    label: str
    at: dict[str, float] = field(default_factory=dict)
    note: str = ""


class View(Protocol):
    """What the demo tells, in its order."""

    def chapter(self, title: str) -> None:
        """A new part of the story begins."""

    def say(self, text: str) -> None:
        """One line about what is happening now."""

    def stage(self, row: Row, stage: str, seconds: float) -> None:
        """A notification came one stage further, `seconds` after its event."""

    def note(self, row: Row, text: str) -> None:
        """Something happened to a notification beside its way: a retry, a recovery, a dead letter."""

    def phone(self, owner: str, text: str) -> None:
        """A message as the phone of `owner` shows it."""


class PlainView:
    """Lines, in the order things happen: for logs and pipes."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or _print_line

    def chapter(self, title: str) -> None:
        self._write(f"\n== {title}")

    def say(self, text: str) -> None:
        self._write(f"   {text}")

    def stage(self, row: Row, stage: str, seconds: float) -> None:
        row.at[stage] = seconds
        self._write(f"   {row.label:<42} {stage:<9} +{seconds:.2f} s")

    def note(self, row: Row, text: str) -> None:
        row.note = text
        self._write(f"   {row.label:<42} ! {text}")

    def phone(self, owner: str, text: str) -> None:
        self._write(f"   on the phone of {owner}:")
        for line in text.splitlines():
            self._write(f"     | {line}")


class LiveView:
    """A table that fills as things happen, one a chapter; it stays on the screen when the next begins."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._rows: list[Row] = []

    def chapter(self, title: str) -> None:
        if self._rows:
            self._console.print(_table(self._rows))
        self._rows = []
        self._live.update("")
        self._console.print(f"\n[bold]{escape(title)}[/bold]")

    def say(self, text: str) -> None:
        self._console.print(f"  [dim]{escape(text)}[/dim]")

    def stage(self, row: Row, stage: str, seconds: float) -> None:
        row.at[stage] = seconds
        self._show(row)

    def note(self, row: Row, text: str) -> None:
        row.note = text
        self._show(row)

    def phone(self, owner: str, text: str) -> None:
        self._console.print(f"  [green]on the phone of {escape(owner)}[/green]")
        for line in text.splitlines():
            self._console.print(f"  [green]│[/green] {escape(line)}", highlight=False)

    def _show(self, row: Row) -> None:
        if not any(known is row for known in self._rows):
            self._rows.append(row)
        self._live.update(_table(self._rows))


@contextmanager
def open_view() -> Iterator[View]:
    """The view that fits where the output goes."""
    if not sys.stdout.isatty():
        yield PlainView()
        return
    console = Console()
    with Live(console=console, refresh_per_second=12, transient=False) as live:
        view = LiveView(console, live)
        yield view
        view.chapter("")


@contextmanager
def progress(view: View, text: str) -> Iterator[None]:
    """Say what is being done and how long it took."""
    view.say(f"{text} …")
    began = time.monotonic()
    yield
    view.say(f"{text}: {time.monotonic() - began:.1f} s")


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column("notification", no_wrap=True)
    for stage in STAGES:
        table.add_column(stage, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        cells = [f"+{row.at[stage]:.2f} s" if stage in row.at else "·" for stage in STAGES]
        table.add_row(escape(row.label), *cells, f"[yellow]{escape(row.note)}[/yellow]" if row.note else "")
    return table


def _print_line(text: str) -> None:
    print(text, flush=True)
