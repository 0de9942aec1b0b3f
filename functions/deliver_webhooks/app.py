"""Outcomes to the endpoints that asked for them: an order of the queue at a time, each minute what is due.

Outside the VPC, with rights on the records of hooks, their versions and nothing else: it talks to strangers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin.bootstrap import deliver_webhooks as bootstrap
from tocsin.bootstrap.later import Later
from tocsin.hooks.config import HooksConfig
from tocsin.hooks.deliver import Deliveries, Result
from tocsin.hooks.queue import Order
from tocsin.notify.redelivery import Redelivery
from tocsin.telemetry import Telemetry

telemetry = Telemetry()
logger = telemetry.logger

METRICS = {
    "delivered": "WebhooksDelivered",
    "waits": "WebhooksDeferred",
    "dead": "WebhooksDead",
}

MAX_TRIES = 4
"""Of an order on which the function fails, within half a minute; then its group goes on without it. The queue
counts polls that Lambda throttles as well: whom that meets, waits for its next attempt."""

LAST_RECEIVE = 50
"""Then the queue gives an order up on which the function crashed each time."""


@cache
def config() -> HooksConfig:
    return HooksConfig.read()


@cache
def deliveries() -> Deliveries:
    return bootstrap.hook_deliveries(config())


@cache
def redelivery() -> Redelivery:
    return Redelivery(Later("sqs"), config().queue_url)


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """A record that raises comes again; the schedule's call has none."""
    if "Records" not in event:
        enqueued = deliveries().sweep(lambda: context.get_remaining_time_in_millis() / 1000)
        if enqueued:
            logger.info("due webhooks enqueued", webhooks=enqueued)
        return {"enqueued": enqueued}
    failed: list[str] = []
    for record in event["Records"]:
        result = deliver(record)
        if result is None or result.again_after is not None:
            failed.append(record["messageId"])
        if result is None:
            # All of its group of the queue waits behind it, so not for the queue's own long time-out.
            redelivery().defer_all([(record["receiptHandle"], receives_of(record))])
        elif result.again_after is not None:
            redelivery().give_back([record["receiptHandle"]], result.again_after)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


def receives_of(record: dict[str, Any]) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def deliver(record: dict[str, Any]) -> Result | None:
    """Carry out one order; None: it has to come again."""
    try:
        order = Order.parse(record["body"])
    except (ValueError, KeyError, TypeError):
        logger.error("not an order of Tocsin's, dropped", sqs_message=record["messageId"])
        telemetry.bug()
        return Result("gone")
    is_stuck = receives_of(record) > MAX_TRIES
    try:
        result = deliveries().put_aside(order) if is_stuck else deliveries().carry_out(order)
    except Exception:
        logger.exception("unforeseen", sqs_message=record["messageId"])
        telemetry.bug()
        if receives_of(record) >= LAST_RECEIVE:
            telemetry.count("WebhooksDead", 1)
        return None
    if result.outcome in METRICS:
        telemetry.count(METRICS[result.outcome], 1)
    logger.info("webhook", hook=order.endpoint, delivery=order.turn, outcome=result.outcome, said=result.said)
    return result
