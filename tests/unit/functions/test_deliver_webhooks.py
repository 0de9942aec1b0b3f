"""The handler of outcome webhooks: one order a run, on DynamoDB and SQS as moto has them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.cloudformation import deployed
from tests.support.handlers import Context, load
from tests.support.iam import rights_of
from tests.support.listener import Listener, listening
from tests.support.recorded_calls import Call, noted, without_call, without_right
from tests.support.sealed_texts import SECRET, TEXTS
from tocsin.dynamo.table import DynamoTable
from tocsin.hooks.delivery import DELIVERED
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import Order
from tocsin.hooks.store import HookStore
from tocsin.versions import hook_versions

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "ap-southeast-3",
    "NOTIFICATIONS_TABLE": "notifications",
    "KEYS_TABLE": "keys",
    "POWERTOOLS_SERVICE_NAME": "deliver_webhooks",
    "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
    "STACK_NAME": "tocsin",
    "TIMING": "trial",
}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        attributes = {"FifoQueue": "true"}
        queue = boto3.client("sqs").create_queue(QueueName="hooks.fifo", Attributes=attributes)
        monkeypatch.setenv("HOOKS_QUEUE_URL", queue["QueueUrl"])
        secret = boto3.client("secretsmanager").create_secret(Name="texts", SecretString=SECRET)
        monkeypatch.setenv("TEXTS_SECRET_ARN", secret["ARN"])
        boto3.client("dynamodb").create_table(
            TableName="keys",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        boto3.client("dynamodb").create_table(
            TableName="notifications",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                *({"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "watching")),
                {"AttributeName": "watch_due", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "watch",
                    "KeySchema": [
                        {"AttributeName": "watching", "KeyType": "HASH"},
                        {"AttributeName": "watch_due", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield load("deliver_webhooks")


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as somebody:
        somebody.secret = KEY
        yield somebody


def store() -> HookStore:
    dynamodb = boto3.client("dynamodb")
    versions = hook_versions(DynamoTable(dynamodb, "keys"))
    return HookStore(DynamoTable(dynamodb, "notifications"), TEXTS, versions)


def told() -> Told:
    return Told.of("NotificationRead", {"id": "o-1", "ticket_id": "TCK-1"}, 1_800_000_000_000)


def record(app: ModuleType, receives: int = 1, body: str | None = None) -> dict[str, Any]:
    """An order as Lambda brings it, taken from a real queue."""
    sqs, url = boto3.client("sqs"), app.config().queue_url
    sqs.send_message(
        QueueUrl=url,
        MessageBody=body or Order.of("h-1", told()).to_json(),
        MessageGroupId=f"g{receives}",
        MessageDeduplicationId=str(receives),
    )
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }


def run(app: ModuleType, one: dict[str, Any]) -> list[dict[str, str]]:
    failed: list[dict[str, str]] = app.lambda_handler({"Records": [one]}, Context())["batchItemFailures"]
    return failed


def test_an_outcome_is_posted_and_verified(app: ModuleType, listener: Listener) -> None:
    store().add(Endpoint("h-1", f"{listener.url}/hook", KEY))
    assert run(app, record(app)) == []
    assert [one["type"] for one in listener.heard] == ["notification.read"]
    assert listener.refused == []


def test_what_fails_comes_again_from_the_queue_in_five_seconds(app: ModuleType, listener: Listener) -> None:
    listener.statuses += [500]
    store().add(Endpoint("h-1", f"{listener.url}/hook", KEY))
    one = record(app)
    assert run(app, one) == [{"itemIdentifier": one["messageId"]}]
    assert run(app, one) == []
    assert len(listener.heard) == 1


@pytest.mark.slow
def test_the_schedule_s_call_puts_what_is_due_into_the_queue(app: ModuleType, listener: Listener) -> None:
    listener.statuses += [500, 500]
    store().add(Endpoint("h-1", f"{listener.url}/hook", KEY))
    one = record(app)
    run(app, one)
    run(app, one)
    assert app.lambda_handler({}, Context()) == {"enqueued": 0}
    delivery = store().get("h-1", told().turn)
    assert delivery is not None
    assert delivery.due_at is not None
    app.deliveries()._clock = lambda: delivery.due_at / 1000 + 1
    assert app.lambda_handler({}, Context()) == {"enqueued": 1}


def test_what_is_no_order_is_dropped(app: ModuleType) -> None:
    assert run(app, record(app, body='{"nothing": "of ours"}')) == []


def test_what_nobody_foresaw_comes_again_and_is_counted_when_the_queue_gives_it_up(
    app: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    store().add(Endpoint("h-1", "https://desk.example.com/", KEY))

    def broken(order: Order) -> None:
        raise ZeroDivisionError

    app.deliveries().carry_out = app.deliveries().put_aside = broken
    one = record(app)
    assert run(app, one) == [{"itemIdentifier": one["messageId"]}]
    assert "WebhooksDead" not in capsys.readouterr().out
    run(app, {**one, "attributes": {"ApproximateReceiveCount": "50"}})
    told_metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert any("WebhooksDead" in line for line in told_metrics)


def test_what_nobody_foresaw_comes_again_soon_for_its_group_waits_behind_it(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(order: Order) -> None:
        raise ConnectionError

    app.deliveries().carry_out = app.deliveries().put_aside = away
    seconds: list[int] = []
    monkeypatch.setattr(
        app.redelivery(), "_let_be_seen", lambda records: seconds.extend(after for _, after in records)
    )
    one = record(app)
    for receives in ("1", "2", "20"):
        run(app, {**one, "attributes": {"ApproximateReceiveCount": receives}})
    assert seconds == [2, 4, 300]


def test_neither_url_nor_secret_nor_words_are_logged(
    app: ModuleType, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    listener.statuses += [500]
    store().add(Endpoint("h-1", f"{listener.url}/hook?token=s3cret", KEY))
    run(app, record(app))
    logged = capsys.readouterr().out
    assert "webhook" in logged
    for word in ("s3cret", KEY, "TCK-1"):
        assert word not in logged


# -- its rights --------------------------------------------------------------------------------------------


IN_THE_TEMPLATE = {
    "table/keys": "table/KeysTable",
    "table/notifications": "table/NotificationsTable",
    "table/notifications/index/watch": "table/NotificationsTable/index/watch",
    "sqs:hooks.fifo": "sqs:HooksQueue",
    "secret:texts": "secret:TextsSecret",
}
BY_LAMBDA = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
"""What brings the orders asks for these."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> set[Call]:
    """The calls that are made of AWS from here on, as IAM sees them."""
    return noted("deliver_webhooks", IN_THE_TEMPLATE, monkeypatch)


