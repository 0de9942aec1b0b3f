"""The stream's handler: quick, and never raising for what a record holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.support.handlers import Context, load
from tests.support.sealed_texts import SECRET
from tocsin.notify.outcomes import Published


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-3")
    monkeypatch.setenv("EVENT_BUS_NAME", "tickets")
    monkeypatch.setenv("NOTIFICATIONS_TABLE", "notifications")
    monkeypatch.setenv("KEYS_TABLE", "keys")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "publish_outcomes")
    with mock_aws():
        secret = boto3.client("secretsmanager").create_secret(Name="texts", SecretString=SECRET)
        monkeypatch.setenv("TEXTS_SECRET_ARN", secret["ARN"])
        yield load("publish_outcomes")


def test_what_could_not_be_told_is_where_the_stream_begins_again(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.publisher(), "publish", lambda _: Published(5, 1, ("7", "9")))
    answer = app.lambda_handler({"Records": []}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "7"}]}
    (metrics,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert (metrics["OutcomesUnreadable"], metrics["OutcomesRefused"]) == ([1.0], [2.0])


@pytest.mark.parametrize("event", [{}, {"Records": [{}]}, {"Records": [None, {"dynamodb": None}]}])
def test_bad_records_are_answered_like_any_other(
    app: ModuleType, event: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    assert app.lambda_handler(event, Context()) == {"batchItemFailures": []}
    assert ("unreadable stream record" in caplog.text) is bool(event)


def test_without_the_key_of_the_texts_all_records_come_back(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTS_SECRET_ARN", "arn:aws:secretsmanager:ap-southeast-3:123456789012:secret:none")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        app.lambda_handler({"Records": [{}]}, Context())


COUNTS = {"default 3600000": {"Sent": 2}}


@pytest.mark.parametrize(
    ("window", "remembered", "state"),
    [
        ({}, [{"default 3600000": {"Sent": 2}}], None),
        ({"window": {}, "isFinalInvokeForWindow": False, "state": {}}, [], COUNTS),
        (
            {"window": {}, "isFinalInvokeForWindow": True, "state": COUNTS},
            [{"default 3600000": {"Sent": 4}}],
            {},
        ),
    ],
)
def test_counts_go_round_through_the_answers_of_a_window_and_are_written_at_its_end(
    app: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    window: dict[str, object],
    remembered: object,
    state: object,
) -> None:
    written: list[object] = []
    monkeypatch.setattr(app.publisher(), "publish", lambda _: Published(2, 0, (), counts=COUNTS))
    monkeypatch.setattr(app.publisher(), "remember", written.append)
    answer = app.lambda_handler({"Records": [], **window}, Context())
    assert (written, answer.get("state")) == (remembered, state)
