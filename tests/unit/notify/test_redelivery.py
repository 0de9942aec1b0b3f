"""Records that can't be done now: how long they stay away, and that waiting is never taken for crashing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.fake_aws import AwsAccount, Cloud, aws_account
from tocsin.notify.failure import Retry, Wait
from tocsin.notify.redelivery import DeliverAgain, Received, Redelivery, received_at

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def aws(account: AwsAccount) -> Cloud:
    return account.furnish()


def received(aws: Cloud, receives: int = 1, *, age: float = 0.0) -> Received:
    """A stanza as SQS has just delivered it."""
    url = aws.queues["stanzas"]
    body = json.dumps({"received_at": int((NOW - age) * 1000)})
    aws.sqs.send_message(
        QueueUrl=url, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=f"{receives}{age}"
    )
    [message] = aws.sqs.receive_message(QueueUrl=url)["Messages"]
    return Received(body, message["ReceiptHandle"], "g", receives, received_at(body))


@pytest.mark.parametrize(("receives", "seconds"), [(1, 15), (2, 30), (3, 60), (10, 300)])
def test_each_wait_is_longer_than_the_last(aws, receives, seconds):
    with pytest.raises(DeliverAgain) as raised:
        Redelivery(aws.sqs, aws.queues["stanzas"]).wait_for(
            received(aws, receives), Wait("not-connected"), NOW * 1000
        )
    assert raised.value.seconds == seconds


def test_before_the_queue_takes_it_for_a_crasher_a_copy_starts_over(aws):
    record = received(aws, receives=11)
    Redelivery(aws.sqs, aws.queues["stanzas"]).wait_for(record, Wait("not-connected"), NOW * 1000)
    aws.sqs.delete_message(QueueUrl=aws.queues["stanzas"], ReceiptHandle=record.handle)
    assert aws.messages("stanzas") == [json.loads(record.body)]


def test_before_a_day_is_over_it_is_not_given_up(aws):
    record = received(aws, age=86_000)
    with pytest.raises(DeliverAgain):
        Redelivery(aws.sqs, aws.queues["stanzas"]).wait_for(record, Wait("not-connected"), NOW * 1000)


def test_after_a_day_it_is_given_up_by_name(aws):
    with pytest.raises(Wait):
        Redelivery(aws.sqs, aws.queues["stanzas"]).wait_for(
            received(aws, age=90_000), Wait("not-connected"), NOW * 1000
        )


def test_a_server_that_asks_for_patience_gets_it(aws):
    with pytest.raises(DeliverAgain) as raised:
        Redelivery(aws.sqs, aws.queues["stanzas"]).wait_for(
            received(aws), Retry("server-error", not_before=120), NOW * 1000
        )
    assert raised.value.seconds == 120


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"received_at": "soon"}'])
def test_a_body_without_a_time_counts_as_ancient(body):
    assert received_at(body) == 0
