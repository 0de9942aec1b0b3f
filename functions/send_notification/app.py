"""Orders from the notifications queue become messages: encrypted, handed over, acknowledged.

Most starts are cold ones, so only what every send needs is imported here; `make bench` says what it costs.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin.bootstrap.later import Later, heartbeat_client
from tocsin.bootstrap.send_notification import delivery
from tocsin.notify.config import SendConfig
from tocsin.notify.delivery import Delivery
from tocsin.notify.lanes import MAX_LANES, Lane, Lanes, Record, Tried
from tocsin.notify.queues import Order
from tocsin.notify.redelivery import Redelivery
from tocsin.notify.verdict import UNREADABLE, Verdict
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

telemetry = Telemetry()
logger = telemetry.logger

METRICS = {
    "sent": "NotificationsSent",
    "parked": "NotificationsParked",
    "retry": "NotificationsRetried",
    "failed": "NotificationsFailed",
    "suppressed": "NotificationsSuppressed",
    "dropped": "OrdersDropped",
    "mismatched": "OrdersMismatched",
}


HELD_AFTER_SECONDS = 1.0
"""Most runs are over by then, and a request for each would cost as much as their receives. What kills takes
longer: large files, answers that don't come."""

ODD = ("failed", "retry", "mismatched")
"""Outcomes that are worth a line of their own."""


@cache
def sender() -> tuple[Delivery, Redelivery]:
    """Made once per container; fails with the name of what is missing."""
    config, sqs = SendConfig.read(), Later("sqs")
    redelivery = Redelivery(sqs, config.notifications_queue_url, heartbeat=heartbeat_client())
    return delivery(config, sqs=sqs), redelivery


@cache
def threads() -> ThreadPoolExecutor:
    """Where lanes run beside the first one."""
    return ThreadPoolExecutor(MAX_LANES - 1, thread_name_prefix="lane")


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Carry out the orders, lane beside lane; those not done stay in the queue.

    A loop of our own: the batch processor of Powertools brings the classes of sixty event sources along, and
    asyncio, which would be a tenth of the start.
    """
    records = [Record.of(record) for record in event["Records"]]
    _, redelivery = sender()
    batch = Lanes(records, deliver, lambda: context.get_remaining_time_in_millis() / 1000, threads)
    with redelivery.holding(records, after=HELD_AFTER_SECONDS):
        batch.carry_out()
    for lane in batch.lanes:
        give_back(lane)
    tell(list(batch.tried))
    waiting = [record.message_id for lane in batch.lanes for record in lane.waiting]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in waiting]}


def deliver(record: Record, *, alone: bool) -> Verdict:
    carrier, _ = sender()
    try:
        order = Order.parse(record.body)
    except ValueError:
        return carrier.refuse(record.body, record.lane, record.message_id)
    return carrier.deliver(order, record.receives, lane=record.lane, alone=alone)


START_OVER_RECEIVES = 50
"""Half of those after which the queue buries an order, and what came with it."""


def give_back(lane: Lane[Verdict]) -> None:
    """Let what waits in a lane come again when it is due. Of what was counted again and again and never tried
    copies start over: what stands behind one that raised, and what others left no time."""
    waiting, seconds = lane.waiting, lane.again_after
    if not waiting:
        return
    try:
        carrier, redelivery = sender()
        untried = waiting[1:] if lane.is_begun else waiting
        if seconds in (None, 0) and waiting[0].receives >= START_OVER_RECEIVES:
            for record in untried:
                carrier.keep_place(record.body)
                redelivery.start_over(record)
            lane.cut_off(untried)
        if seconds is not None and lane.waiting:
            redelivery.give_back([record.handle for record in lane.waiting], seconds)
    except Exception:
        # What is done stays done, and what waits comes when its time in the queue is over.
        logger.exception("orders could not be given back early", orders=len(waiting))


def tell(tried: Iterable[Tried[Verdict]]) -> None:
    """One line and one metric record for all that went as it should, a line more for each that didn't."""
    orders: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    bugs = 0
    for one in tried:
        if one.verdict is None or one.verdict.outcome == UNREADABLE:
            bugs += 1
        elif one.verdict.outcome in METRICS:
            verdict, order = one.verdict, Order.parse(one.record.body)
            counts[METRICS[verdict.outcome]] += 1
            counts["DevicesUnproven"] += verdict.unproven
            orders.setdefault(f"{verdict.outcome} {verdict.cause}".strip(), []).append(order.notification)
            if verdict.outcome in ODD:
                tell_odd(order, verdict)
    logger.info("orders carried out", orders=orders, took_ms=telemetry.took_ms)
    for name, count in counts.items():
        telemetry.count(name, count)
    telemetry.bug(bugs)


def tell_odd(order: Order, verdict: Verdict) -> None:
    logger.warning(
        verdict.outcome,
        notification=order.notification,
        account=order.account,
        audience=order.audience,
        generation=order.generation,
        cause=verdict.cause,
    )


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    sender()
gc.freeze()
gc.enable()
