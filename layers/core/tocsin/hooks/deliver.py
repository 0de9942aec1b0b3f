"""One order from the queue to the endpoint's answer, and what follows from that.

    order ── waits one before it in its lane? ── is the endpoint left alone? ── POST, signed
                     └──────── parked ◀───────────────────┘                       │
              2xx  delivered, the next one of its lane goes on                    │
              410  the endpoint is switched off, the delivery dead ◀──────────────┤
              else (3xx too): parked until its next attempt, or dead after the last ◀┘

What the function itself fails at again and again is put aside likewise, as an attempt that crashed.

A dead delivery lies in the table for two weeks and can be sent again (`tocsin hooks resend`).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tocsin.guarded_http import PUBLIC, Answer, Policy, Unreachable, UrlRefused, request
from tocsin.hooks import schedule
from tocsin.hooks.delivery import (
    CRASHED,
    DAMAGED,
    DEAD,
    DELIVERED,
    ENDPOINT_GONE,
    USED_UP,
    WAITING,
    Attempt,
    Delivery,
)
from tocsin.hooks.endpoint import GONE, PAUSED, Endpoint
from tocsin.hooks.outcome import TEST, body_of, content_type
from tocsin.hooks.queue import HooksQueue, Order
from tocsin.hooks.signing import headers
from tocsin.timestamps import from_seconds, to_seconds

if TYPE_CHECKING:
    from tocsin.hooks.store import HookStore, View

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 15.0
MAX_ANSWER_BYTES = 4096
STAY_MS = 10_000
"""What is due so soon stays in the queue."""

BEHIND_MS = 60 * 60_000
"""After which what waits behind another one is looked at again. The one before calls it; only a crash in
between keeps it waiting for so long, for all of a lane stands in one group of the queue."""

PAUSED_MS = 5 * 60_000
"""After which what waits for a paused endpoint is due, once that is resumed."""

TAKEN_UP_MS = 5 * 60_000
"""For so long what a sweep put into the queue isn't due once more."""

AT_ONCE = 200
"""Deliveries of a healthy endpoint that a sweep puts into the queue."""

FRESH_SECONDS = 10.0

Post = Callable[[str, Mapping[str, str], bytes], Answer]
"""Posts to a URL. Raises UrlRefused, Unreachable."""


def poster(policy: Policy = PUBLIC) -> Post:
    def post(url: str, told: Mapping[str, str], body: bytes) -> Answer:
        return request(
            url,
            method="POST",
            headers=told,
            body=body,
            seconds=ATTEMPT_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
            policy=policy,
        )

    return post


@dataclass(frozen=True)
class Result:
    """What became of an order: `delivered`, `waits`, `dead`, `gone` (the endpoint answered 410, or was
    removed), `repeated`. `again_after`: seconds after which the queue shall bring the order again."""

    outcome: str
    said: str = ""
    again_after: float | None = None


