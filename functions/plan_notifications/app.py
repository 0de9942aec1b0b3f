"""Ticket events from the intake queue become notifications, written and enqueued."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin import bootstrap
from tocsin.notify.config import PlanConfig
from tocsin.notify.planning import Planner

logger = Logger()
metrics = Metrics()
processor = BatchProcessor(event_type=EventType.SQS)
copy_config_to_registered_loggers(logger, include={"tocsin"})


@cache
def planner() -> Planner:
    return bootstrap.planner(PlanConfig.read(), own_texts=Path(__file__).parent / "templates")


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Every record is answered for itself: what raises is delivered again, the rest is done."""
    return process_partial_response(event=event, record_handler=plan, processor=processor, context=context)


def plan(record: SQSRecord) -> None:
    planned = planner().handle(record.body)
    metrics.add_metric("NotificationsPlanned", MetricUnit.Count, len(planned.new))
    metrics.add_metric("EventsRefused", MetricUnit.Count, int(planned.refused))
    metrics.add_metric("RecipientsUnreachable", MetricUnit.Count, len(planned.unreachable))
    metrics.add_metric("EventsTellingNobody", MetricUnit.Count, int(planned.has_no_recipients))
    if planned.refused:
        logger.error("event refused", violations=planned.violations, sqs_message=record.message_id)
    else:
        odd = planned.has_no_recipients or planned.ignored or planned.unreachable or planned.cut
        odd = odd or planned.left_out
        tell = logger.warning if odd else logger.info
        tell("event planned", **vars(planned))
