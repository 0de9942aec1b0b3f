"""Ticket events from the intake queue become notifications, written and enqueued."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin import bootstrap
from tocsin.notify.config import PlanConfig
from tocsin.notify.planning import Planned, Planner
from tocsin.telemetry import Telemetry

telemetry = Telemetry()
logger = telemetry.logger
processor = BatchProcessor(event_type=EventType.SQS)


@cache
def planner() -> Planner:
    return bootstrap.planner(PlanConfig.read(), own_texts=Path(__file__).parent / "templates")


@telemetry.handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Every record is answered for itself: what raises is delivered again, the rest is done."""
    return process_partial_response(event=event, record_handler=plan, processor=processor, context=context)


def plan(record: SQSRecord) -> None:
    try:
        planned = planner().handle(record.body)
    except Exception:
        logger.exception("unforeseen", sqs_message=record.message_id)
        telemetry.bug()
        raise
    tell(planned, record.message_id)


def tell(planned: Planned, sqs_message: str) -> None:
    telemetry.count("NotificationsPlanned", len(planned.new))
    telemetry.count("EventsRefused", int(planned.refused))
    telemetry.count("RecipientsUnreachable", len(planned.unreachable))
    telemetry.count("EventsTellingNobody", int(planned.has_no_recipients))
    if planned.refused:
        logger.error(
            "event refused", event=planned.event_id, violations=planned.violations, sqs_message=sqs_message
        )
        return
    odd = (
        planned.has_no_recipients or planned.ignored or planned.unreachable or planned.cut or planned.left_out
    )
    facts = {name: value for name, value in vars(planned).items() if value}
    facts["event"] = facts.pop("event_id", "")
    facts["notifications"] = facts.pop("new", [])
    say = logger.warning if odd else logger.info
    say("event planned", extra=facts)
