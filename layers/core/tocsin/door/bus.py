"""Onto the bus, and certainly: an answer is given only when the bus has every entry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from tocsin.door.answer import Entry, Refused, unavailable
from tocsin.notify.events.envelope import marked

log = logging.getLogger(__name__)

TRIES: Final = 3
PAUSE_SECONDS: Final = 0.1
MAX_ENTRIES: Final = 10
"""Of one request to the bus."""

MAX_ENTRY_BYTES: Final = 240 * 1024
"""The bus takes 256 KB in a request; the rest is for names."""


class Bus:
    """`events`: a client of EventBridge. `name`: of the bus; `source`: what its entries bear."""

    def __init__(
        self, events: Any, name: str, source: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._events = events
        self._name = name
        self._source = source
        self._sleep = sleep

    def put(self, entries: Sequence[Entry], source: str = "") -> list[str]:
        """Put all of them; returns the ids that the bus gave them. `source`: who brought them. Raises
        Refused: 413 for one that is too large, before any is put; 503 if the bus didn't take all of them
        after some tries. A caller who tries again tells nobody twice what bears a key or a revision."""
        for entry in entries:
            if len(entry.json.encode(errors="replace")) > MAX_ENTRY_BYTES:
                raise Refused(413, "too-large", "the event would be larger than the bus takes")
        ids: list[str] = []
        for batch in _batches(entries):
            ids += self._put(batch, source)
        return ids

    def _put(self, entries: Sequence[Entry], source: str) -> list[str]:
        left = dict(enumerate(entries))
        ids = [""] * len(entries)
        for number in range(TRIES):
            if number:
                self._sleep(PAUSE_SECONDS * number)
            taken = self._tried(list(left.values()), source)
            for place, event_id in zip(list(left), taken, strict=True):
                if event_id is not None:
                    ids[place] = event_id
                    del left[place]
            if not left:
                return ids
        raise unavailable("the event bus doesn't take the event now")

    def _tried(self, entries: Sequence[Entry], source: str) -> list[str | None]:
        """The id of each entry, None for one that was refused."""
        told = [
            {
                "EventBusName": self._name,
                "Source": self._source,
                "DetailType": entry.detail_type,
                "Detail": entry.json,
                **({"Resources": [marked(source)]} if source else {}),
            }
            for entry in entries
        ]
        try:
            answer = self._events.put_events(Entries=told)
        except Exception as error:  # noqa: BLE001 - whatever keeps the bus away, the caller shall try again
            log.warning("the bus can't be reached", extra={"error": type(error).__name__})
            return [None] * len(entries)
        results = answer.get("Entries", [])
        if answer.get("FailedEntryCount"):
            codes = sorted({str(one["ErrorCode"]) for one in results if one.get("ErrorCode")})
            log.warning("the bus refused entries", extra={"errors": codes})
        if len(results) != len(entries):
            return [None] * len(entries)
        return [None if one.get("ErrorCode") else str(one.get("EventId", "")) for one in results]


def _batches(entries: Sequence[Entry]) -> list[list[Entry]]:
    """At most so many, and not larger, than one request takes."""
    batches: list[list[Entry]] = []
    room = 0
    for entry in entries:
        size = len(entry.json.encode(errors="replace")) + 512
        if not batches or len(batches[-1]) == MAX_ENTRIES or size > room:
            batches.append([])
            room = MAX_ENTRY_BYTES + 512
        batches[-1].append(entry)
        room -= size
    return batches
