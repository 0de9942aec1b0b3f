"""Endpoints of outcome webhooks, the queue before them, and what they were posted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.memory_aws import MemoryAws
from tests.support.memory_queues import take_all
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.writes import Put
from tocsin.guarded_http import Answer
from tocsin.hooks.deliver import Deliveries, Result
from tocsin.hooks.delivery import Delivery
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import HooksQueue, Order
from tocsin.hooks.store import HookStore
from tocsin.notify.store.texts import SEALED, Texts
from tocsin.tables.notifications import hook_key
from tocsin.versions import hook_versions

NOW = 1_800_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://desk.example.com/tocsin"
MINUTE = 60.0


def told(number: int = 1, ticket: str = "TCK-1", **changes: Any) -> Told:
    detail = {"id": f"o-{number}", "account": "default", "ticket_id": ticket, "text": f"words {number}"}
    return Told.of("NotificationDelivered", {**detail, **changes}, NOW * 1000 + number)


class World:
    """Two endpoints, the queue between, and what they were posted."""

    def __init__(self) -> None:
        self.aws = MemoryAws()
        self.now = float(NOW)
        self.posted: list[tuple[str, Mapping[str, str], bytes]] = []
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.versions = hook_versions(self.aws.keys_table)
        self.store = HookStore(self.aws.notifications_table, TEXTS, self.versions)
        self.url = self.aws.queues["hooks"]
        self.queue = HooksQueue(self.aws.sqs, self.url)
        self.work = self.worker()

    def worker(self, texts: Texts = TEXTS) -> Deliveries:
        """A new container."""
        return Deliveries(
            HookStore(self.aws.notifications_table, texts, self.versions),
            self.queue,
            self.post,
            stack="tocsin",
            clock=lambda: self.now,
            jitter=lambda: 0.0,
        )

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.posted.append((url, headers, body))
        return self.answers.get(url, lambda: Answer(200, {}, b""))()

    def add(self, name: str = "h-1", url: str = URL, **changes: Any) -> Endpoint:
        endpoint = Endpoint(name, url, SECRET, added_at=NOW * 1000, **changes)
        self.store.add(endpoint)
        return endpoint

    def add_of_before(self, name: str) -> None:
        """As the release before versions wrote it."""
        words = Endpoint(name, URL, SECRET).sealed
        del words["version"]
        sealed = TEXTS.seal(words, hook_key(name))
        self.aws.notifications_table.put(Put(hook_key(name), {"state": "active", SEALED: sealed}))

    def as_it_stands(self, name: str = "h-1") -> Put:
        """What puts its record back as it is now."""
        item = self.aws.notifications_table.get(hook_key(name)) or {}
        return Put(hook_key(name), {one: item[one] for one in item if one not in ("pk", "sk")})

    def tell(self, one: Told, name: str = "h-1") -> Result:
        return self.work.carry_out(Order.of(name, one))

    def run_queue(self) -> list[Result]:
        """Carry out whatever lies in the queue now."""
        results = []
        for body in take_all(self.aws.sqs, self.url):
            results.append(self.work.carry_out(Order.parse(json.dumps(body))))
        return results

    def sweep(self, seconds: float) -> list[Result]:
        """After a while, the schedule's call and what follows from it."""
        self.now += seconds
        self.work.sweep(lambda: 60.0)
        return self.run_queue()

    def stored(self, one: Told, name: str = "h-1") -> Delivery:
        found = self.store.get(name, one.turn)
        assert found is not None
        return found

    def endpoint(self, name: str = "h-1") -> Endpoint:
        [found] = [one for one in self.store.endpoints()[0] if one.id == name]
        return found


def answer(status: int, **headers: str) -> Callable[[], Answer]:
    return lambda: Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def raising(error: Exception) -> Callable[[], Answer]:
    def answer() -> Answer:
        raise error

    return answer
