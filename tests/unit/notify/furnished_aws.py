"""The two tables and the FIFO queues on moto, with the keys and indexes that the template gives them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto import mock_aws

REGION = "ap-southeast-3"
KEYS = "keys"
NOTIFICATIONS = "notifications"


@dataclass
class Cloud:
    """What the functions see of AWS."""

    dynamodb: Any
    sqs: Any
    queues: dict[str, str]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take every message of a queue off it; bodies parsed, attributes as text."""
        taken = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=self.queues[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            if not answer.get("Messages"):
                return taken
            for message in answer["Messages"]:
                self.sqs.delete_message(QueueUrl=self.queues[queue], ReceiptHandle=message["ReceiptHandle"])
                taken.append(json.loads(message["Body"]))


@contextmanager
def cloud() -> Iterator[Cloud]:
    """An AWS account in memory, with tables and queues."""
    with mock_aws():
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        before = {name: os.environ.get(name) for name in credentials}
        os.environ.update(credentials)
        try:
            yield _furnished()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _furnished() -> Cloud:
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    text = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    dynamodb.create_table(
        TableName=KEYS, KeySchema=keys, AttributeDefinitions=text, BillingMode="PAY_PER_REQUEST"
    )
    dynamodb.create_table(
        TableName=NOTIFICATIONS,
        KeySchema=keys,
        AttributeDefinitions=[
            *text,
            {"AttributeName": "watching", "AttributeType": "S"},
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
    sqs = boto3.client("sqs", region_name=REGION)
    queues = {
        name: sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        for name in ("notifications", "dead-letters", "stanzas")
    }
    return Cloud(dynamodb, sqs, queues)
