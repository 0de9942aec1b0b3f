"""The receiving handler, wired as in Lambda but for the socket: batches, order, and what is deferred."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.fake_whatsapp import message_from
from tests.support.handlers import Context, load
from tests.support.wired_functions import House, receipt_of, texts
from tocsin.bootstrap import inbound
from tocsin.connector_client.client import ConnectorAway
from tocsin.notify.config import Environment, ReceiveConfig
from tocsin.notify.notification import State
from tocsin.notify.redelivery import Redelivery
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.node import Node


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def house(account: AwsAccount) -> House:
    house = House(account.furnish())
    house.stage.now = time.time()
    return house


@pytest.fixture
def app(house: House, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "receive_stanza")
    module = load("receive_stanza")
    config = ReceiveConfig.read(
        Environment(
            {
                "KEYS_TABLE": house.aws.keys,
                "NOTIFICATIONS_TABLE": house.aws.notifications,
                "SEALING_SECRET_ARN": "unused",
                "STANZAS_QUEUE_URL": house.aws.queues["stanzas"],
                "NOTIFICATIONS_QUEUE_URL": house.aws.queues["notifications"],
                "DEAD_LETTERS_QUEUE_URL": house.aws.queues["dead-letters"],
            }
        )
    )
    parts = inbound(
        config,
        dynamodb=house.aws.dynamodb,
        sqs=house.aws.sqs,
        sealer=lambda: house.stage.sealer,
        connector=house.network,
        lease=lambda account: house.stage.lease,
    )
    redelivery = Redelivery(house.aws.sqs, config.stanzas_queue_url)
    monkeypatch.setattr(module, "receiver", lambda: (parts, redelivery))
    yield module
    logging.getLogger("tocsin").handlers = []


def enqueued(house: House, node: Node, group: str = "default#1234@lid", receives: int = 1) -> dict[str, Any]:
    """A stanza as the event source mapping delivers it."""
    url = house.aws.queues["stanzas"]
    house.aws.sqs.send_message(
        QueueUrl=url,
        MessageBody=house.envelope(node),
        MessageGroupId=f"{group}{time.monotonic_ns()}",  # so that moto hands it out at once
        MessageDeduplicationId=str(time.monotonic_ns()),
    )
    [message] = house.aws.sqs.receive_message(QueueUrl=url)["Messages"]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": str(receives), "MessageGroupId": group},
        "eventSource": "aws:sqs",
    }


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_receipt_moves_the_notification(app: ModuleType, house: House) -> None:
    notification = house.tell(1)
    record = enqueued(house, receipt_of(house.siti, notification.message_id))
    assert failed(app.lambda_handler({"Records": [record]}, Context())) == []
    assert house.stored(notification).state is State.DELIVERED


def test_a_retry_receipt_heals(app: ModuleType, house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.tell(1)
    house.siti.devices[0].corrupt()
    house.tell(2)
    record = enqueued(house, house.network.retries.pop())
    app.lambda_handler({"Records": [record]}, Context())
    assert texts(house.siti.devices[0]) == ["Tiket 1", "Tiket 2"]
    assert '"cause":"bad-mac"' in capsys.readouterr().out.replace(" ", "")


def test_what_needs_the_connector_is_put_off_and_its_sender_with_it(app: ModuleType, house: House) -> None:
    notification = house.tell(1)
    device = house.siti.devices[0]
    first = enqueued(house, message_from(device, house.siti, "R1", "satu"))
    second = enqueued(house, message_from(device, house.siti, "R2", "dua"))
    other = enqueued(house, receipt_of(house.siti, notification.message_id), group="default#other")
    house.network.away = ConnectorAway("gone")
    answer = app.lambda_handler({"Records": [first, second, other]}, Context())
    assert failed(answer) == [first["messageId"], second["messageId"]]
    assert house.stored(notification).state is State.DELIVERED


def test_a_stanza_that_only_waits_is_never_buried_as_one_that_crashes(app: ModuleType, house: House) -> None:
    house.tell(1)
    node = message_from(house.siti.devices[0], house.siti, "R1", "satu")
    house.network.away = ConnectorAway("gone")
    record = enqueued(house, node, receives=4)
    assert failed(app.lambda_handler({"Records": [record]}, Context())) == []
    house.aws.sqs.delete_message(QueueUrl=house.aws.queues["stanzas"], ReceiptHandle=record["receiptHandle"])
    assert house.aws.messages("stanzas") == [json.loads(record["body"])]


def test_a_malformed_record_is_done_and_the_rest_goes_on(app: ModuleType, house: House) -> None:
    notification = house.tell(1)
    bad = {**enqueued(house, Node("call")), "body": "{"}
    good = enqueued(house, receipt_of(house.siti, notification.message_id))
    assert failed(app.lambda_handler({"Records": [bad, good]}, Context())) == []
    assert house.stored(notification).state is State.DELIVERED


def hostile(house: House) -> dict[str, Node]:
    """Values that no table, clock or queue can hold, each in a stanza that is well otherwise."""
    message_id, device = house.tell(1).message_id, house.siti.devices[0]
    receipt = receipt_of(house.siti, message_id)
    far = JID("1" * 3000, LID)
    attrs = {"id": "N", "from": house.siti.user, "t": "1"}
    return {
        "message id": message_from(device, house.siti, "A" * 3000, "STOP"),
        "message t": message_from(device, house.siti, "M", "STOP", t="9" * 18),
        "resend count": message_from(device, house.siti, "M", "STOP", count="9" * 18),
        "receipt t": Node("receipt", {**receipt.attrs, "t": "9" * 18}),
        "receipt from": Node("receipt", {**receipt.attrs, "from": far}),
        "call from": Node("call", {**attrs, "from": far}),
        "devices": Node("notification", {**attrs, "type": "devices", "lid": far}, (Node("update"),)),
    }


@pytest.mark.parametrize(
    "name",
    ["message id", "message t", "resend count", "receipt t", "receipt from", "call from", "devices"],
)
def test_a_stanza_beyond_all_bounds_is_done_and_no_bug(
    app: ModuleType, house: House, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = enqueued(house, hostile(house)[name])
    assert failed(app.lambda_handler({"Records": [record]}, Context())) == []
    found = measured(capsys)
    assert found["StanzasHandled"] == [1.0]
    assert "Bugs" not in found


def test_logs_hold_neither_text_nor_number(
    app: ModuleType, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.tell(1)
    record = enqueued(house, message_from(house.siti.devices[0], house.siti, "R1", "rahasia"))
    app.lambda_handler({"Records": [record]}, Context())
    printed = capsys.readouterr()
    told = printed.out + printed.err
    assert "rahasia" not in told
    assert house.siti.phone not in told


def measured(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics that were printed (EMF), by name; those with dimensions as (side, cause)."""
    found: dict[str, Any] = {}
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line)
        for group in told.get("_aws", {}).get("CloudWatchMetrics", ()):
            dimensions = {name for names in group["Dimensions"] for name in names}
            for metric in group["Metrics"]:
                value = told[metric["Name"]]
                found[metric["Name"]] = (told["side"], told["cause"]) if "cause" in dimensions else value
    return found


def test_a_recovery_is_measured_by_cause_with_success_and_time(
    app: ModuleType, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.tell(1)
    house.siti.devices[0].corrupt()
    notification = house.tell(2)
    app.lambda_handler({"Records": [enqueued(house, house.network.retries.pop())]}, Context())
    assert measured(capsys)["Recoveries"] == ("theirs", "bad-mac")
    app.lambda_handler(
        {"Records": [enqueued(house, receipt_of(house.siti, notification.message_id))]}, Context()
    )
    healed = measured(capsys)
    assert healed["RecoveriesHealed"] == ("theirs", "bad-mac")
    assert healed["RecoverySuccess"] == [100.0]
    assert 0 <= healed["SecondsToHeal"][0] < 60


def test_a_recovery_that_was_given_up_counts_against_the_rate(
    app: ModuleType, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.tell(1)
    house.siti.devices[0].receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    house.tell(2)
    for _ in range(4):
        capsys.readouterr()
        app.lambda_handler({"Records": [enqueued(house, house.network.retries.pop())]}, Context())
    given_up = measured(capsys)
    assert given_up["RecoveriesGivenUp"] == ("theirs", "bad-mac")
    assert given_up["RecoverySuccess"] == [0.0]
