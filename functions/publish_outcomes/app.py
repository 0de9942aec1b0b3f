"""What the stream of the notifications table shows becomes outcome events on the bus."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin.bootstrap import publish_outcomes as bootstrap
from tocsin.notify.config import PublishConfig
from tocsin.notify.outcomes import Publisher
from tocsin.notify.tally import merged
from tocsin.telemetry import Telemetry

telemetry = Telemetry()


@cache
def publisher() -> Publisher:
    return bootstrap.publisher(PublishConfig.read())


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Never raises for what a record holds: that would block the stream behind it."""
    published = publisher().publish(event.get("Records", []))
    telemetry.count("OutcomesUnreadable", published.unreadable)
    telemetry.count("OutcomesRefused", len(published.again))
    for seconds in published.seconds_to_deliver:
        telemetry.measure("SecondsToDeliver", seconds, "Seconds")
    for class_, letters in published.dead.items():
        telemetry.count("DeadLetters", letters, {"class": class_})
        if class_ == "bug":
            telemetry.bug(letters)
    counts = merged(event.get("state"), published.counts)
    # Without a window, as on an emulator, each batch is one.
    if event.get("isFinalInvokeForWindow", "window" not in event):
        publisher().remember(counts)
        counts = {}
    # A stream goes on from the first of them, so one is enough; later ones that were told are told again.
    failed = [{"itemIdentifier": sequence} for sequence in published.again[:1]]
    return {"batchItemFailures": failed, **({"state": counts} if "window" in event else {})}
