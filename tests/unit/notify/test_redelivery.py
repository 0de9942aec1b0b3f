"""Records that can't be done now: how long they stay away, and that waiting is never taken for crashing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.fake_aws import AwsAccount, Cloud, aws_account
from tocsin.notify.failure import Failure, Retry, Wait
from tocsin.notify.lanes import Record
from tocsin.notify.redelivery import RECEIVES_BEFORE_RENEWAL, Redelivery, received_at, wait_seconds

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def aws(account: AwsAccount) -> Cloud:
    return account.furnish()


def received(aws: Cloud, receives: int = 1, *, age: float = 0.0) -> Record:
    """A stanza as SQS has just delivered it."""
    url = aws.queues["stanzas"]
    body = json.dumps({"received_at": int((NOW - age) * 1000)})
    aws.sqs.send_message(
        QueueUrl=url, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=f"{receives}{age}"
    )
    [message] = aws.sqs.receive_message(QueueUrl=url)["Messages"]
    return Record("m", message["ReceiptHandle"], body, "g", receives)


def waited(aws: Cloud, record: Record, failure: Failure | None = None) -> float | None:
    redelivery = Redelivery(aws.sqs, aws.queues["stanzas"])
    return redelivery.wait_for(record, failure or Wait("not-connected"), int(NOW * 1000))


@pytest.mark.parametrize(("receives", "seconds"), [(1, 1), (2, 2), (3, 4), (10, 300)])
def test_each_wait_is_longer_than_the_last(aws, receives, seconds):
    assert waited(aws, received(aws, receives)) == seconds


def test_before_it_is_long_taken_for_a_crasher_a_copy_starts_over(aws):
    record = received(aws, receives=RECEIVES_BEFORE_RENEWAL + 1)
    assert waited(aws, record) is None
    Redelivery(aws.sqs, aws.queues["stanzas"]).forget([record.handle])
    assert aws.messages("stanzas") == [json.loads(record.body)]


def test_while_a_connector_is_away_for_half_an_hour_nothing_is_overtaken():
    """Renewed, a stanza goes on at the end of its sender's lane."""
    waits = [wait_seconds(receives) for receives in range(1, RECEIVES_BEFORE_RENEWAL + 1)]
    assert sum(waits) >= 1800


def test_before_a_day_is_over_it_is_not_given_up(aws):
    assert waited(aws, received(aws, age=86_000)) == 1


def test_after_a_day_it_is_given_up_by_name(aws):
    with pytest.raises(Wait):
        waited(aws, received(aws, age=90_000))


def test_a_server_that_asks_for_patience_gets_it(aws):
    assert waited(aws, received(aws), Retry("server-error", not_before=120)) == 120


def test_a_lane_that_is_given_back_is_seen_again(aws):
    record = received(aws)
    Redelivery(aws.sqs, aws.queues["stanzas"]).give_back([record.handle], 0)
    assert aws.messages("stanzas") == [json.loads(record.body)]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"received_at": "soon"}'])
def test_a_body_without_a_time_counts_as_ancient(body):
    assert received_at(body) == 0
