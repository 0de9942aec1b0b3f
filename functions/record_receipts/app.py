"""Receipts from the connector's queue: what became of notifications, recorded many at a time.

Most starts are cold ones, so only what every receipt needs is imported here; `make bench` says what it costs.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin.bootstrap.later import Later
from tocsin.bootstrap.record_receipts import receipts
from tocsin.multidevice.inbound.receipt_messages import BatchReport, ReceiptMessages
from tocsin.notify.config import ReceiptsConfig
from tocsin.notify.notification import State
from tocsin.notify.redelivery import Redelivery
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

telemetry = Telemetry()
logger = telemetry.logger

SPARE_MS = 5_000
"""What isn't begun so long before the end of the invocation comes again in another one."""

METRICS = {State.DELIVERED: "NotificationsDelivered", State.READ: "NotificationsRead"}


@cache
def recorder() -> tuple[ReceiptMessages, Redelivery]:
    """Made once per container; fails with the name of what is missing."""
    config, sqs = ReceiptsConfig.read(), Later("sqs")
    return receipts(config, sqs=sqs), Redelivery(sqs, config.receipts_queue_url)


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Record a batch. What can't be recorded now comes again, message by message."""
    records = {record["messageId"]: record for record in event["Records"]}
    bodies = {name: record["body"] for name, record in records.items()}
    messages, redelivery = recorder()
    try:
        report = messages.handle(bodies, is_late=lambda: context.get_remaining_time_in_millis() < SPARE_MS)
    except Exception as error:  # noqa: BLE001 - it isn't one message's fault: all of them come again
        report = BatchReport(failed=dict.fromkeys(bodies, error))
    tell(report, len(bodies))
    defer(redelivery, [records[name] for name in report.failed])
    return {"batchItemFailures": [{"itemIdentifier": name} for name in report.failed]}


def defer(redelivery: Redelivery, records: Sequence[Mapping[str, Any]]) -> None:
    """Have messages come again soon. If that fails, they come when the queue's own time is over."""
    waiting = [(one["receiptHandle"], int(one["attributes"]["ApproximateReceiveCount"])) for one in records]
    try:
        redelivery.defer_all(waiting)
    except Exception:
        logger.exception("not deferred", messages=len(waiting))


def tell(report: BatchReport, messages: int) -> None:
    """One line and one metric record for the batch. What is odd was named by itself."""
    recorded = report.recorded
    for state, number in recorded.moved.items():
        telemetry.count(METRICS[state], number)
    telemetry.count("StanzasPutOff", len(report.failed))
    for cause, seconds in recorded.healed:
        telemetry.count("RecoveriesHealed", 1, {"side": "theirs", "cause": cause})
        telemetry.measure("SecondsToHeal", seconds, "Seconds")
        telemetry.measure("RecoverySuccess", 100, "Percent")
    for name, error in report.failed.items():
        logger.warning("deferred", sqs_message=name, error=repr(error))
    facts = {
        "messages": messages,
        "receipts": report.receipts,
        "notifications": dict(recorded.notifications),
        "strange": recorded.strange,
        "healed": len(recorded.healed),
        "outcomes": dict(report.outcomes),
        "failed": len(report.failed),
    }
    logger.info("receipts recorded", extra={name: fact for name, fact in facts.items() if fact})


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    recorder()
gc.freeze()
gc.enable()
