"""The sending handler, wired as in Lambda but for the socket: what the queue gets back for each outcome."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
from types import ModuleType
from typing import Any

import pytest

from tests.support.handlers import FUNCTIONS, Context, load
from tests.support.sealed_texts import SECRET, TEXTS
from tests.support.templates import properties
from tests.support.wired_functions import WiredFunctions, texts
from tocsin import aws
from tocsin.bootstrap.send_notification import delivery
from tocsin.notify.config import Environment, MissingVariable, SendConfig
from tocsin.notify.gate import BEHIND
from tocsin.notify.lanes import Lane, Record
from tocsin.notify.queues import Order
from tocsin.notify.redelivery import Redelivery
from tocsin.notify.verdict import Verdict


@pytest.fixture
def app(wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "send_notification")
    module = load("send_notification")
    config = SendConfig.read(
        Environment(
            {
                "KEYS_TABLE": wired.aws.keys,
                "NOTIFICATIONS_TABLE": wired.aws.notifications,
                "SEALING_SECRET_ARN": "unused",
                "TEXTS_SECRET_ARN": "unused",
                "NOTIFICATIONS_QUEUE_URL": wired.aws.queues["notifications"],
                "DEAD_LETTERS_QUEUE_URL": wired.aws.queues["dead-letters"],
            }
        )
    )
    parts = delivery(
        config,
        dynamodb=wired.aws.dynamodb,
        sqs=wired.aws.sqs,
        sealer=lambda: wired.paired.sealer,
        texts=TEXTS,
        connector=wired.network,
        lease=lambda account: wired.paired.lease,
    )
    redelivery = Redelivery(wired.aws.sqs, config.notifications_queue_url)
    monkeypatch.setattr(module, "sender", lambda: (parts, redelivery))
    # However slow this machine is, no beat disturbs what is counted here.
    monkeypatch.setattr(module, "HELD_AFTER_SECONDS", 3600.0)
    return module


def enqueued(wired: WiredFunctions, number: int = 1) -> dict[str, Any]:
    """An order as the event source mapping delivers it."""
    wired.paired.now = time.time()
    notification = wired.plan(number)
    wired.queue.send(notification)
    url = wired.aws.queues["notifications"]
    [message] = wired.aws.sqs.receive_message(QueueUrl=url)["Messages"]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {
            "ApproximateReceiveCount": "1",
            "MessageGroupId": Order.parse(message["Body"]).group,
        },
        "eventSource": "aws:sqs",
    }


def test_a_sent_order_is_done(app: ModuleType, wired: WiredFunctions) -> None:
    answer = app.lambda_handler({"Records": [enqueued(wired)]}, Context())
    assert answer == {"batchItemFailures": []}
    assert texts(wired.siti.devices[0]) == ["Tiket 1"]


def test_an_order_for_a_retry_stays_in_the_queue_for_its_delay(
    app: ModuleType, wired: WiredFunctions
) -> None:
    record = enqueued(wired)
    wired.network.lose_acks = 1
    answer = app.lambda_handler({"Records": [record]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    assert app.lambda_handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
    assert texts(wired.siti.devices[0]) == ["Tiket 1"]


def raising(app: ModuleType, monkeypatch: pytest.MonkeyPatch, message_id: str) -> None:
    """Have one record raise what nobody foresaw."""
    plain = app.deliver

    def deliver(record: Any, *, alone: bool) -> Verdict:
        if record.message_id == message_id:
            raise RuntimeError
        return plain(record, alone=alone)  # type: ignore[no-any-return]

    monkeypatch.setattr(app, "deliver", deliver)


def test_what_nobody_foresaw_is_told_and_left_to_the_queue(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = enqueued(wired)
    raising(app, monkeypatch, record["messageId"])
    answer = app.lambda_handler({"Records": [record]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}


def test_what_is_no_order_holds_up_nobody_and_rings_as_a_bug(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    behind = enqueued(wired)
    broken = behind | {"messageId": "broken", "receiptHandle": "broken", "body": "not json"}
    assert app.lambda_handler({"Records": [broken, behind]}, Context()) == {"batchItemFailures": []}
    assert len(wired.network.messages) == 1
    assert '"Bugs":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_an_order_in_another_lane_is_counted_and_not_sent(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    record = enqueued(wired)
    record["attributes"]["MessageGroupId"] = "default#6281399998888"
    assert app.lambda_handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
    assert wired.network.messages == []
    assert '"OrdersMismatched":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_after_a_failure_later_orders_of_a_batch_wait_too(app: ModuleType, wired: WiredFunctions) -> None:
    first = enqueued(wired, 1)
    second = {**first, "messageId": "second", "body": json.dumps(Order.of(wired.plan(2)).to_json())}
    wired.network.lose_acks = 1
    answer = app.lambda_handler({"Records": [first, second]}, Context())
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [
        first["messageId"],
        "second",
    ]
    assert len(wired.network.messages) == 1


def test_what_waits_in_a_lane_is_out_of_sight_together(app: ModuleType, wired: WiredFunctions) -> None:
    """Or it would keep the lane closed for a timeout of the queue after its first order is due again."""
    first = enqueued(wired, 1)
    wired.queue.send(wired.plan(2))
    url = wired.aws.queues["notifications"]
    wired.aws.sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=first["receiptHandle"], VisibilityTimeout=0
    )
    messages = wired.aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    records = [
        {**first, "messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"], "body": one["Body"]}
        for one in messages
    ]
    changed: list[dict[str, Any]] = []
    events = wired.aws.sqs.meta.events
    note = lambda params, **_: changed.append(params)  # noqa: E731
    events.register("provide-client-params.sqs.ChangeMessageVisibilityBatch", note)
    wired.network.lose_acks = 1
    try:
        app.lambda_handler({"Records": records}, Context())
    finally:
        events.unregister("provide-client-params.sqs.ChangeMessageVisibilityBatch", note)
    [request] = changed
    assert len({entry["VisibilityTimeout"] for entry in request["Entries"]}) == 1
    assert [entry["ReceiptHandle"] for entry in request["Entries"]] == [
        record["receiptHandle"] for record in records
    ]


def test_a_queue_that_takes_nothing_back_keeps_what_is_done_done(
    app: ModuleType, wired: WiredFunctions
) -> None:
    first = enqueued(wired, 1)
    second = {**first, "messageId": "second", "receiptHandle": "expired"}
    second["body"] = json.dumps(Order.of(wired.plan(2)).to_json())
    deliver = app.deliver
    app.deliver = lambda record, *, alone: (  # type: ignore[attr-defined]
        deliver(record, alone=alone)
        if record.message_id == first["messageId"]
        else Verdict("retry", "slow", again_after=1)
    )
    answer = app.lambda_handler({"Records": [first, second]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "second"}]}


def test_a_batch_is_one_line_and_one_metric_record(
    app: ModuleType,
    wired: WiredFunctions,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = enqueued(wired, 1)
    second = {**first, "messageId": "second", "body": json.dumps(Order.of(wired.plan(2)).to_json())}
    app.lambda_handler({"Records": [first, second]}, Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    [metrics] = [line for line in lines if "_aws" in line]
    assert metrics["NotificationsSent"] == [2.0]
    assert "OrdersDropped" not in metrics
    told = {id(record): record for record in caplog.records if record.getMessage() == "orders carried out"}
    assert [len(vars(record)["orders"]["sent"]) for record in told.values()] == [2]


def test_metrics_tell_what_became_of_it(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    app.lambda_handler({"Records": [enqueued(wired)]}, Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    [metrics] = [line for line in lines if "_aws" in line]
    assert metrics["NotificationsSent"] == [1.0]


def test_logs_hold_neither_text_nor_number(
    app: ModuleType, wired: WiredFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    app.lambda_handler({"Records": [enqueued(wired)]}, Context())
    printed = capsys.readouterr()
    told = printed.out + printed.err
    assert wired.siti.phone not in told
    assert "Tiket" not in told


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("send_notification")
    for name in ("KEYS_TABLE", "NOTIFICATIONS_TABLE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingVariable) as raised:
        module.sender()
    assert raised.value.name == "KEYS_TABLE"


HEAVY = {
    "asyncio",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_xray_sdk",
    "boto3",
    "aws_lambda_powertools.utilities.parser",
    "google.protobuf",
    "jinja2",
    "jsonschema",
    "phonenumbers",
    "pydantic",
    "websockets",
    "tocsin.multidevice.inbound.messages",
    "tocsin.multidevice.retries",
    "tocsin.multidevice.directory",
    "tocsin.keys.establish",
    "tocsin.keys.receive",
    "tocsin.whatsapp.content",
}


VARIABLES = {
    "KEYS_TABLE": "keys",
    "NOTIFICATIONS_TABLE": "notifications",
    "SEALING_SECRET_ARN": "unused",
    "TEXTS_SECRET_ARN": "unused",
    "NOTIFICATIONS_QUEUE_URL": "unused",
    "DEAD_LETTERS_QUEUE_URL": "unused",
    "AWS_DEFAULT_REGION": "ap-southeast-3",
    "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
}


@pytest.mark.slow
def test_a_cold_start_imports_nothing_heavy() -> None:
    paths = (FUNCTIONS / "send_notification", FUNCTIONS.parent / "layers" / "core")
    environment = {**os.environ, **VARIABLES, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run(
        [sys.executable, "-c", "import sys, app; app.sender(); print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert HEAVY.isdisjoint(done.stdout.split())


def test_garbage_is_collected_again_after_the_start() -> None:
    load("send_notification")
    assert gc.isenabled()
    logging.getLogger("tocsin").handlers = []


class Secrets:
    """Secrets Manager, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        self.asked.append(SecretId)
        return {"SecretString": SECRET}


