"""Stanzas from the connector's queue: decrypted, answered, and what they say put into effect.

Most starts are cold ones, so only what every stanza needs is imported here; `make bench` says what it costs.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

import os
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin.bootstrap.later import Later, heartbeat_client
from tocsin.bootstrap.receive_stanza import inbound
from tocsin.multidevice.inbound.envelope import Report
from tocsin.multidevice.inbound.stanzas import Handled, Stanzas
from tocsin.notify.config import ReceiveConfig
from tocsin.notify.lanes import MAX_LANES, Lane, Lanes, Record, Tried
from tocsin.notify.redelivery import Redelivery, wait_seconds
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from concurrent.futures import Executor

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
def receiver() -> tuple[Stanzas, Redelivery]:
    """Made once per container; fails with the name of what is missing."""
    config, sqs = ReceiveConfig.read(), Later("sqs")
    redelivery = Redelivery(sqs, config.stanzas_queue_url, heartbeat=heartbeat_client())
    return Stanzas(inbound(config, sqs=sqs), redelivery), redelivery


@cache
def threads() -> Executor:
    """Where lanes run beside the first one. Most batches are one sender's and start none."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(MAX_LANES - 1, thread_name_prefix="lane")


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch, sender beside sender. After a stanza that isn't done, the rest of its sender's waits
    too, or it would overtake.

    A loop of our own: the batch processor of Powertools brings the classes of sixty event sources along, and
    asyncio, which would be a tenth of the start.
    """
    stanzas, redelivery = receiver()
    records = [Record.of(record) for record in event["Records"]]
    batch = Lanes(
        records,
        stanzas.handle,
        lambda: context.get_remaining_time_in_millis() / 1000,
        threads,
        before_alone=stanzas.before_alone,
    )
    with redelivery.holding(records):
        batch.carry_out()
    for lane in batch.lanes:
        give_back(lane)
    waiting = [record.message_id for lane in batch.lanes for record in lane.waiting]
    tell(list(batch.tried), len(waiting))
    return {"batchItemFailures": [{"itemIdentifier": name} for name in waiting]}


def give_back(lane: Lane[Handled]) -> None:
    """Let what waits in a lane come again when its first stanza is due: one that is out keeps it closed.
    After what nobody foresaw that is soon, and later each time."""
    if not lane.waiting:
        return
    try:
        stanzas, redelivery = receiver()
        seconds = 0 if stanzas.set_aside(lane) else stanzas.spare_unbegun(lane)
        if lane.waiting:
            again = wait_seconds(lane.waiting[0].receives) if seconds is None else seconds
            redelivery.give_back([record.handle for record in lane.waiting], again)
    except Exception:
        # What is done stays done, and what waits comes when its time in the queue is over.
        logger.exception("stanzas could not be given back early", stanzas=len(lane.waiting))


def tell(tried: Sequence[Tried[Handled]], failed: int) -> None:
    """One line and one metric record for the batch, and a line more for each stanza that is out of the
    ordinary."""
    counts: Counter[str] = Counter()
    verdicts = [one.verdict for one in tried if one.verdict is not None]
    counts.update("StanzasPutOff" for verdict in verdicts if verdict.put_off)
    telemetry.bug(len(tried) - len(verdicts))
    reports = [verdict.report for verdict in verdicts if verdict.report is not None]
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
