"""Stanzas from the connector's queue: decrypted, answered, and what they say put into effect."""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin.bootstrap import Later, inbound
from tocsin.multidevice.inbound.dispatch import Inbound
from tocsin.multidevice.inbound.envelope import Report
from tocsin.notify.config import ReceiveConfig
from tocsin.notify.failure import Recover, Retry, Wait
from tocsin.notify.redelivery import Received, Redelivery, received_at

logger = Logger()
logging.getLogger("tocsin").handlers = logger.handlers
logging.getLogger("tocsin").setLevel(logger.log_level)
metrics = Metrics()
# A failure holds up its own sender only; the others of the batch go on.
processor = SqsFifoPartialProcessor(skip_group_on_error=True)
processor.raise_on_entire_batch_failure = False

METRICS = {
    ("message", "reply"): "RepliesReceived",
    ("message", "asked-again"): "RetryReceiptsSent",
    ("message", "given-up"): "MessagesUnreadable",
    ("message", "unproven-device"): "DevicesUnproven",
    ("message", "over-budget"): "QuestionsOverBudget",
    ("receipt", "delivered"): "NotificationsDelivered",
    ("receipt", "read"): "NotificationsRead",
    ("retry", "exhausted"): "RecoveriesExhausted",
    ("retry", "over-budget"): "RecoveriesExhausted",
    ("notification", "identity-changed"): "IdentityChanges",
}


@cache
def receiver() -> tuple[Inbound, Redelivery]:
    """Made once per container; fails with the name of what is missing."""
    config, sqs = ReceiveConfig.read(), Later("sqs")
    return inbound(config, sqs=sqs), Redelivery(sqs, config.stanzas_queue_url)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Every stanza is answered for itself, in the order of its sender."""
    return process_partial_response(event=event, record_handler=receive, processor=processor, context=context)


def receive(record: SQSRecord) -> None:
    handler, redelivery = receiver()
    try:
        tell(handler.handle(record.body))
    except (Wait, Retry, Recover) as failure:
        logger.warning("deferred", cause=failure.code, detail=failure.detail)
        metrics.add_metric("StanzasPutOff", MetricUnit.Count, 1)
        group = record.attributes.message_group_id or ""
        receives = int(record.attributes.approximate_receive_count)
        waiting = Received(record.body, record.receipt_handle, group, receives, received_at(record.body))
        redelivery.wait_for(waiting, failure, time.time_ns() // 1_000_000)
    except Exception:
        logger.exception("unforeseen", sqs_message=record.message_id)
        metrics.add_metric("Bugs", MetricUnit.Count, 1)
        raise


def tell(report: Report) -> None:
    metrics.add_metric("StanzasHandled", MetricUnit.Count, 1)
    name = METRICS.get((report.kind, report.outcome))
    if name:
        metrics.add_metric(name, MetricUnit.Count, 1)
    tell_recoveries(report)
    # Nested: a fact may bear a name that every log record has already.
    logger.info(f"{report.kind} {report.outcome}", cause=report.cause, facts=dict(report.facts))


def tell_recoveries(report: Report) -> None:
    """Recoveries by cause, how many of them succeeded, and how long that took.

    The average of `RecoverySuccess` is the rate of success, its sample count the number of recoveries that
    came to an end. "ours": we could not read a message; else a recipient's device could not.
    """
    side = "ours" if report.kind == "message" else "theirs"
    if report.outcome in ("resent", "asked-again"):
        count("Recoveries", side, report.cause)
    for cause, seconds in report.facts.get("healed", ()):
        count("RecoveriesHealed", side, cause)
        metrics.add_metric("SecondsToHeal", MetricUnit.Seconds, seconds)
        metrics.add_metric("RecoverySuccess", MetricUnit.Percent, 100)
    if report.facts.get("given_up"):
        count("RecoveriesGivenUp", side, report.cause)
        metrics.add_metric("RecoverySuccess", MetricUnit.Percent, 0)


def count(name: str, side: str, cause: str) -> None:
    with single_metric(name=name, unit=MetricUnit.Count, value=1) as counted:
        counted.add_dimension("side", side)
        counted.add_dimension("cause", cause)
