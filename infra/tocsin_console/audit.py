"""Who did what: a line beside each change of an operator, by command line and by page alike.

A change is written down where it is carried out, so that no way to it is left out. What a look opens that is
masked elsewhere is written down before it is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import TableError
from tocsin.notify.store.audit import AuditLine
from tocsin.timestamps import from_seconds, iso
from tocsin_console import trouble
from tocsin_console.errors import ConsoleError
from tocsin_console.output import Output, complain, moment

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Key
    from tocsin_console.deployment import Deployment


class Unwritten(ConsoleError):
    """A line can't be written. Whoever was about to look must not see; what was done is done."""


def note(
    deployment: Deployment,
    what: str,
    *,
    count: int = 1,
    kind: str = "",
    ids: Iterable[str] = (),
    clock: Callable[[], float] = time.time,
) -> None:
    """Write down that somebody did something. `what`: without texts and whole numbers; `count`: of how many;
    `kind`, `ids`: as in `AuditLine`.

    It is done by then: if it can't be written down, that is said, and the command goes on."""
    try:
        write(deployment, what, count=count, kind=kind, ids=ids, clock=clock)
    except Unwritten as refusal:
        complain(f"tocsin: it is done, but {refusal}")


def looked(deployment: Deployment, what: str, *, clock: Callable[[], float] = time.time) -> Key:
    """Write down that somebody sees what is masked elsewhere, before it is shown. Returns the line's key.
    Raises Unwritten."""
    try:
        return write(deployment, f"saw {what}", clock=clock)
    except Unwritten as refusal:
        raise Unwritten(f"nothing is shown whole: {refusal}") from None


def write(
    deployment: Deployment,
    what: str,
    *,
    count: int = 1,
    note: str = "",
    kind: str = "",
    ids: Iterable[str] = (),
    clock: Callable[[], float] = time.time,
) -> Key:
    """Write a line; its key. `note`: what the operator says to it. Raises Unwritten."""
    line = AuditLine(from_seconds(clock()), operator(deployment), what, count, note, kind, tuple(ids))
    try:
        return deployment.stores.audit.add(line)
    except (BotoCoreError, ClientError, TableError) as error:
        why = trouble.sentence(error, where="the notifications table")
        raise Unwritten(f"who did it could not be written down: {why}") from error


def recount(deployment: Deployment, line: Key, count: int) -> None:
    """Write into a line of how many it was; that it can't be written is said."""
    try:
        deployment.stores.audit.recount(line, count)
    except (BotoCoreError, ClientError, TableError) as error:
        why = trouble.sentence(error, where="the notifications table")
        complain(f"tocsin: how many could not be written down: {why}")


@dataclass(frozen=True)
class Wanted:
    """Which lines. `since`, `until`: ms; `who`, `what`: a part of it, in small or capital letters."""

    since: int = 0
    until: int | None = None
    who: str = ""
    what: str = ""

    def of(self, deployment: Deployment) -> Iterator[AuditLine]:
        """The newest first, read as they are asked for."""
        who, what = self.who.casefold(), self.what.casefold()
        for line in deployment.stores.audit.lines(since=self.since, until=self.until):
            said = f"{line.what} {line.note}".casefold()
            if who in line.by.casefold() and what in said:
                yield line


def list_lines(deployment: Deployment, wanted: Wanted, output: Output, *, most: int) -> None:
    """Print at most so many, the newest first."""
    found = list(islice(wanted.of(deployment), most + 1))
    for line in found[:most]:
        output.record(
            {
                "at": iso(line.at),
                "by": line.by or None,
                "what": line.what,
                "count": line.count,
                "note": line.note or None,
                "kind": line.kind or None,
                "ids": list(line.ids),
            }
        )
    if not found:
        output.say("nobody did anything like that, as far back as records are kept")
        return
    output.table(
        ["AT", "BY", "OF", "WHAT"],
        [(moment(line.at), line.by or "-", line.count, _said(line)) for line in found[:most]],
    )
    if len(found) > most:
        output.say("… and older ones: --most N shows more, --until WHEN begins earlier")


def _said(line: AuditLine) -> str:
    return f"{line.what} ({line.note})" if line.note else line.what


def operator(deployment: Deployment) -> str:
    """Who has these credentials, as AWS calls them; empty if it doesn't say."""
    try:
        return deployment.caller
    except (BotoCoreError, ClientError):
        return ""
