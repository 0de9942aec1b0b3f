"""Orders from the notifications queue become messages: encrypted, handed over, acknowledged.

Most starts are cold ones, so only what every send needs is imported here. That is why the batch processor of
the powertools isn't: with a batch size of 1 it is five lines, and it costs 20 ms.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

import logging
import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin.notify.config import SendConfig
from tocsin.notify.delivery import Delivery, Verdict
from tocsin.notify.patience import DeliverAgain, Patience, Received
from tocsin.notify.queues import Order
from tocsin.notify.wiring import Later, delivery

logger = Logger()
logging.getLogger("tocsin").handlers = logger.handlers
logging.getLogger("tocsin").setLevel(logger.log_level)
metrics = Metrics()

METRICS = {
    "sent": "NotificationsSent",
    "parked": "NotificationsParked",
    "retry": "NotificationsRetried",
    "failed": "NotificationsFailed",
    "suppressed": "NotificationsSuppressed",
    "dropped": "OrdersDropped",
}


@cache
def sender() -> tuple[Delivery, Patience]:
    """Made once per container; fails with the name of what is missing."""
    config, sqs = SendConfig.read(), Later("sqs")
    return delivery(config, sqs=sqs), Patience(sqs, config.notifications_queue_url)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Carry out the orders in turn. After one that isn't done the rest waits too, or it would overtake."""
    records: list[dict[str, Any]] = event["Records"]
    for position, record in enumerate(records):
        try:
            send(record)
        except DeliverAgain:
            return not_done(records[position:])
        except Exception:
            logger.exception("unforeseen", sqs_message=record["messageId"])
            metrics.add_metric("Bugs", MetricUnit.Count, 1)
            return not_done(records[position:])
    return not_done([])


def not_done(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}


def send(record: dict[str, Any]) -> None:
    """Carry out one order. Raises `DeliverAgain` where the queue shall bring it once more."""
    carrier, patience = sender()
    order = Order.parse(record["body"])
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    verdict = carrier.deliver(order, receives)
    tell(order, verdict)
    if verdict.again_after is not None:
        waiting = Received(record["body"], record["receiptHandle"], order.group, receives)
        patience.again(waiting, verdict.cause, verdict.again_after)


def tell(order: Order, verdict: Verdict) -> None:
    metrics.add_metric(METRICS[verdict.outcome], MetricUnit.Count, 1)
    say = logger.warning if verdict.outcome in ("failed", "retry") else logger.info
    say(
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
