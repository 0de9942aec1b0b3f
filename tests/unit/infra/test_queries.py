"""The saved queries of Logs Insights, held against lines that the code really writes."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.alarms import OBSERVABILITY
from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.handlers import Context, load
from tests.support.templates import resources
from tests.support.wired_functions import WiredFunctions
from tocsin.multidevice.inbound.receipt_messages import BatchReport
from tocsin.multidevice.inbound.receipts import Recorded
from tocsin.notify.lanes import Record, Tried
from tocsin.notify.planning import Planned
from tocsin.notify.queues import Order
from tocsin.notify.verdict import Verdict

QUERIES = {
    key.removesuffix("Query"): one["Properties"]["QueryString"]
    for key, one in resources("AWS::Logs::QueryDefinition", OBSERVABILITY).items()
}
GIVEN = {"@timestamp", "@message"}
"""Fields that CloudWatch makes."""
WORDS = {"and", "or", "not", "like", "as", "by", "asc", "desc", "in"}
ID = "0f3c00112233445566"

Line = dict[str, Any]


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def lines(
    account: AwsAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Line]:
    """A line of each kind that a query looks for, as the functions write it, by its message."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    wired = WiredFunctions(account.furnish())
    order = Order.of(wired.plan())

    def written(function: str, *told: Any) -> None:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", function)
        app = load(function)
        for handler in app.logger.handlers:
            handler.stream = sys.stdout  # pytest has replaced it, and closed the old one
        app.telemetry.handler(lambda event, context: [tell(app) for tell in told])({}, Context())

    recorded = Recorded()
    recorded.notifications["read"].append(ID)
    report = BatchReport(recorded=recorded, receipts=1)
    sent = Tried(Record("m", "h", json.dumps(order.to_json()), "l", 1), Verdict("sent"))
    written(
        "plan_notifications",
        lambda app: app.tell(
            [
                ("m1", Planned("event-1", "TicketCreated", "TCK-1", new=(ID,))),
                ("m2", Planned("event-2", violations=("a", "b", "c"))),
            ],
            0,
        ),
    )
    written("send_notification", lambda app: app.tell([sent]))
    written("record_receipts", lambda app: app.tell(report, 1))
    written("receive_stanza", lambda app: crash(app))
    logging.getLogger("tocsin").handlers = []
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"message"' in line]
    return {line["message"]: line for line in found}


def crash(app: Any) -> None:
    try:
        raise ValueError("unforeseen")
    except ValueError:
        app.logger.exception("unforeseen", sqs_message="m")


def fields_of(query: str) -> set[str]:
    """The names of the fields that a query reads."""
    told = re.sub(r'"[^"]*"|/[^/]*/|#.*', " ", query)
    told = re.sub(r"\bas \w+", " ", told)
    named = set(re.findall(r"@?[a-z_][\w.]*(?![\w(])", told))
    made = set(re.findall(r"\bas (\w+)", query))
    commands = {"fields", "filter", "sort", "stats", "limit"}
    return named - commands - WORDS - made - GIVEN


def has(line: Line, field: str) -> bool:
    value: Any = line
    for part in field.split("."):
        if isinstance(value, list):
            if not part.isdigit() or int(part) >= len(value):
                return False
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return False
    return True


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_field_of_a_query_is_written(name: str, lines: dict[str, Line]) -> None:
    unknown = {
        field
        for field in fields_of(QUERIES[name])
        if not any(has(line, field) for line in lines.values()) and field not in ("cause",)
    }
    assert unknown == set()


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_message_of_a_query_is_written_somewhere(name: str, lines: dict[str, Line]) -> None:
    from tocsin_local.paths import ROOT

    sources = [*(ROOT / "functions").glob("*/app.py"), *(ROOT / "layers/core/tocsin").rglob("*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    for message in re.findall(r'message = "([^"]+)"', QUERIES[name]):
        # `message asked-again` is made of the two parts of a report.
        assert f'"{message}"' in text or all(f'"{part}"' in text for part in message.split(" ", 1))


def test_one_id_finds_the_whole_way(lines: dict[str, Line]) -> None:
    for message in ("events planned", "receipts recorded"):
        assert ID in json.dumps(lines[message])
    assert lines["events planned"]["events"][0]["event"] == "event-1"
    assert "orders" in lines["orders carried out"]


def test_a_field_that_nobody_writes_is_noticed(lines: dict[str, Line]) -> None:
    [field] = fields_of('fields @timestamp, tok_ms | filter message = "x"') - {"message"}
    assert not any(has(line, field) for line in lines.values())
