"""What lies in the queues, byte for byte as the contract says, and what never fits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from tests.support.fake_aws import AwsAccount, Cloud, aws_account
from tests.support.notifications import a_notification
from tocsin.notify.notification import Attempt, Problem
from tocsin.notify.queues import (
    DeadLettersQueue,
    EnqueueFailed,
    NotificationsQueue,
    Order,
    TicketEventsDeadQueue,
)

N = a_notification(
    generation=3,
)


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def aws(account: AwsAccount) -> Cloud:
    return account.furnish()


def received(aws: Cloud, queue: str) -> list[dict[str, Any]]:
    answer = aws.sqs.receive_message(
        QueueUrl=aws.queues[queue],
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def test_an_order_names_the_notification_and_no_text(aws: Cloud) -> None:
    NotificationsQueue(aws.sqs, aws.queues["notifications"]).send(N, resumed=True)
    (message,) = received(aws, "notifications")
    assert json.loads(message["Body"]) == {
        "notification": N.id,
        "account": "default",
        "recipient": "6281234567890",
        "audience": "customer",
        "generation": 3,
        "resumed": True,
    }
    assert message["Attributes"]["MessageGroupId"] == "default#6281234567890"
    assert message["Attributes"]["MessageDeduplicationId"] == "0123456789abcdef01.3"
    assert Order.parse(message["Body"]) == Order.of(N, resumed=True)


def test_many_orders_keep_their_order_across_batches(aws: Cloud) -> None:
    many = [replace(N, id=f"{number:018}") for number in range(23)]
    NotificationsQueue(aws.sqs, aws.queues["notifications"]).send_all(many)
    told = [order["notification"] for order in aws.messages("notifications")]
    assert told == [one.id for one in many]


def test_nothing_to_send_asks_nothing() -> None:
    NotificationsQueue(None, "").send_all([])


def test_a_refused_entry_is_an_error() -> None:
    class Refusing:
        def send_message_batch(self, **_: Any) -> Any:
            return {"Successful": [], "Failed": [{"Id": "0", "Message": "throttled"}]}

    with pytest.raises(EnqueueFailed, match="throttled"):
        NotificationsQueue(Refusing(), "url").send_all([N])


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"notification": "x"}', "null", '{"generation": "x"}'])
def test_a_body_that_is_no_order_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Order.parse(body)


def test_a_dead_letter_tells_reason_and_history(aws: Cloud) -> None:
    attempt = Attempt("ack-timeout", 1_000, "retry", "no ack", {"628@s.whatsapp.net": 4})
    dead = replace(N, attempts=(attempt,))
    queue = DeadLettersQueue(aws.sqs, aws.queues["dead-letters"])
    queue.send(dead, Problem("gone", "permanent", "left WhatsApp"), 1_800_000_000_000)
    (message,) = received(aws, "dead-letters")
    body = json.loads(message["Body"])
    assert (body["reason"], body["class"], body["detail"]) == ("gone", "permanent", "left WhatsApp")
    assert body["failed_at"] == "2027-01-15T08:00:00.000Z"
    assert body["attempts"] == [attempt.to_json()]
    assert body["notification"] == N.id
    assert message["MessageAttributes"]["reason"]["StringValue"] == "gone"
    assert message["Attributes"]["MessageDeduplicationId"] == "0123456789abcdef01.3.dead"


def test_the_same_dead_letter_told_twice_is_one(aws: Cloud) -> None:
    queue = DeadLettersQueue(aws.sqs, aws.queues["dead-letters"])
    for _ in range(2):
        queue.send(N, Problem("gone", "permanent"), 1_000)
    assert len(aws.messages("dead-letters")) == 1


@pytest.mark.parametrize("body", ["{}", "x" * 300_000, '"\\' * 130_000, "🔥" * 65_000])
@pytest.mark.parametrize("violations", [["detail: is missing"], ["v" * 100] * 5_000])
def test_an_invalid_event_is_kept_with_its_violations_and_always_fits(
    aws: Cloud, body: str, violations: list[str]
) -> None:
    sqs = boto3.client("sqs", region_name="ap-southeast-3")
    url = sqs.create_queue(QueueName="ticket-events-dead")["QueueUrl"]
    TicketEventsDeadQueue(sqs, url).send(body, violations, 1_000)
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert len(message["Body"].encode()) <= 256 * 1024
    letter = json.loads(message["Body"])
    assert body.startswith(letter["event"])
    assert letter["event"]
    assert letter["violations"][0] == violations[0]
    assert message["MessageAttributes"]["reason"]["StringValue"] == "invalid-event"
