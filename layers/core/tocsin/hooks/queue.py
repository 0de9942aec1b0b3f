"""The queue of what endpoints are to be told: FIFO, two groups for each endpoint.

A group is carried out by one invocation at a time, so a slow endpoint takes two of them and no more. What is
about one ticket stands in one group, in its order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.hooks.outcome import Told

SHARDS = 2
_BATCH = 10
_BATCH_BYTES = 240 * 1024


@dataclass(frozen=True)
class Order:
    """Tell one outcome to one endpoint. `told` None: it lies in the table already, under `turn`. `number`:
    makes a repeat another message."""

    endpoint: str
    turn: str
    lane: str
    told: Told | None = None
    number: int = 0

    @classmethod
    def of(cls, endpoint: str, told: Told) -> Order:
        return cls(endpoint, told.turn, told.lane, told)

    @property
    def group(self) -> str:
        return f"{self.endpoint}.{int(self.lane[:4], 16) % SHARDS}"

    @property
    def deduplication_id(self) -> str:
        return f"{self.endpoint}.{self.turn}.{self.number}"

    def to_json(self) -> str:
        told = None if self.told is None else self.told.to_json()
        return json.dumps({**vars(self), "told": told}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, body: str) -> Order:
        """Raises ValueError, KeyError, TypeError for what nobody here wrote. What a later version writes
        beside what is known here is passed over."""
        value = json.loads(body)
        told = value["told"]
        order = cls(
            str(value["endpoint"]),
            str(value["turn"]),
            str(value["lane"]),
            None if told is None else Told.from_json(told),
            int(value["number"]),
        )
        int(order.lane[:4], 16)
        return order


class HooksQueue:
    """SQS FIFO, behind a boto3 client."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, order: Order) -> None:
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=order.to_json(),
            MessageGroupId=order.group,
            MessageDeduplicationId=order.deduplication_id,
        )

    def send_all(self, orders: Sequence[Order]) -> list[Order]:
        """In their order. Return those that the queue didn't take."""
        refused: list[Order] = []
        for batch in _batches(orders):
            answer = self._client.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {
                        "Id": str(number),
                        "MessageBody": order.to_json(),
                        "MessageGroupId": order.group,
                        "MessageDeduplicationId": order.deduplication_id,
                    }
                    for number, order in enumerate(batch)
                ],
            )
            refused += [batch[int(failed["Id"])] for failed in answer.get("Failed", ())]
        return refused


def _batches(orders: Sequence[Order]) -> list[list[Order]]:
    batches: list[list[Order]] = []
    room = 0
    for order in orders:
        size = len(order.to_json().encode()) + 256
        if not batches or len(batches[-1]) == _BATCH or size > room:
            batches.append([])
            room = _BATCH_BYTES
        batches[-1].append(order)
        room -= size
    return batches
