"""What happened, in order, for those who wait instead of sleeping."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

KEPT = 10_000


@dataclass(frozen=True)
class Event:
    """`number` counts from 1 and never repeats; `at` is in seconds since the epoch."""

    number: int
    at: float
    kind: str
    facts: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "at": round(self.at, 3), "kind": self.kind, **self.facts}


class EventLog:
    """The last 10,000 events. `on_event` is called after each (and must not add one)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._count = 0
        self.on_event: list[Callable[[Event], None]] = []

    @property
    def count(self) -> int:
        return self._count

    def add(self, kind: str, **facts: Any) -> Event:
        self._count += 1
        event = Event(self._count, self._clock(), kind, facts)
        self._events.append(event)
        for listener in self.on_event:
            listener(event)
        return event

    def after(self, number: int, kind: str | None = None) -> list[Event]:
        """Events later than `number`, of one kind or all."""
        return [event for event in self._events if event.number > number and kind in (None, event.kind)]
