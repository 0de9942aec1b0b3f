"""SQS in memory: the calls that Tocsin makes, in botocore's words. The same behaviour as moto's is shown in
`tests/unit/support/test_memory_queues.py`.

A queue is made by its first message. What was received stays hidden until it is deleted or given back: no
clock runs here.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

FIFO_QUEUES = ("notifications", "dead-letters", "stanzas", "hooks")
PLAIN_QUEUES = ("ticket-events", "ticket-events-dead", "receipts")
"""The queues of a deployment that the functions fill."""

MAX_BATCH = 10


@dataclass
class Stored:
    """A message, and the receipt of who holds it (None: it can be received)."""

    message_id: str
    body: str
    attributes: dict[str, Any]
    group: str | None
    receipt: str | None = None

    @property
    def received(self) -> dict[str, Any]:
        """As SQS hands it out."""
        about = {"MessageId": self.message_id, "ReceiptHandle": self.receipt, "Body": self.body}
        return about | ({"MessageAttributes": self.attributes} if self.attributes else {})


@dataclass
class Queue:
    """Its messages, oldest first, and the deduplication ids that it has seen."""

    messages: list[Stored] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def receivable(self) -> Iterator[Stored]:
        """Of a group of which one is held, SQS keeps all others back."""
        busy = {one.group for one in self.messages if one.receipt is not None and one.group is not None}
        return (one for one in self.messages if one.receipt is None and one.group not in busy)

    def held(self, receipt: str) -> Stored | None:
        return next((one for one in self.messages if one.receipt == receipt), None)


class MemoryQueues:
    """All queues of a deployment, by URL. A FIFO queue folds what bears an earlier deduplication id."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._numbers = itertools.count(1)

    def send_message(self, *, QueueUrl: str, **message: Any) -> dict[str, str]:
        return {"MessageId": self._take(QueueUrl, message)}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert 1 <= len(Entries) <= MAX_BATCH, "SQS takes one to ten"
        for entry in Entries:
            self._take(QueueUrl, entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def _take(self, url: str, message: dict[str, Any]) -> str:
        identity, group = message.get("MessageDeduplicationId"), message.get("MessageGroupId")
        assert (identity is not None) is url.endswith(".fifo"), "only FIFO queues fold"
        assert (group is not None) is url.endswith(".fifo"), "only FIFO queues have groups"
        queue, message_id = self._queue(url), f"message-{next(self._numbers)}"
        if identity is None or identity not in queue.known:
            queue.known.add(str(identity))
            attributes = message.get("MessageAttributes") or {}
            queue.messages.append(Stored(message_id, message["MessageBody"], attributes, group))
        return message_id

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int = 1, **_: Any) -> dict[str, Any]:
        assert 1 <= MaxNumberOfMessages <= MAX_BATCH, "SQS gives one to ten"
        taken = [*itertools.islice(self._queue(QueueUrl).receivable(), MaxNumberOfMessages)]
        for one in taken:
            one.receipt = f"receipt-{next(self._numbers)}"
        return {"Messages": [one.received for one in taken]} if taken else {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        queue = self._queue(QueueUrl)
        found = queue.held(ReceiptHandle)
        if found is not None:
            queue.messages.remove(found)

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        found = self._queue(QueueUrl).held(ReceiptHandle)
        if found is not None and VisibilityTimeout == 0:
            found.receipt = None

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        assert 1 <= len(Entries) <= MAX_BATCH, "SQS takes one to ten"
        for entry in Entries:
            self.change_message_visibility(
                QueueUrl=QueueUrl,
                ReceiptHandle=entry["ReceiptHandle"],
                VisibilityTimeout=entry["VisibilityTimeout"],
            )
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        messages = self._queue(QueueUrl).messages
        hidden = sum(one.receipt is not None for one in messages)
        counts = {
            "ApproximateNumberOfMessages": len(messages) - hidden,
            "ApproximateNumberOfMessagesNotVisible": hidden,
        }
        return {"Attributes": {name: str(counts[name]) for name in AttributeNames}}

    def _queue(self, url: str) -> Queue:
        return self._queues.setdefault(url, Queue())


def take_all(sqs: Any, url: str) -> list[Any]:
    """Take every message of a queue off it; bodies parsed, oldest first. `sqs`: MemoryQueues, or a client."""
    bodies = []
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=MAX_BATCH).get("Messages"):
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            bodies.append(json.loads(message["Body"]))
    return bodies
