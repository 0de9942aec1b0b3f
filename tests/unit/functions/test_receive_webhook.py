"""The door's handler: events of a function URL in, answers out, and a log that holds no secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.handlers import Context, load
from tests.support.sealed_texts import SECRET
from tocsin.door.sources import Source, hash_of, new_token
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Put
from tocsin.notify.events.message_request import opened, parse_request
from tocsin.notify.store.texts import Texts
from tocsin.sealing import RecordSealer
from tocsin.tables.notifications import source_key

TOKEN = new_token("billing", b"x" * 32)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-3")
    names = {
        "EVENT_BUS_NAME": "tickets",
        "EVENT_SOURCE": "ticketing",
        "KEYS_TABLE": "keys",
        "NOTIFICATIONS_TABLE": "notifications",
        "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
        "POWERTOOLS_SERVICE_NAME": "receive_webhook",
        "TICKET_EVENTS_DEAD_QUEUE_URL": "https://queue.invalid/dead",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        secret = boto3.client("secretsmanager").create_secret(Name="texts", SecretString=SECRET)
        monkeypatch.setenv("TEXTS_SECRET_ARN", secret["ARN"])
        boto3.client("events").create_event_bus(Name="tickets")
        dynamodb = boto3.client("dynamodb")
        for table in ("keys", "notifications"):
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            )
        yield load("receive_webhook")


def add(kind: str, **changes: Any) -> None:
    source = Source("billing", kind, ("default",), **{"hash": hash_of(TOKEN), **changes})
    table = DynamoTable(boto3.client("dynamodb"), "notifications")
    table.put(Put(source_key("billing"), source.item()))


def asked(method: str, path: str, body: str | bytes = "", query: str = "", **headers: str) -> dict[str, Any]:
    """An event of a function URL, payload 2.0."""
    encoded = isinstance(body, bytes)
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}},
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": encoded,
    }


@pytest.fixture
def bus(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is put onto the bus, and really put."""
    put: list[dict[str, Any]] = []
    events = app.door()._bus._events
    real = events.put_events

    def put_events(Entries: list[dict[str, Any]]) -> Any:
        put.extend(Entries)
        return real(Entries=Entries)

    monkeypatch.setattr(events, "put_events", put_events)
    return put


def test_a_message_is_on_the_bus_when_it_is_answered(app: ModuleType, bus: list[dict[str, Any]]) -> None:
    add("api")
    body = json.dumps({"to": "+6281234567890", "text": "Halo"})
    answer = app.lambda_handler(
        asked("POST", "/v1/messages", body, authorization=f"Bearer {TOKEN}"), Context()
    )
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (202, "application/json")
    [entry] = bus
    assert (entry["DetailType"], entry["Source"], entry["EventBusName"]) == (
        "MessageRequested",
        "ticketing",
        "tickets",
    )


def test_what_the_door_puts_the_planner_reads(app: ModuleType, bus: list[dict[str, Any]]) -> None:
    add("evolution")
    body = json.dumps({"number": "6281234567890", "text": "Halo"})
    app.lambda_handler(asked("POST", "/message/sendText/default", body, apikey=TOKEN), Context())
    request = parse_request(planned(bus[0]), default_region="ID", accounts=["default"])
    assert request is not None
    assert [one.address for one in request.recipients] == ["6281234567890"]
    assert (request.text, request.account, request.source) == ("Halo", "default", "billing")


def test_a_sensitive_text_is_sealed_before_the_bus_has_it(
    app: ModuleType, bus: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    add("phpnuxbill")
    query = f"number=6281234567890&text=OTP%3A+117733&secret={TOKEN}"
    answer = app.lambda_handler(asked("GET", "/wa_url", query=query), Context())
    assert answer["body"].startswith("queued msg-")
    assert "117733" not in bus[0]["Detail"]
    request = parse_request(planned(bus[0]), default_region="ID", accounts=["default"])
    assert request is not None
    assert opened(request, Texts(lambda: RecordSealer.from_secret(SECRET))).text == "OTP: 117733"
    logged = repr([vars(record) for record in caplog.records])
    assert "request answered" in logged
    assert TOKEN not in logged
    assert "117733" not in logged
    assert "81234567890" not in logged


def planned(entry: dict[str, Any]) -> str:
    event = {"id": "e-1", "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
    return json.dumps(event)


def test_a_form_arrives_as_base64_and_is_read(app: ModuleType, bus: list[dict[str, Any]]) -> None:
    add("fonnte")
    form = b"target=081234567890&message=satu%2C+dua"
    answer = app.lambda_handler(
        asked("POST", "/send", form, authorization=TOKEN, content_type="application/x-www-form-urlencoded"),
        Context(),
    )
    assert json.loads(answer["body"])["status"] is True
    assert json.loads(bus[0]["Detail"])["text"] == "satu, dua"


def test_a_text_with_commas_in_the_query_stays_one(app: ModuleType, bus: list[dict[str, Any]]) -> None:
    add("waha")
    query = f"phone=6281234567890&text=satu%2Cdua%2Ctiga&x-api-key={TOKEN}"
    app.lambda_handler(asked("GET", "/api/sendText", query=query), Context())
    assert json.loads(bus[0]["Detail"])["text"] == "satu,dua,tiga"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"requestContext": {"http": {"method": "POST", "path": "/"}}},
        {**asked("POST", "/v1/messages"), "isBase64Encoded": True, "body": "%%"},
        asked("POST", "/v1/messages", "[" * 100_000),
        asked("POST", "/hooks/unknown", "{}"),
        asked("GET", "/" + "a/" * 2000),
    ],
)
def test_what_no_caller_means_is_answered_and_is_no_bug(
    app: ModuleType, event: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert 400 <= app.lambda_handler(event, Context())["statusCode"] < 500
    assert "unforeseen" not in caplog.text


def test_what_nobody_foresaw_is_a_500_a_bug_and_quotes_nothing(
    app: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the text of somebody")

    monkeypatch.setattr(app.door(), "answer", fail)
    answer = app.lambda_handler(asked("GET", "/v1/accounts"), Context())
    assert answer["statusCode"] == 500
    assert "somebody" not in repr([vars(record) for record in caplog.records]) + answer["body"]
    assert '"Bugs"' in capsys.readouterr().out


def test_the_line_of_a_request_names_source_dialect_and_status(
    app: ModuleType, bus: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    add("api")
    body = json.dumps({"to": "+6281234567890", "text": "Halo"})
    app.lambda_handler(asked("POST", "/v1/messages", body, authorization=f"Bearer {TOKEN}"), Context())
    [line] = [vars(record) for record in caplog.records if record.message == "request answered"]
    assert (line["source"], line["dialect"], line["status"], line["events"]) == ("billing", "api", 202, 1)