class Deliveries:
    """Carries out orders, and looks for what is due."""

    def __init__(
        self,
        store: HookStore,
        queue: HooksQueue,
        post: Post,
        *,
        stack: str = "tocsin",
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._queue = queue
        self._post = post
        self._stack = stack
        self._clock = clock
        self._jitter = jitter
        self._read_at = float("-inf")
        self._known: dict[str, Endpoint] = {}

    def carry_out(self, order: Order) -> Result:
        """Try one delivery, or put it aside. Raises what keeps the table or the queue away."""
        begun = self._begin(order)
        if isinstance(begun, Result):
            return begun
        delivery, endpoint, view = begun
        now = self._now_ms()
        if view.state == GONE:
            return self._bury(delivery, view, ENDPOINT_GONE)
        if any(turn < delivery.turn for turn in view.waiting):
            return self._wait(delivery, now + BEHIND_MS)
        if view.state == PAUSED and delivery.type != TEST:
            return self._wait(delivery, now + PAUSED_MS)
        if view.health.closed_until > now and delivery.type != TEST and not delivery.is_asked_for:
            return self._wait(delivery, view.health.closed_until)
        return self._try(delivery, endpoint, view)

    def put_aside(self, order: Order) -> Result:
        """Let an order wait for its next attempt that the function failed at, so that its group of the queue
        goes on: only what is of the same lane waits behind it. That attempt counts, though the endpoint isn't
        at fault. Raises what keeps the table or the queue away, and what its words hold."""
        begun = self._begin(order)
        if isinstance(begun, Result):
            return begun
        delivery, _, view = begun
        now = self._now_ms()
        delivery = replace(delivery, attempts=(*delivery.attempts, Attempt(now, None, CRASHED)))
        due = schedule.due_after(delivery.tried, now, 0, self._jitter)
        return self._bury(delivery, view, USED_UP) if due is None else self._wait(delivery, due, CRASHED)

    def _begin(self, order: Order) -> tuple[Delivery, Endpoint, View] | Result:
        """What an order asks for; the result where nothing is left to do. Raises as `carry_out`."""
        view = self._store.view(order.endpoint, order.turn, order.lane)
        endpoint = self._endpoint(order.endpoint)
        if view.state is None or endpoint is None:
            return Result("gone")
        known = view.delivery
        if known is not None and known.is_damaged:
            if order.told is None:
                return self._lose(replace(known, lane=order.lane), view)
            known = None  # the order tells it anew
        if known is not None and known.is_done:
            # A crash may have come before the next one was called.
            self._call_next(known, view)
            return Result("repeated")
        delivery = known or self._new(order, endpoint)
        return Result("gone") if delivery is None else (delivery, endpoint, view)

    def sweep(self, time_left: Callable[[], float]) -> int:
        """Put what is due into the queue: of an endpoint that fails one, to ask whether it is back. Return
        how many."""
        enqueued = 0
        endpoints, _ = self._store.endpoints()
        for endpoint in endpoints:
            now = self._now_ms()
            if endpoint.state == PAUSED or endpoint.health.closed_until > now or time_left() < 10:
                continue
            turns = self._store.due(endpoint.id, now, AT_ONCE)
            found = [one for turn in turns if (one := self._store.get(endpoint.id, turn)) is not None]
            for damaged in (one for one in found if one.is_damaged):
                self._lose(damaged)
            due = [one for one in found if one.state == WAITING]
            if endpoint.health.failures >= schedule.FAILURES_TO_CLOSE:
                # What was tried before waits behind nobody, so that it really asks.
                due = sorted(due, key=lambda one: not one.attempts)[:1]
            for delivery in due:
                self._enqueue(delivery)
            enqueued += len(due)
        return enqueued

    # -- one attempt ---------------------------------------------------------------------------------------

    def _new(self, order: Order, endpoint: Endpoint) -> Delivery | None:
        if order.told is None:
            return None
        told = order.told
        return Delivery(
            endpoint.id,
            order.turn,
            told.type,
            told.account,
            order.lane,
            begun_at=self._now_ms(),
            body=body_of(told, endpoint.form, self._stack),
        )

    def _try(self, delivery: Delivery, endpoint: Endpoint, view: View) -> Result:
        attempt, answer = self._attempt(delivery, endpoint)
        delivery = replace(delivery, attempts=(*delivery.attempts, attempt))
        if attempt.is_success:
            self._store.note(replace(delivery, state=DELIVERED, due_at=None), self._now_ms())
            if view.health.failures:
                self._store.note_success(endpoint.id, attempt)
            self._call_next(delivery, view)
            return Result("delivered", attempt.said)
        log.warning(
            "a webhook was not taken",
            extra={"hook": endpoint.id, "delivery": delivery.turn, "said": attempt.said},
        )
        if attempt.status == 410:
            self._store.note_failure(endpoint.id, 0, None, attempt, state=GONE)
            return self._bury(delivery, view, ENDPOINT_GONE)
        return self._failed(delivery, endpoint, view, attempt, answer)

    def _attempt(self, delivery: Delivery, endpoint: Endpoint) -> tuple[Attempt, Answer | None]:
        began = self._now_ms()
        signed = headers(endpoint.secrets(began), delivery.message_id, to_seconds(began), delivery.body)
        told = {"Content-Type": content_type(endpoint.form), "User-Agent": "Tocsin", **signed}
        answer, why = None, ""
        try:
            answer = self._post(endpoint.url, told, delivery.body)
        except UrlRefused:
            why = "refused"
        except Unreachable as away:
            why = away.why
        took = max(self._now_ms() - began, 0)
        return Attempt(began, answer.status if answer else None, why, took), answer

    def _failed(
        self, delivery: Delivery, endpoint: Endpoint, view: View, attempt: Attempt, answer: Answer | None
    ) -> Result:
        now = self._now_ms()
        asked = schedule.retry_after_of(answer.headers.get("retry-after", "")) if answer else 0
        failures = view.health.failures + 1
        closed = schedule.closed_until(failures, attempt.status, now, asked)
        self._store.note_failure(endpoint.id, failures, closed, attempt)
        due = schedule.due_after(delivery.tried, now, asked, self._jitter)
        is_test = delivery.type == TEST
        if due is None or is_test or now >= delivery.begun_at + schedule.MAX_AGE:
            return self._bury(delivery, view, USED_UP)
        if due - now <= STAY_MS and closed is None:
            # It comes again from the queue; should it be lost there, it is due a minute later.
            self._store.park(replace(delivery, state=WAITING, due_at=due + 60_000), now)
            return Result("waits", attempt.said, again_after=(due - now) / 1000)
        return self._wait(delivery, max(due, closed or 0), attempt.said)

    def _wait(self, delivery: Delivery, due: int, said: str = "") -> Result:
        now = self._now_ms()
        if now >= delivery.begun_at + schedule.MAX_AGE and delivery.attempts:
            return self._bury(delivery, None, USED_UP)
        waits = replace(delivery, state=WAITING, due_at=due, parkings=delivery.parkings + 1)
        self._store.park(waits, now)
        return Result("waits", said)

    def _bury(self, delivery: Delivery, view: View | None, reason: str) -> Result:
        dead = replace(delivery, state=DEAD, reason=reason, due_at=None)
        self._store.note(dead, self._now_ms())
        view = view or self._store.view(delivery.endpoint, delivery.turn, delivery.lane)
        self._call_next(delivery, view)
        log.error(
            "a webhook is given up",
            extra={"hook": delivery.endpoint, "delivery": delivery.turn, "reason": reason},
        )
        return Result("dead", reason)

    def _lose(self, damaged: Delivery, view: View | None = None) -> Result:
        """Nothing is due of it any more, and nobody waits behind it."""
        return self._bury(damaged, view, DAMAGED)

    def _call_next(self, delivery: Delivery, view: View) -> None:
        """Whoever waits behind it in its lane, goes on."""
        if delivery.turn in view.waiting:
            self._store.leave_lane(delivery)
        following = min((turn for turn in view.waiting if turn > delivery.turn), default=None)
        if following is None:
            return
        found = self._store.get(delivery.endpoint, following)
        if found is None or found.is_done:
            # It expired, or it ended without leaving: it keeps nobody back any more.
            self._store.leave_lane(replace(delivery, turn=following))
            return
        self._enqueue(found)

    def _enqueue(self, delivery: Delivery) -> None:
        taken = self._store.taken_up(delivery, self._now_ms() + TAKEN_UP_MS)
        number = taken.parkings + len(taken.attempts)
        self._queue.send(Order(taken.endpoint, taken.turn, taken.lane, number=number))

    def _endpoint(self, identity: str) -> Endpoint | None:
        """Its URL and secrets, which are read anew every few seconds; its state is read with each order."""
        now = self._clock()
        if identity not in self._known or not 0 <= now - self._read_at < FRESH_SECONDS:
            endpoints, _ = self._store.endpoints()
            self._known = {one.id: one for one in endpoints}
            self._read_at = now
        return self._known.get(identity)

    def _now_ms(self) -> int:
        return from_seconds(self._clock())
