"""The two tables and the queues in memory: what most tests need of AWS, without a request being made.

`fake_aws` has the same on moto, for tests of what goes over the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.memory_queues import FIFO_QUEUES, PLAIN_QUEUES, MemoryQueues, take_all
from tocsin.dynamo.memory import MemoryTable


@dataclass
class MemoryAws:
    """One deployment's tables and queues."""

    notifications_table: MemoryTable = field(default_factory=MemoryTable)
    keys_table: MemoryTable = field(default_factory=MemoryTable)
    sqs: MemoryQueues = field(default_factory=MemoryQueues)
    queues: dict[str, str] = field(
        default_factory=lambda: {
            **{name: f"{name}.fifo" for name in FIFO_QUEUES},
            **{name: name for name in PLAIN_QUEUES},
        }
    )

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take every message of a queue off it; bodies parsed."""
        return take_all(self.sqs, self.queues[queue])


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