def test_the_key_of_the_texts_is_fetched_by_the_first_send_and_by_no_other(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets()
    monkeypatch.setattr(aws, "client", {"secretsmanager": secrets}.__getitem__)
    variables = {
        "KEYS_TABLE": wired.aws.keys,
        "NOTIFICATIONS_TABLE": wired.aws.notifications,
        "SEALING_SECRET_ARN": "arn:sealing",
        "TEXTS_SECRET_ARN": "arn:texts",
        "NOTIFICATIONS_QUEUE_URL": wired.aws.queues["notifications"],
        "DEAD_LETTERS_QUEUE_URL": wired.aws.queues["dead-letters"],
    }
    parts = delivery(
        SendConfig.read(Environment(variables)),
        dynamodb=wired.aws.dynamodb,
        sqs=wired.aws.sqs,
        sealer=lambda: wired.paired.sealer,
        connector=wired.network,
        lease=lambda account: wired.paired.lease,
    )
    assert secrets.asked == []
    outcomes = [parts.deliver(Order.of(wired.plan(number))).outcome for number in (1, 2)]
    assert outcomes == ["sent", "sent"]
    assert secrets.asked == ["arn:texts"]


@pytest.mark.parametrize(("receives", "starts_over"), [(49, False), (50, True)])
def test_what_waits_behind_an_order_that_raises_again_and_again_is_not_buried_with_it(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch, receives: int, starts_over: bool
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(Redelivery, "start_over", lambda self, record: copied.append(record.message_id))
    behind = enqueued(wired)
    behind["attributes"]["ApproximateReceiveCount"] = str(receives)
    broken = behind | {"messageId": "broken", "receiptHandle": "broken"}
    raising(app, monkeypatch, "broken")
    answer = app.lambda_handler({"Records": [broken, behind]}, Context())
    left = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert copied == ([behind["messageId"]] if starts_over else [])
    buried_after = properties("NotificationsQueue")["RedrivePolicy"]["maxReceiveCount"]
    assert buried_after == 2 * app.START_OVER_RECEIVES
    assert left == ["broken", *([] if starts_over else [behind["messageId"]])]


@pytest.mark.parametrize(("receives", "starts_over"), [(49, False), (50, True)])
def test_an_order_that_others_left_no_time_starts_over_before_it_would_be_buried(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch, receives: int, starts_over: bool
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(Redelivery, "start_over", lambda self, record: copied.append(record.message_id))
    record = Record.of(enqueued(wired))._replace(receives=receives)
    lane = Lane([record])
    app.give_back(lane)
    assert (copied, list(lane.waiting)) == (([record.message_id], []) if starts_over else ([], [record]))


def test_what_starts_over_is_not_overtaken_by_what_lies_behind_it_in_the_queue(
    app: ModuleType, wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Redelivery, "start_over", lambda self, record: None)
    first, second = wired.plan(1), wired.plan(2)
    body = json.dumps(Order.of(first).to_json())
    app.give_back(Lane([Record("m1", "h1", body, Order.of(first).group, app.START_OVER_RECEIVES)]))
    assert wired.deliver(second) == Verdict("parked", BEHIND)
    assert wired.deliver(first) == Verdict("sent")
