"""Ticket events from the intake queue become notifications, written and enqueued.

Most starts are cold ones, so only what every event needs is imported here; `make bench` says what it costs.
"""

# ruff: noqa: E402

from __future__ import annotations

import gc

# While modules load there is no garbage; looking for it takes a seventh of the start.
gc.disable()

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.bootstrap import plan_notifications as bootstrap
from tocsin.notify.config import PlanConfig
from tocsin.notify.planned import FilesAway, Planned
from tocsin.notify.planning import Planner
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

telemetry = Telemetry()
logger = telemetry.logger


BEGIN_WITHIN_MS = 30_000
"""What a slow host of files left no time for comes again in another run."""


@cache
def planner() -> Planner:
    return bootstrap.planner(PlanConfig.read(), own_texts=Path(__file__).parent / "templates")


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Every record is answered for itself: what raises is delivered again, the rest is done.

    A loop of our own: the batch processor of Powertools brings the classes of sixty event sources along, and
    asyncio, which would be a tenth of the start.
    """
    planned: list[tuple[str, Planned]] = []
    failed: list[str] = []
    for record in event["Records"]:
        if telemetry.took_ms > BEGIN_WITHIN_MS:
            failed.append(record["messageId"])
            continue
        try:
            planned.append((record["messageId"], plan(record)))
        except Exception:  # noqa: BLE001 - `plan` has said what it was
            failed.append(record["messageId"])
    tell(planned, len(failed))
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


def plan(record: Mapping[str, Any]) -> Planned:
    """Plan one event. Raises what the queue shall bring it again for."""
    try:
        return planner().handle(record["body"])
    except FilesAway as away:
        logger.warning("files can't be had yet", sqs_message=record["messageId"], why=away.why)
        raise
    except Exception:
        logger.exception("unforeseen", sqs_message=record["messageId"])
        telemetry.bug()
        raise


def tell(planned: Sequence[tuple[str, Planned]], failed: int) -> None:
    """One line and one metric record for the batch, and a line more for each event that is out of the
    ordinary. `planned`: the queue's message, and what became of it."""
    for sqs_message, one in planned:
        telemetry.count("NotificationsPlanned", len(one.new))
        telemetry.count("EventsRefused", int(one.refused))
        telemetry.count("RecipientsUnreachable", len(one.unreachable))
        telemetry.count("EventsTellingNobody", int(one.has_no_recipients))
        if one.refused:
            logger.error("event refused", extra={**facts(one), "sqs_message": sqs_message})
        elif is_odd(one):
            logger.warning("event planned", extra=facts(one))
    ordinary = [facts(one) for _, one in planned if not one.refused and not is_odd(one)]
    told = {"events": ordinary, "odd": len(planned) - len(ordinary), "failed": failed}
    logger.info("events planned", extra={name: fact for name, fact in told.items() if fact})


def is_odd(one: Planned) -> bool:
    return bool(one.has_no_recipients or one.ignored or one.unreachable or one.cut or one.left_out)


def facts(one: Planned) -> dict[str, Any]:
    """What is not empty of it, under the names that the log's readers know."""
    found = {name: value for name, value in vars(one).items() if value}
    found["event"] = found.pop("event_id", "")
    found["notifications"] = found.pop("new", [])
    return found


gc.freeze()
gc.enable()
