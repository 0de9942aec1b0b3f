"""Counts on the emulator, with the deployed template, what AWS would bill for notifications."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.bench.capacity import size
from tests.support.stack import DeployedStack, Notice
from tocsin.notify.notification import State
from tocsin_local.paths import ROOT
from tocsin_local.processes import Child, running
from tocsin_local.world import World, world

COUNTER = Path(__file__).with_name("counter")

PEOPLE = 20
IN_TURN = 40
"""Notifications one after the other, each delivered and read before the next: every batch has one record."""
AT_ONCE = 200
IDLE_SECONDS = 130
ITEM_BYTES = 100
"""What DynamoDB adds to each item, and to each entry of an index."""
FUNCTIONS = {
    "PlanFunctionName": "plan_notifications",
    "SendFunctionName": "send_notification",
    "ReceiveFunctionName": "receive_stanza",
    "RecordReceiptsFunctionName": "record_receipts",
    "PublishFunctionName": "publish_outcomes",
    "MaintainFunctionName": "maintain_sessions",
}

Line = dict[str, Any]


def tell(text: str) -> None:
    print(f"cost: {text}", file=sys.stderr, flush=True)


def measured() -> dict[str, Any]:
    """Lines of the counter by phase: `in_turn`, `at_once`, `idle`, and how many notifications each had."""
    with ExitStack() as stack:
        here = stack.enter_context(world("cost", progress=tell))
        log = here.folder / "counted.jsonl"
        log.touch()
        count_functions(here, log)
        stack.enter_context(counted_connector(here, log))
        deployed = DeployedStack(here)
        tell("linking the account")
        deployed.link()
        people = [deployed.person(f"Person {number}") for number in range(PEOPLE)]
        tell("first contacts")
        read(deployed, [deployed.tell(one) for one in people])
        settle(log)
        phases: dict[str, Any] = {}
        tell(f"{IN_TURN} in turn")
        with phase(phases, "in_turn", log, IN_TURN):
            for number in range(IN_TURN):
                read(deployed, [deployed.tell(people[number % PEOPLE])])
            settle(log)
        tell(f"{AT_ONCE} at once")
        with phase(phases, "at_once", log, AT_ONCE):
            read(deployed, [deployed.tell(people[number % PEOPLE]) for number in range(AT_ONCE)])
            settle(log)
        # The connector's counter writes every ten seconds; what it did before isn't idleness.
        time.sleep(12)
        tell(f"idle for {IDLE_SECONDS} s")
        with phase(phases, "idle", log, 0):
            time.sleep(IDLE_SECONDS)
        phases["idle_seconds"] = IDLE_SECONDS
        phases["stored"] = stored(here)
        phases["counted"] = list(FUNCTIONS.values())
        phases["connector_log"] = (here.folder / "connector.log").read_text()
        phases["cold"] = [line for line in lines(log) if line["ready"]]
        return phases


def stored(here: World) -> dict[str, float]:
    """Bytes that one notification keeps in the notifications table, with its entries in the indexes."""
    table = here.stack.client("dynamodb")
    items = [
        item
        for page in table.get_paginator("scan").paginate(TableName=here.stack.outputs["NotificationsTable"])
        for item in page["Items"]
    ]
    told = [item for item in items if item["pk"]["S"].startswith("notification#")]
    whole = sum(size(item) + ITEM_BYTES * (1 + ("ticket_id" in item)) for item in items)
    return {"items": len(items) / len(told), "bytes": round(whole / len(told))}


def read(deployed: DeployedStack, notices: Sequence[Notice]) -> None:
    deployed.all_until(notices, State.READ, seconds=900)


def settle(log: Path, quiet: float = 4.0) -> None:
    """Return when no function has worked for a while: the stream is read after the table is right."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < quiet:
        now = sum(1 for line in lines(log) if line["function"] != "connector")
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(0.2)


@contextmanager
def phase(phases: dict[str, Any], name: str, log: Path, notifications: int) -> Iterator[None]:
    first = len(lines(log))
    yield
    phases[name] = {"notifications": notifications, "lines": lines(log)[first:]}


def lines(log: Path) -> list[Line]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def count_functions(here: World, log: Path) -> None:
    functions = here.stack.client("lambda")
    for output in FUNCTIONS:
        if name := here.stack.outputs.get(output):
            variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables | counting(log)}
            )


def counting(log: Path) -> dict[str, str]:
    return {"COST_LOG": str(log), "PYTHONPATH": f"{COUNTER}:{ROOT}"}


@contextmanager
def counted_connector(here: World, log: Path) -> Iterator[Child]:
    environment = here.stack.connector_environment(
        WHATSAPP_URL=here.whatsapp_url,
        WHATSAPP_ROOT_KEY=here.root_public_key,
        CONNECTOR_HOST="127.0.0.1",
        SSL_CERT_FILE=here.media_certificate,
        **counting(log),
    )
    command = [sys.executable, "-m", "tocsin.connector"]
    output = here.folder / "connector.log"
    with running("connector", command, environment=environment, log=output) as child:
        yield child
