"""The two tables and the queues on moto, with the keys and indexes that the template gives them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.memory_queues import FIFO_QUEUES, PLAIN_QUEUES, take_all
from tocsin.dynamo.table import DynamoTable

REGION = "ap-southeast-3"
KEYS = "keys"
NOTIFICATIONS = "notifications"


@dataclass
class Cloud:
    """What the functions see of AWS: tables and queues that no other test has."""

    dynamodb: Any
    sqs: Any
    keys: str
    notifications: str
    queues: dict[str, str]

    @property
    def notifications_table(self) -> DynamoTable:
        return DynamoTable(self.dynamodb, self.notifications)

    @property
    def keys_table(self) -> DynamoTable:
        return DynamoTable(self.dynamodb, self.keys)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take every message of a queue off it; bodies parsed."""
        return take_all(self.sqs, self.queues[queue])


class AwsAccount:
    """An AWS account in memory. Clients are dear and made once, tables are cheap and made for each test."""

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb", region_name=REGION)
        self.sqs = boto3.client("sqs", region_name=REGION)
        self._numbers = itertools.count()

    def furnish(self, suffix: str | None = None) -> Cloud:
        """Tables and queues with the keys and indexes that the template gives them."""
        suffix = f"-{next(self._numbers)}" if suffix is None else suffix
        keys, notifications = KEYS + suffix, NOTIFICATIONS + suffix
        schema = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        text = [
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "watching", "ticket_id")
        ]
        self.dynamodb.create_table(
            TableName=keys, KeySchema=schema, AttributeDefinitions=text[:2], BillingMode="PAY_PER_REQUEST"
        )
        watch = [
            {"AttributeName": "watching", "KeyType": "HASH"},
            {"AttributeName": "watch_due", "KeyType": "RANGE"},
        ]
        ticket = [{"AttributeName": "ticket_id", "KeyType": "HASH"}]
        self.dynamodb.create_table(
            TableName=notifications,
            KeySchema=schema,
            AttributeDefinitions=[*text, {"AttributeName": "watch_due", "AttributeType": "N"}],
            GlobalSecondaryIndexes=[
                {"IndexName": "watch", "KeySchema": watch, "Projection": {"ProjectionType": "KEYS_ONLY"}},
                {"IndexName": "ticket", "KeySchema": ticket, "Projection": {"ProjectionType": "KEYS_ONLY"}},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        queues = {
            name: self.sqs.create_queue(
                QueueName=f"{name}{suffix}.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "30"}
            )["QueueUrl"]
            for name in FIFO_QUEUES
        } | {name: self.sqs.create_queue(QueueName=f"{name}{suffix}")["QueueUrl"] for name in PLAIN_QUEUES}
        return Cloud(self.dynamodb, self.sqs, keys, notifications, queues)


@contextmanager
def aws_account() -> Iterator[AwsAccount]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield AwsAccount()


@contextmanager
def cloud() -> Iterator[Cloud]:
    """An account of one's own, whose tables are `KEYS` and `NOTIFICATIONS`."""
    with aws_account() as account:
        yield account.furnish("")
