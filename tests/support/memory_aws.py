"""The two tables and the queues in memory: what most tests need of AWS, without a request being made.

`fake_aws` has the same on moto, for tests of what goes over the wire.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tocsin.dynamo.memory import MemoryTable

QUEUES = ("notifications", "dead-letters", "stanzas", "ticket-events-dead")


class MemoryQueues:
    """The calls of SQS that the domain makes. A FIFO queue folds what bears an earlier deduplication id."""

    def __init__(self) -> None:
        self._bodies: dict[str, list[str]] = {}
        self._known: set[tuple[str, str]] = set()

    def send_message(self, **message: Any) -> dict[str, str]:
        self._take(message.pop("QueueUrl"), message)
        return {"MessageId": "1"}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert 1 <= len(Entries) <= 10, "SQS takes one to ten"
        for entry in Entries:
            self._take(QueueUrl, entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def _take(self, url: str, message: dict[str, Any]) -> None:
        identity = message.get("MessageDeduplicationId")
        assert (identity is not None) is url.endswith(".fifo"), "only FIFO queues fold"
        if identity is not None and (url, identity) in self._known:
            return
        self._known.add((url, str(identity)))
        self._bodies.setdefault(url, []).append(message["MessageBody"])

    def take_all(self, url: str) -> list[str]:
        """The bodies in a queue, oldest first; it is empty then."""
        return self._bodies.pop(url, [])


@dataclass
class MemoryAws:
    """One deployment's tables and queues."""

    notifications_table: MemoryTable = field(default_factory=MemoryTable)
    keys_table: MemoryTable = field(default_factory=MemoryTable)
    sqs: MemoryQueues = field(default_factory=MemoryQueues)
    queues: dict[str, str] = field(
        default_factory=lambda: {
            name: name if name == "ticket-events-dead" else f"{name}.fifo" for name in QUEUES
        }
    )

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take every message of a queue off it; bodies parsed."""
        return [json.loads(body) for body in self.sqs.take_all(self.queues[queue])]


class MemoryAccount:
    """Makes a deployment for each test, as `AwsAccount` does."""

    def furnish(self) -> MemoryAws:
        return MemoryAws()


def everything_in(table: MemoryTable) -> list[dict[str, Any]]:
    """All items of a table, in the order of their keys."""
    found: list[dict[str, Any]] = []
    page = table.scan()
    while True:
        found += [dict(item) for item in page.items]
        if page.following is None:
            return found
        page = table.scan(page.following)
