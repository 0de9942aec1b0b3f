"""A dead-letter queue in memory, as `tocsin.notify.redrive` reads one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class MemoryQueue:
    """Messages by id, oldest first. Only the first `readable` of them can be read. `is_readonly`: for who may
    only look."""

    stored: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    readable: int = 10
    sent: int = 0
    is_readonly: bool = False

    def put(self, body: str, **attributes: str) -> None:
        self.sent += 1
        message_id = f"message-{self.sent}"
        told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.stored[message_id] = {"MessageId": message_id, "Body": body, "MessageAttributes": told}

    @property
    def bodies(self) -> list[str]:
        return [message["Body"] for message in self.stored.values()]

    @contextmanager
    def look(self) -> Iterator[MemoryQueue]:
        yield self

    def messages(self) -> Iterator[Mapping[str, Any]]:
        seen: set[str] = set()
        while fresh := [one for one in list(self.stored)[: self.readable] if one not in seen]:
            seen.add(fresh[0])
            yield self.stored[fresh[0]]

    def remove(self, message_id: str) -> None:
        del self.stored[message_id]

    def discard(self, message_id: str) -> bool:
        if not self.is_readonly:
            del self.stored[message_id]
        return not self.is_readonly

    def count(self) -> int:
        return len(self.stored)
