"""The sending handler, wired as in Lambda but for the socket: what the queue gets back for each outcome."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.handlers import FUNCTIONS, Context, load
from tests.support.wired_functions import House, texts
from tocsin.bootstrap import delivery
from tocsin.notify.config import Environment, MissingVariable, SendConfig
from tocsin.notify.queues import Order
from tocsin.notify.redelivery import Redelivery


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def house(account: AwsAccount) -> House:
    return House(account.furnish())


@pytest.fixture
def app(house: House, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "send_notification")
    module = load("send_notification")
    config = SendConfig.read(
        Environment(
            {
                "KEYS_TABLE": house.aws.keys,
                "NOTIFICATIONS_TABLE": house.aws.notifications,
                "SEALING_SECRET_ARN": "unused",
                "NOTIFICATIONS_QUEUE_URL": house.aws.queues["notifications"],
                "DEAD_LETTERS_QUEUE_URL": house.aws.queues["dead-letters"],
            }
        )
    )
    parts = delivery(
        config,
        dynamodb=house.aws.dynamodb,
        sqs=house.aws.sqs,
        sealer=lambda: house.stage.sealer,
        connector=house.network,
        lease=lambda account: house.stage.lease,
    )
    redelivery = Redelivery(house.aws.sqs, config.notifications_queue_url)
    monkeypatch.setattr(module, "sender", lambda: (parts, redelivery))
    return module


def enqueued(house: House, number: int = 1) -> dict[str, Any]:
    """An order as the event source mapping delivers it."""
    house.stage.now = time.time()
    notification = house.plan(number)
    house.queue.send(notification)
    url = house.aws.queues["notifications"]
    [message] = house.aws.sqs.receive_message(QueueUrl=url)["Messages"]
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


def test_a_sent_order_is_done(app: ModuleType, house: House) -> None:
    answer = app.lambda_handler({"Records": [enqueued(house)]}, Context())
    assert answer == {"batchItemFailures": []}
    assert texts(house.siti.devices[0]) == ["Tiket 1"]


def test_an_order_for_a_retry_stays_in_the_queue_for_its_delay(app: ModuleType, house: House) -> None:
    record = enqueued(house)
    house.network.lose_acks = 1
    answer = app.lambda_handler({"Records": [record]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    assert app.lambda_handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
    assert texts(house.siti.devices[0]) == ["Tiket 1"]


def test_what_nobody_foresaw_is_told_and_left_to_the_queue(
    app: ModuleType, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    record = {**enqueued(house), "body": "not json"}
    answer = app.lambda_handler({"Records": [record]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}


def test_an_order_in_another_lane_is_counted_and_not_sent(
    app: ModuleType, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    record = enqueued(house)
    record["attributes"]["MessageGroupId"] = "default#6281399998888"
    assert app.lambda_handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
    assert house.network.messages == []
    assert '"OrdersMismatched":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_after_a_failure_later_orders_of_a_batch_wait_too(app: ModuleType, house: House) -> None:
    first = enqueued(house, 1)
    second = {**first, "messageId": "second", "body": json.dumps(Order.of(house.plan(2)).to_json())}
    house.network.lose_acks = 1
    answer = app.lambda_handler({"Records": [first, second]}, Context())
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [
        first["messageId"],
        "second",
    ]
    assert len(house.network.messages) == 1


def test_metrics_tell_what_became_of_it(
    app: ModuleType, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    app.lambda_handler({"Records": [enqueued(house)]}, Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    [metrics] = [line for line in lines if "_aws" in line]
    assert metrics["NotificationsSent"] == [1.0]


def test_logs_hold_neither_text_nor_number(
    app: ModuleType, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    app.lambda_handler({"Records": [enqueued(house)]}, Context())
    printed = capsys.readouterr()
    told = printed.out + printed.err
    assert house.siti.phone not in told
    assert "Tiket" not in told


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("send_notification")
    for name in ("KEYS_TABLE", "NOTIFICATIONS_TABLE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingVariable) as raised:
        module.sender()
    assert raised.value.name == "KEYS_TABLE"


HEAVY = {
    "aws_xray_sdk",
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
    "NOTIFICATIONS_QUEUE_URL": "unused",
    "DEAD_LETTERS_QUEUE_URL": "unused",
    "AWS_DEFAULT_REGION": "ap-southeast-3",
    "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
}


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
