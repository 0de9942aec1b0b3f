"""Every table that a command prints fits a narrow terminal, and is one row a line in a wide one."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tocsin_console
from tests.support.fake_deployment import Terminal
from tests.support.memory_aws import MemoryAws
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tocsin.accounts.lease import LeaseKeeper
from tocsin.door.proofs import proven_item
from tocsin.door.sources import Source
from tocsin.dynamo.writes import Put
from tocsin.notify.notification import Problem
from tocsin.notify.queues import DeadLettersQueue
from tocsin.notify.store.recoveries import THEIRS, UnreadableMessage
from tocsin.tables.notifications import source_key, source_use_key
from tocsin.whatsapp.group import GroupInfo, Member
from tocsin.whatsapp.jid import JID
from tocsin_console import adopt, cli, layout, settings
from tocsin_console.deployment import Deployment
from tocsin_console.leftovers import Leftovers
from tocsin_console.output import Output

NARROW, WIDE = 60, 200
SITI = "6281234567890"
GROUP = JID("120363000000000001", "g.us")

TABLES = {
    "accounts list": "accounts",
    "audit": "audit",
    "dead-letters list": "dead_letters",
    f"explain +{SITI}": "lately",
    "groups": "groups",
    "people opt-outs list": "opt_outs",
    "recoveries --days 30": "recoveries",
    "sessions list": "sessions",
    "sessions show 1234@lid": "sessions",
    "settings": "settings",
    "settings history": "settings",
    "sources list": "source_view",
    "status": "status",
    "waiting list": "waiting",
}
"""What is typed, and the module that prints its table."""

ELSEWHERE = {"adopt"}
"""Needs tables that a deleted stack left; see below."""


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    """A stack with a row for each of them."""
    functions = WiredFunctions(MemoryAws())
    used, now = deployment_of(functions), int(time.time() * 1000)
    stores, table = used.stores, used.outside_table
    functions.tell(1)
    dead, waiting = functions.plan(2), functions.plan(3)
    problem = Problem("not-on-whatsapp", "permanent", "no such number")
    stores.notifications.fail(dead.id, problem, now)
    letters = DeadLettersQueue(used.sqs, used["DeadLettersQueueUrl"])
    letters.send(functions.stored(dead), problem, now)
    stores.parking.park(waiting, "restricted-new-chats", now)
    keeper = LeaseKeeper(
        used.keys_table, "8f14e45fceea167a", url="https://10.0.0.1", certificate="PEM", sealer=used.sealer
    )
    keeper.beat()
    keeper.set_state("default", keeper.acquire("default"), "connected", "")
    members = (Member(JID("100", "lid"), None, admin=False),)
    told = GroupInfo(GROUP, "lid", members, announcement=True, subject="技術者 Jakarta Selatan 🛠")
    functions.paired.keys.groups.save(str(GROUP), f"2:hash {told.to_text()}")
    stores.people.opt_out("default", "1234@lid", "BERHENTI", now)
    illness = UnreadableMessage(THEIRS, "default", "1234@lid", "bad-mac", dead.id)
    stores.recoveries.failed(illness, since=now, at=now, cause="bad-mac", failure="exhausted")
    source = Source("help-desk-jakarta", "zammad", ("default",))
    table.put(Put(source_key(source.name), proven_item(source, stores.texts)))
    table.put(Put(source_use_key(source.name), {"heard": 12, "used_at": now, "refused_at": now}))
    settings.change(used, [settings.Change("retries", "4")], Output(as_json=True, stream=Terminal()))
    return used


@pytest.fixture
def printed(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """The tables that a command prints in a terminal of so many columns."""
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment)
    monkeypatch.setattr(Deployment, "glance_table", deployment.outside_table)
    tables: list[list[str]] = []
    drawn = layout.lines

    def lines(*table: Any) -> list[str]:
        tables.append(drawn(*table))
        return tables[-1]

    def run(command: str, columns: int) -> list[list[str]]:
        tables.clear()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr("sys.stdout", Terminal())
        assert cli.main(command.split()) == 0
        return list(tables)

    monkeypatch.setattr(layout, "lines", lines)
    return run


@pytest.mark.parametrize("command", TABLES)
def test_it_fits_a_narrow_terminal(printed: Callable[..., list[list[str]]], command: str) -> None:
    tables = printed(command, NARROW)
    assert tables
    assert [line for table in tables for line in table if layout.cells(line) > NARROW] == []


@pytest.mark.parametrize("command", TABLES)
def test_it_is_one_row_a_line_in_a_wide_one(
    printed: Callable[..., list[list[str]]], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    table = Output.table

    def counted(self: Output, heads: Any, cells: Any) -> None:
        found = list(cells)
        rows.append(len(found))
        table(self, heads, found)

    monkeypatch.setattr(Output, "table", counted)
    tables = printed(command, WIDE)
    assert [len(lines) for lines in tables] == [1 + number for number in rows]
    assert all(rows)


def test_what_a_deleted_stack_left_fits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))
    screen = Terminal()
    arn = "arn:aws:secretsmanager:ap-southeast-3:123456789012:secret:tocsin-SealingSecret-AbCdEf"
    adopt._tell_left(Leftovers("keys", "notifications", arn, arn), adopt.Findings(), Output(stream=screen))
    assert all(layout.cells(line) <= NARROW for line in screen.getvalue().splitlines())


def test_no_table_is_left_out() -> None:
    """Read from the code, not from what was thought of."""
    folder = Path(tocsin_console.__file__).parent
    printing = {
        module.stem
        for module in folder.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "table" and ast.unparse(node) == "output.table"
    }
    assert printing == {*TABLES.values(), *ELSEWHERE}
