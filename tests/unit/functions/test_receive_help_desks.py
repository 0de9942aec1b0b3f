"""Webhooks of help desks through the whole handler: a function URL's event in, the bus or the dead queue
out."""

from __future__ import annotations

import base64
import json
from types import ModuleType
from typing import Any

import boto3
import pytest

from tests.support.desks import SECRET, Recorded, recorded, signed
from tests.support.door_function import asked
from tests.support.handlers import Context
from tests.support.sealed_texts import SECRET as TEXTS_SECRET
from tocsin.door.proofs import proven_item
from tocsin.door.sources import SECRET as ATTRIBUTE
from tocsin.door.sources import Source
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Put
from tocsin.notify.events.schema import parse_event
from tocsin.notify.refused_events import RefusedEvent
from tocsin.notify.store.texts import Texts
from tocsin.sealing import RecordSealer
from tocsin.tables.notifications import source_key


def add(kind: str) -> None:
    """A source named desk, with its secret sealed as the console seals it."""
    texts = Texts(lambda: RecordSealer.from_secret(TEXTS_SECRET))
    sealed = texts.seal({"secret": SECRET}, source_key("desk"), ATTRIBUTE)
    source = Source("desk", kind, ("default",), secret=sealed)
    table = DynamoTable(boto3.client("dynamodb"), "notifications")
    table.put(Put(source_key("desk"), proven_item(source, texts)))


def webhook(one: Recorded, body: bytes | None = None, **headers: str) -> dict[str, Any]:
    raw = one.body if body is None else body
    told = {**signed(one.told["kind"], raw, one.headers), **headers}
    event = asked("POST", "/hooks/desk", "", one.query)
    # Lambda encodes what isn't text, JSON or XML, such as FreeScout's application/hal+json.
    plain = told.get("content-type", "").startswith("application/json")
    body_of = raw.decode() if plain else base64.b64encode(raw).decode()
    return {**event, "headers": told, "body": body_of, "isBase64Encoded": not plain}


@pytest.mark.parametrize("name", ["zammad-created", "freescout-created", "redmine-created", "splynx-created"])
def test_a_webhook_is_on_the_bus_when_it_is_answered(
    app: ModuleType, bus: list[dict[str, Any]], name: str
) -> None:
    add(recorded()[name].told["kind"])
    answer = app.lambda_handler(webhook(recorded()[name]), Context())
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"accepted": "TicketCreated"})
    [entry] = bus
    envelope = json.dumps({"detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])})
    assert parse_event(envelope, default_region="ID", accounts=["default"]).ticket.subject


def test_a_wrong_signature_is_a_401_and_puts_nothing(app: ModuleType, bus: list[dict[str, Any]]) -> None:
    add("zammad")
    one = recorded()["zammad-created"]
    answer = app.lambda_handler(webhook(one, **{"x-hub-signature": "sha1=" + "0" * 40}), Context())
    assert (answer["statusCode"], bus) == (401, [])


def test_a_log_line_holds_nothing_of_a_webhook(
    app: ModuleType, bus: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    add("zammad")
    app.lambda_handler(webhook(recorded()["zammad-created"]), Context())
    told = repr([vars(record) for record in caplog.records])
    for word in (SECRET, "Siti", "internet", "1234 7777", "sha1="):
        assert word not in told


def test_what_cannot_be_told_lies_in_the_dead_queue_and_rings(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    monkeypatch.setenv("TICKET_EVENTS_DEAD_QUEUE_URL", url)
    add("zammad")
    answer = app.lambda_handler(webhook(recorded()["zammad-created"], b'{"ticket": {}}'), Context())
    assert answer["statusCode"] == 200
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    event = RefusedEvent.parse(message)
    assert event.reason == "webhook-refused"
    assert event.violations
    assert SECRET not in message["Body"]
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    [refused] = [one for one in metrics if "EventsRefused" in one]
    assert (refused["service"], refused["EventsRefused"]) == ("plan_notifications", [1.0])