def test_two_outcomes_behind_one_that_fails_need_every_right_and_no_other(
    app: ModuleType, listener: Listener, made: set[Call]
) -> None:
    listener.statuses += [500, 500]
    store().add(Endpoint("h-1", f"{listener.url}/hook", KEY))
    outcomes = [
        Told.of("NotificationRead", {"id": f"o-{number}", "ticket_id": "TCK-1"}, 1_800_000_000_000 + number)
        for number in (1, 2, 3)
    ]
    orders = [record(app, number, Order.of("h-1", one).to_json()) for number, one in enumerate(outcomes, 1)]
    made.clear()
    for one in (orders[0], *orders):
        run(app, one)
    delivery = store().get("h-1", outcomes[0].turn)
    assert delivery is not None
    assert delivery.due_at is not None
    app.deliveries()._clock = lambda: delivery.due_at / 1000 + 1
    app.lambda_handler({}, Context())
    app.deliveries()._clock = time.time
    for _ in outcomes:
        called = boto3.client("sqs").receive_message(QueueUrl=app.config().queue_url)
        [message] = called["Messages"]
        run(app, {**orders[0], "body": message["Body"]})
        boto3.client("sqs").delete_message(
            QueueUrl=app.config().queue_url, ReceiptHandle=message["ReceiptHandle"]
        )
    told = [store().get("h-1", one.turn) for one in outcomes]
    assert [one and one.state for one in told] == [DELIVERED] * 3
    by_function = {call for call in made if call.action not in BY_LAMBDA}
    rights = rights_of(deployed({"OutcomeHooks": "on"}), "DeliverWebhooksRole")
    assert without_right(by_function, rights) == []
    unused = {
        (action, of)
        for action, of in without_call(rights, by_function)
        if not action.startswith(("logs:", "kms:"))
    }
    assert {one for one in unused if one[0] not in BY_LAMBDA} == set()
