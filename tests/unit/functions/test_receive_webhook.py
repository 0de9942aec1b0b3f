"""The door's handler: events of a function URL in, answers out, and a log that holds no secret."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import boto3
import pytest

from tests.support.door_function import asked
from tests.support.handlers import Context
from tests.support.sealed_texts import SECRET
from tocsin.door.proofs import proven_item
from tocsin.door.sources import Source, hash_of, new_token
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Put
from tocsin.notify.events.message_request import opened, parse_request
from tocsin.notify.store.texts import Texts
from tocsin.sealing import RecordSealer
from tocsin.tables.notifications import source_key

TOKEN = new_token("billing", b"x" * 32)


def add(kind: str, **changes: Any) -> None:
    source = Source("billing", kind, ("default",), **{"hash": hash_of(TOKEN), **changes})
    table = DynamoTable(boto3.client("dynamodb"), "notifications")
    texts = Texts(lambda: RecordSealer.from_secret(SECRET))
    table.put(Put(source_key("billing"), proven_item(source, texts)))


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
