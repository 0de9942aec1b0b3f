"""Handlers over tables and queues on moto, one set of them for each file."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.handlers import load
from tests.support.sealed_texts import SECRET
from tests.support.wired_functions import WiredFunctions


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def wired(account: AwsAccount) -> WiredFunctions:
    return WiredFunctions(account.furnish())


# -- the door, which has no others behind it ----------------------------------------------------------------


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
