"""The interop matrix: which client can do what through the local WhatsApp server, each cell shown by tests.

A test says which cell it shows:

    @pytest.mark.cell("Tocsin", "group")
    @pytest.mark.cell("reply")            the client is the test's parameter `client`

`make interop` runs them all and writes `MATRIX.md` from what it saw; nothing else writes it. A run of a part
with `--matrix` leaves the rest of it as it is.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MATRIX = Path(__file__).with_name("MATRIX.md")

CLIENTS: Mapping[str, str] = {
    "Tocsin": "this project: the layer's own sending and receiving code on its own connection",
    "Baileys": "7.0.0-rc14 from npm, unmodified",
    "whatsmeow": "as compiled into neonize 0.5.2 from PyPI; its address and trusted root are set in memory",
}
"""Each talks to phones of the server or to one of the others."""

SITUATIONS: Mapping[str, str] = {
    "pairing by QR": "a phone scans the code it shows, and it logs in",
    "pairing by code": "a phone's owner types the eight characters it shows, and it logs in",
    "1:1": "it writes to one person and reads what one person writes",
    "group": "it writes to a group and reads what is written there",
    "media": "it sends a file that the other downloads and checks, or reads one",
    "receipts": "it confirms what it reads, and learns that what it sent was delivered and read",
    "reply": "it quotes a message, or reads an answer that quotes one of its own",
    "device added": "the other links one more device, and the next message reaches that too",
    "device removed": "the other unlinks a device, and the next message passes it by",
    "reinstall": "the other installs WhatsApp anew, and the next message is read",
    "Bad MAC: it asks again": "its session is garbled; it asks for the message again and reads it",
    "Bad MAC: it is asked": "the other's session is garbled; asked again, it sends a readable message",
    "offline backlog": "what came while it was away it reads at its return, in order, once",
    "prekeys exhausted": "its one-time prekeys are gone: it is still written to, and brings new ones",
}

CALLERS: Mapping[str, str] = {
    "Apprise": "PyPI `apprise`, its command: Evolution API",
    "gowa": "PyPI `gowa` 0.1.0, its client: go-whatsapp-web-multidevice",
    "n8n": "npm `n8n-nodes-evolution-api` 1.0.4, its node without n8n around it: Evolution API",
}
"""Each calls the HTTP door as it calls the program that it was written for."""

CALLS: Mapping[str, str] = {
    "it sends a text": "what it was given is on the bus, and it takes the answer for a success",
    "it sends a file": "the bytes it was given are on the bus, and it takes the answer for a success",
    "it has a wrong key": "it takes the answer for a failure, and nothing is on the bus",
    "it asks for the state": "it is told the account's true state, in its own words",
}

EXAMPLES: Mapping[str, str] = {
    "boto3": "examples/boto3, by EventBridge",
    "AWS CLI": "examples/aws-cli, by EventBridge",
    "Python": "examples/python, its standard library: the door's own calls",
    "Node": "examples/node, its `fetch`: the door's own calls",
    "PHP": "examples/php: the door's own calls",
    "curl": "examples/curl: the door's own calls",
    "Apprise": "examples/apprise, its command: Evolution API",
    "n8n": "examples/n8n, its workflow with npm `n8n-nodes-evolution-api` 1.0.4: Evolution API",
    "Uptime Kuma": "examples/uptime-kuma, asked as version 2.5.3 asks: Evolution API",
    "PHPNuxBill": "examples/phpnuxbill, asked by PHP as version 2025.3.20 asks: its own GET",
    "Zammad": "examples/desks/zammad, signed as it signs: a help desk's webhook",
}
"""Files that a user copies (examples/README.md), each with its few words filled in."""

EXAMPLE_ENDS: Mapping[str, str] = {
    "its example arrives": "what it says is on the bus as an event that is planned, and it ends as a success",
    "its example says what failed": "with a wrong key, or a bus that refuses, it ends as a failure",
}

RECEIVERS: Mapping[str, str] = {
    "standardwebhooks (PyPI)": "1.1.0, in examples/webhook-python",
    "standardwebhooks (npm)": "1.1.1, in examples/webhook-node",
    "PHP": "its `hash_hmac`, in examples/webhook-php",
}
"""Each is posted an outcome by the code of `deliver_webhooks`."""

WEBHOOKS: Mapping[str, str] = {
    "it verifies what is posted": "the outcome is its program's, and Tocsin has it as delivered",
    "it verifies while the secret is changed": "signed with both, it is verified by who knows the former one",
    "it refuses what another signed": "its program is told nothing, and Tocsin tries again",
}

EMPTY: Mapping[tuple[str, str], str] = {
    ("Apprise", "it sends a file"): "its plugin for Evolution API sends no attachments",
    ("Apprise", "it asks for the state"): "it never asks",
}
"""Cells without a test, and why."""


class Table(NamedTuple):
    """One table of the matrix: who (columns) and what (rows)."""

    title: str
    about: str
    clients: Mapping[str, str]
    situations: Mapping[str, str]


TABLES = (
    Table(
        "What was shown, and by whom",
        "After this page you know which real clients were seen to get through which situations, Tocsin among "
        "them. Written by `make interop` from what that run saw; don't edit. Each client talks through the "
        "[local WhatsApp server](../../infra/tocsin_whatsapp_server/README.md) to its phones and to the "
        "other clients.",
        CLIENTS,
        SITUATIONS,
    ),
    Table(
        "Callers of the door",
        "Tools that nobody here wrote call the [HTTP door](../../layers/core/tocsin/door/DOOR.md) on "
        "loopback.",
        CALLERS,
        CALLS,
    ),
    Table(
        "Examples",
        "Each of the [examples](../../examples/README.md) is run as a user runs it, against a door or a bus "
        "on loopback.",
        EXAMPLES,
        EXAMPLE_ENDS,
    ),
    Table(
        "Receivers of outcome webhooks",
        "[Webhooks](../../layers/core/tocsin/hooks/HOOKS.md) are posted to the examples on loopback.",
        RECEIVERS,
        WEBHOOKS,
    ),
)

MARKS = {"passed": "✓", "failed": "✗", "skipped": "skipped"}


class Cell(NamedTuple):
    client: str
    situation: str


class UnknownCell(ValueError):
    """A mark that names no cell. The text says what there is."""


@dataclass(frozen=True)
class Showing:
    """A test that shows a cell. `outcome`: passed, failed or skipped; `reason`: why it was skipped."""

    cell: Cell
    test: str
    outcome: str
    reason: str = ""

    @property
    def file(self) -> str:
        return self.test.partition("::")[0]


def cells() -> Iterator[Cell]:
    """Every cell, row by row."""
    return (
        Cell(client, situation)
        for table in TABLES
        for situation in table.situations
        for client in table.clients
    )


def cells_of(item: pytest.Item) -> list[Cell]:
    """The cells that a test shows. Raises UnknownCell."""
    return [_cell(mark, item) for mark in item.iter_markers("cell")]


def _cell(mark: pytest.Mark, item: pytest.Item) -> Cell:
    words = list(mark.args)
    if len(words) == 1:
        words.insert(0, getattr(item, "callspec", None) and item.callspec.params.get("client"))  # type: ignore[attr-defined]
    known = len(words) == 2 and any(words[0] in one.clients and words[1] in one.situations for one in TABLES)
    if not known or mark.kwargs:
        raise UnknownCell(
            f"{item.nodeid}: cell{mark.args} is none; clients: {', '.join(CLIENTS)} (or a parameter "
            f"`client` with one of them); situations: {', '.join(SITUATIONS)}; more: {__name__}.TABLES"
        )
    return Cell(*words)


def written_down(showings: Iterable[Showing]) -> str:
    """The tables, and under each its cells with their tests."""
    shown: dict[Cell, list[Showing]] = {cell: [] for cell in cells()}
    for showing in showings:
        shown[showing.cell].append(showing)
    lines: list[str] = []
    for table in TABLES:
        lines += ([""] if lines else []) + _table(table, shown)
    return "\n".join(lines) + "\n"


def _table(table: Table, shown: Mapping[Cell, list[Showing]]) -> list[str]:
    lines = [
        f"# {table.title}",
        "",
        table.about,
        "",
        *(f"- **{client}**: {meaning}" for client, meaning in table.clients.items()),
        "",
        f"| | {' | '.join(table.clients)} |",
        "|---" * (len(table.clients) + 1) + "|",
    ]
    for situation in table.situations:
        row = [_mark(shown[Cell(client, situation)]) for client in table.clients]
        lines.append(f"| [{situation}](#{_anchor(situation)}) | {' | '.join(row)} |")
    lines += ["", "✓ every test of the cell passed, ✗ one didn't. The number: how many there are."]
    for situation, meaning in table.situations.items():
        lines += ["", f"## {situation}", "", f"{meaning[0].upper()}{meaning[1:]}.", ""]
        for client in table.clients:
            cell = Cell(client, situation)
            lines += [f"- **{client}**"] if shown[cell] else [f"- **{client}**: {EMPTY.get(cell, 'no test')}"]
            lines += [f"  - {_line(showing)}" for showing in shown[cell]]
    return lines


def _mark(showings: list[Showing]) -> str:
    if not showings:
        return "–"
    worst = min((showing.outcome for showing in showings), key=["failed", "skipped", "passed"].index)
    return f"{MARKS[worst]} {len(showings)}" if worst != "skipped" else MARKS[worst]


def _line(showing: Showing) -> str:
    file, _, name = showing.test.partition("::")
    why = f": {showing.reason}" if showing.reason else ""
    link = os.path.relpath(ROOT / file, MATRIX.parent)
    return f"{showing.outcome}{why} · [`{name}`]({link})"


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def read_back(text: str) -> list[Showing]:
    """What a written matrix lists."""
    found = []
    situation = client = ""
    for line in text.splitlines():
        if line.startswith("## "):
            situation = line[3:]
        elif listed := re.match(r"- \*\*(.+?)\*\*", line):
            client = listed[1]
        elif test := re.match(r"  - (\w+)(?:: (.*))? · \[`(.+)`\]\((.+)\)$", line):
            file = os.path.normpath(MATRIX.parent.relative_to(ROOT) / test[4])
            found.append(Showing(Cell(client, situation), f"{file}::{test[3]}", test[1], test[2] or ""))
    return found


def with_others(showings: Iterable[Showing], before: Iterable[Showing]) -> list[Showing]:
    """What a run saw, and of `before` what lies in files of which it ran nothing: a run of a part leaves the
    rest as it is."""
    seen = list(showings)
    files = {showing.file for showing in seen}
    known = set(cells())
    return [*seen, *(one for one in before if one.file not in files and one.cell in known)]


@dataclass(eq=False)
class Recorder:
    """Notes the cells of the tests of a run, and writes the matrix if it was asked for (`--matrix`).

    With pytest-xdist the cells travel with the reports, and `target` is set in the controller alone.
    `complete`: slow tests run too.
    """

    target: Path | None
    complete: bool
    listing: bool
    showings: dict[tuple[str, Cell], Showing] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            try:
                shown = cells_of(item)
            except UnknownCell as error:
                raise pytest.UsageError(str(error)) from None
            item.user_properties += [("cell", list(cell)) for cell in shown]
            belongs = bool(shown) or item.nodeid.startswith("tests/interop/")
            if belongs and item.get_closest_marker("slow") and not self.complete:
                item.add_marker(pytest.mark.skip(reason="slow: make interop runs it"))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items if self.listing else ():
            for cell in cells_of(item):
                print("cell", *cell, item.nodeid, sep="\t")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "cell" and (report.when == "call" or not report.passed):
                self._note(Cell(*value), report)  # type: ignore[misc]

    def _note(self, cell: Cell, report: pytest.TestReport) -> None:
        before = self.showings.get((report.nodeid, cell))
        if before is None or before.outcome == "passed":
            reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
            self.showings[report.nodeid, cell] = Showing(
                cell, report.nodeid, report.outcome, reason.removeprefix("Skipped: ")
            )

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if self.target is not None and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            before = read_back(self.target.read_text(encoding="utf-8")) if self.target.exists() else ()
            seen = with_others(self.showings.values(), before)
            text = written_down(sorted(seen, key=lambda showing: showing.test))
            self.target.write_text(text, encoding="utf-8")
