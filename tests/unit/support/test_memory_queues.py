"""The queues in memory answer as moto's SQS does, call by call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.memory_queues import MemoryQueues, take_all


@dataclass
class Queues:
    """A plain queue and a FIFO queue, both empty."""

    sqs: Any
    plain: str
    fifo: str

    def put(self, *bodies: int, group: str = "g") -> None:
        for body in bodies:
            self.sqs.send_message(
                QueueUrl=self.fifo,
                MessageBody=json.dumps(body),
                MessageGroupId=group,
                MessageDeduplicationId=f"{group}{body}",
            )

    def receive(self, url: str, most: int = 10) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=most, VisibilityTimeout=60, MessageAttributeNames=["All"]
        )
        return answer.get("Messages", [])

    def give_back(self, url: str, *messages: dict[str, Any]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, message in enumerate(messages)
        ]
        self.sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)

    def depth(self, url: str) -> tuple[str, str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return counts[names[0]], counts[names[1]]


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture(params=["memory", "moto"])
def queues(request: pytest.FixtureRequest, account: AwsAccount) -> Queues:
    if request.param == "memory":
        return Queues(MemoryQueues(), "plain", "queue.fifo")
    furnished = account.furnish()
    plain = furnished.sqs.create_queue(QueueName=f"{furnished.keys}-plain")["QueueUrl"]
    return Queues(furnished.sqs, plain, furnished.queues["notifications"])


def bodies(messages: list[dict[str, Any]]) -> list[int]:
    return [json.loads(message["Body"]) for message in messages]


def test_an_empty_queue_has_no_messages(queues: Queues) -> None:
    assert queues.receive(queues.plain) == []
    assert queues.depth(queues.plain) == ("0", "0")


def test_a_message_comes_with_its_attributes(queues: Queues) -> None:
    told = {"reason": {"DataType": "String", "StringValue": "invalid-event"}}
    queues.sqs.send_message(QueueUrl=queues.plain, MessageBody="1", MessageAttributes=told)
    queues.sqs.send_message(QueueUrl=queues.plain, MessageBody="2")
    first, second = queues.receive(queues.plain)
    assert first["MessageAttributes"]["reason"]["StringValue"] == "invalid-event"
    assert "MessageAttributes" not in second
    assert len({first["MessageId"], second["MessageId"]}) == 2


def test_what_was_received_is_hidden_and_counted_so(queues: Queues) -> None:
    queues.put(1)
    assert bodies(queues.receive(queues.fifo)) == [1]
    assert queues.receive(queues.fifo) == []
    assert queues.depth(queues.fifo) == ("0", "1")


def test_ten_come_at_once(queues: Queues) -> None:
    queues.put(*range(12))
    assert bodies(queues.receive(queues.fifo)) == list(range(10))


def test_while_some_of_a_group_are_held_the_others_are_kept_back(queues: Queues) -> None:
    queues.put(1, 2)
    queues.put(3, group="h")
    assert bodies(queues.receive(queues.fifo, most=1)) == [1]
    assert bodies(queues.receive(queues.fifo)) == [3]


def test_the_next_of_a_group_comes_when_those_before_are_deleted(queues: Queues) -> None:
    queues.put(1, 2)
    [first] = queues.receive(queues.fifo, most=1)
    queues.sqs.delete_message(QueueUrl=queues.fifo, ReceiptHandle=first["ReceiptHandle"])
    assert bodies(queues.receive(queues.fifo)) == [2]


def test_what_is_given_back_comes_again_in_its_order(queues: Queues) -> None:
    queues.put(1, 2, 3)
    queues.give_back(queues.fifo, *queues.receive(queues.fifo))
    assert queues.depth(queues.fifo) == ("3", "0")
    assert bodies(queues.receive(queues.fifo)) == [1, 2, 3]


def test_one_is_given_back_alone(queues: Queues) -> None:
    queues.sqs.send_message(QueueUrl=queues.plain, MessageBody="1")
    [message] = queues.receive(queues.plain)
    queues.sqs.change_message_visibility(
        QueueUrl=queues.plain, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    assert [one["MessageId"] for one in queues.receive(queues.plain)] == [message["MessageId"]]


def test_a_fifo_queue_folds_what_it_has_seen(queues: Queues) -> None:
    queues.put(1, 1, 2)
    assert take_all(queues.sqs, queues.fifo) == [1, 2]


def test_in_memory_it_folds_what_is_gone_as_well() -> None:
    """As SQS does within five minutes; moto looks only at what it still has."""
    queues = Queues(MemoryQueues(), "plain", "queue.fifo")
    queues.put(1)
    assert take_all(queues.sqs, queues.fifo) == [1]
    queues.put(1)
    assert take_all(queues.sqs, queues.fifo) == []


def test_a_batch_arrives_in_its_order(queues: Queues) -> None:
    entries = [
        {"Id": str(n), "MessageBody": str(n), "MessageGroupId": "g", "MessageDeduplicationId": str(n)}
        for n in range(3)
    ]
    queues.sqs.send_message_batch(QueueUrl=queues.fifo, Entries=entries)
    assert take_all(queues.sqs, queues.fifo) == [0, 1, 2]
    assert queues.depth(queues.fifo) == ("0", "0")
