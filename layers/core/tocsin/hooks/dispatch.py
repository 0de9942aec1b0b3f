"""From outcomes to the queue: each to those endpoints that asked for it.

Which endpoints there are is read once a minute in the life of a container, not for each outcome.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import HooksQueue, Order
from tocsin.hooks.store import HookStore
from tocsin.notify.cloud_events import TYPES

log = logging.getLogger(__name__)

FRESH_SECONDS = 30.0


class ToldOutcome(Protocol):
    """What the publisher has of an outcome."""

    @property
    def detail_type(self) -> str: ...

    @property
    def detail(self) -> Mapping[str, Any]: ...

    @property
    def at(self) -> int: ...

    @property
    def sequence(self) -> str: ...


class Dispatch:
    """Puts outcomes into the queue of hooks."""

    def __init__(
        self, store: HookStore, queue: HooksQueue, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock
        self._read_at = float("-inf")
        self._endpoints: list[Endpoint] = []

    def __call__(self, outcomes: Sequence[ToldOutcome]) -> list[str]:
        """Enqueue each for everybody who wants it. Return the sequences of the records that must come again,
        since the queue didn't take them. Never raises: the bus is told in any case."""
        try:
            endpoints = self._fresh()
            if not endpoints:
                return []
            orders: list[Order] = []
            sequences: dict[str, str] = {}
            for outcome in outcomes:
                if outcome.detail_type not in TYPES:
                    continue
                told = Told.of(outcome.detail_type, outcome.detail, outcome.at)
                for endpoint in endpoints:
                    if endpoint.wants(told):
                        order = Order.of(endpoint.id, told)
                        orders.append(order)
                        sequences[order.deduplication_id] = outcome.sequence
            return [sequences[order.deduplication_id] for order in self._queue.send_all(orders)]
        except Exception as error:  # noqa: BLE001 - whatever keeps table or queue away, the records come back
            log.warning("hooks can't be told", extra={"error": type(error).__name__})
            return [outcome.sequence for outcome in outcomes]

    def _fresh(self) -> list[Endpoint]:
        now = self._clock()
        if not 0 <= now - self._read_at < FRESH_SECONDS:
            self._endpoints, odd = self._store.endpoints()
            self._read_at = now
            if odd:
                log.error("hooks whose record doesn't count hear of nothing", extra={"hooks": odd})
        return self._endpoints
