"""Orders from the notifications queue become messages: encrypted, handed over, acknowledged.

Most starts are cold ones, so only what every send needs is imported here; `make bench` says what it costs.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from tocsin.bootstrap import Later, delivery
from tocsin.notify.config import SendConfig
from tocsin.notify.delivery import Delivery, Verdict
from tocsin.notify.queues import Order
from tocsin.notify.redelivery import DeliverAgain, Received, Redelivery

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

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
    "mismatched": "OrdersMismatched",
}


@cache
def sender() -> tuple[Delivery, Redelivery]:
    """Made once per container; fails with the name of what is missing."""
    config, sqs = SendConfig.read(), Later("sqs")
    return delivery(config, sqs=sqs), Redelivery(sqs, config.notifications_queue_url)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Carry out the orders in turn; those not done stay in the queue.

    A loop of our own: the batch processor of Powertools brings the classes of sixty event sources along, and
    asyncio, which would be a tenth of the start.
    """
    records = event["Records"]
    for place, record in enumerate(records):
        try:
            send(record)
        except Exception:  # noqa: BLE001 - `send` has said what it was
            # After an order that isn't done the rest of its batch waits too, or it would overtake.
            return {"batchItemFailures": [{"itemIdentifier": one["messageId"]} for one in records[place:]]}
    return {"batchItemFailures": []}


def send(record: Mapping[str, Any]) -> None:
    """Carry out one order. Raises `DeliverAgain` where the queue shall bring it once more."""
    try:
        carrier, redelivery = sender()
        body, lane = record["body"], record["attributes"].get("MessageGroupId")
        order = Order.parse(body)
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        verdict = carrier.deliver(order, receives, lane=lane)
        tell(order, verdict)
        if verdict.again_after is not None:
            waiting = Received(body, record["receiptHandle"], order.group, receives)
            redelivery.defer(waiting, verdict.cause, verdict.again_after)
    except DeliverAgain:
        raise
    except Exception:
        logger.exception("unforeseen", sqs_message=record["messageId"])
        metrics.add_metric("Bugs", MetricUnit.Count, 1)
        with single_metric(name="Bugs", unit=MetricUnit.Count, value=1) as counted:
            counted.add_dimension("stack", os.environ.get("STACK_NAME", "local"))
        raise


def tell(order: Order, verdict: Verdict) -> None:
    metrics.add_metric(METRICS[verdict.outcome], MetricUnit.Count, 1)
    if verdict.unproven:
        metrics.add_metric("DevicesUnproven", MetricUnit.Count, verdict.unproven)
    say = logger.warning if verdict.outcome in ("failed", "retry", "mismatched") else logger.info
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
