"""Stanzas from the connector's queue: decrypted, answered, and what they say put into effect.

Most starts are cold ones, so only what every stanza needs is imported here; `make bench` says what it costs.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.bootstrap import Later, inbound
from tocsin.multidevice.inbound.dispatch import Inbound
from tocsin.multidevice.inbound.envelope import Report
from tocsin.notify.config import ReceiveConfig
from tocsin.notify.failure import Failure, Recover, Retry, Wait
from tocsin.notify.redelivery import (
    MAX_RECEIVES,
    DeliverAgain,
    Received,
    Redelivery,
    received_at,
    wait_seconds,
)
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

telemetry = Telemetry()
logger = telemetry.logger

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

ORDINARY = {("message", "reply"), ("message", "duplicate"), ("message", "own-device"), ("message", "other")}
ORDINARY |= {("receipt", outcome) for outcome in ("delivered", "read", "ignored")}
ORDINARY |= {("notification", "ignored"), ("call", "ignored")}
"""Reports that are counted in the line of their batch; every other one has a line of its own."""


@cache
def receiver() -> tuple[Inbound, Redelivery]:
    """Made once per container; fails with the name of what is missing."""
    config, sqs = ReceiveConfig.read(), Later("sqs")
    return inbound(config, sqs=sqs), Redelivery(sqs, config.stanzas_queue_url)


class HeldUp(NamedTuple):
    """What of one sender waits: its records in their order, and in how many seconds they shall come again."""

    records: list[Mapping[str, Any]]
    seconds: float


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch, each stanza for itself. After one that isn't done, the rest of its sender's waits too,
    or it would overtake; the other senders go on. None is begun in the second half of the invocation's time.

    A loop of our own: the batch processor of Powertools brings the classes of sixty event sources along, and
    asyncio, which would be a tenth of the start.
    """
    enough = context.get_remaining_time_in_millis() / 2
    held_up: dict[str, HeldUp] = {}
    buried: list[HeldUp] = []
    reports: list[Report] = []
    for record in event["Records"]:
        sender = record["attributes"].get("MessageGroupId") or record["messageId"]
        if sender in held_up:
            held_up[sender].records.append(record)
            continue
        if context.get_remaining_time_in_millis() < enough:
            held_up[sender] = HeldUp([record], 0)
            continue
        try:
            report = receive(record)
        except DeliverAgain as again:
            held_up[sender] = HeldUp([record], again.seconds)
        except Exception:  # noqa: BLE001 - `receive` has said what it was
            receives = receives_of(record)
            if receives < MAX_RECEIVES:
                held_up[sender] = HeldUp([record], wait_seconds(receives))
            else:
                # The queue buries it now. What waited behind it goes on, or would be buried with it.
                buried.append(HeldUp([record], 0))
        else:
            reports += [report] if report is not None else []
    waiting = [*held_up.values(), *buried]
    for one in waiting:
        give_back(one)
    failed = [record["messageId"] for one in waiting for record in one.records]
    tell(reports, len(failed))
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


def give_back(waiting: HeldUp) -> None:
    """Have all that waits of one sender come again together: while one is out, the queue brings no other."""
    try:
        _, redelivery = receiver()
        redelivery.give_back([record["receiptHandle"] for record in waiting.records], waiting.seconds)
    except Exception:
        # What is done stays done, and what waits comes when its time in the queue is over.
        logger.exception("stanzas could not be given back early", stanzas=len(waiting.records))


def receives_of(record: Mapping[str, Any]) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def receive(record: Mapping[str, Any]) -> Report | None:
    """Handle one stanza; `None`: a copy of it comes again. Raises `DeliverAgain` where the queue shall bring
    it once more."""
    try:
        handler, _ = receiver()
        return handler.handle(record["body"])
    except (Wait, Retry, Recover) as failure:
        put_off(record, failure)
        return None
    except Exception:
        logger.exception("unforeseen", sqs_message=record["messageId"])
        telemetry.bug()
        raise


def put_off(record: Mapping[str, Any], failure: Failure) -> None:
    """Have a stanza come again later. Raises `DeliverAgain`; `failure` itself if it has waited too long."""
    logger.warning("deferred", cause=failure.code, detail=failure.detail)
    telemetry.count("StanzasPutOff")
    _, redelivery = receiver()
    body, attributes = record["body"], record["attributes"]
    group = attributes.get("MessageGroupId") or ""
    waiting = Received(body, record["receiptHandle"], group, receives_of(record), received_at(body))
    redelivery.wait_for(waiting, failure, time.time_ns() // 1_000_000)


def tell(reports: Sequence[Report], failed: int) -> None:
    """One line and one metric record for the batch, and a line more for each stanza that is out of the
    ordinary."""
    counts: Counter[str] = Counter()
    for report in reports:
        name = METRICS.get((report.kind, report.outcome))
        counts.update([name] if name else [])
        tell_recoveries(report)
        is_ordinary = (report.kind, report.outcome) in ORDINARY and not report.facts.get("healed")
        say = logger.debug if is_ordinary else logger.info
        # Nested: a fact may bear a name that every log record has already.
        say(f"{report.kind} {report.outcome}", cause=report.cause, facts=dict(report.facts))
    for name, number in counts.items():
        telemetry.count(name, number)
    outcomes = Counter(f"{report.kind} {report.outcome}" for report in reports)
    logger.info("stanzas handled", outcomes=dict(outcomes), failed=failed)


def tell_recoveries(report: Report) -> None:
    """Recoveries by cause, how many of them succeeded, and how long that took.

    The average of `RecoverySuccess` is the rate of success, its sample count the number of recoveries that
    came to an end. "ours": we could not read a message; else a recipient's device could not.
    """
    side = "ours" if report.kind == "message" else "theirs"
    if report.outcome in ("resent", "asked-again"):
        telemetry.count("Recoveries", 1, {"side": side, "cause": report.cause})
    for cause, seconds in report.facts.get("healed", ()):
        telemetry.count("RecoveriesHealed", 1, {"side": side, "cause": cause})
        telemetry.measure("SecondsToHeal", seconds, "Seconds")
        telemetry.measure("RecoverySuccess", 100, "Percent")
    if report.facts.get("given_up"):
        telemetry.count("RecoveriesGivenUp", 1, {"side": side, "cause": report.cause})
        telemetry.measure("RecoverySuccess", 0, "Percent")


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    receiver()
gc.freeze()
gc.enable()
