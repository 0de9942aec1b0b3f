"""What the stream of the notifications table shows becomes outcome events on the bus."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin import bootstrap
from tocsin.notify.config import PublishConfig
from tocsin.notify.outcomes import Publisher

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tocsin"})


@cache
def publisher() -> Publisher:
    return bootstrap.publisher(PublishConfig.read())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Never raises for what a record holds: that would block the stream behind it."""
    published = publisher().publish(event.get("Records", []))
    metrics.add_metric("OutcomesPublished", MetricUnit.Count, published.told)
    metrics.add_metric("OutcomesUnreadable", MetricUnit.Count, published.unreadable)
    metrics.add_metric("OutcomesRefused", MetricUnit.Count, len(published.again))
    for class_, letters in published.dead.items():
        count("DeadLetters", class_, letters)
    # A stream goes on from the first of them, so one is enough; later ones that were told are told again.
    return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in published.again[:1]]}


def count(name: str, class_: str, number: int) -> None:
    """Count for the alarms: of this stack alone, and by the class of failure."""
    with single_metric(name=name, unit=MetricUnit.Count, value=number) as counted:
        counted.add_dimension("stack", os.environ.get("STACK_NAME", "local"))
        counted.add_dimension("class", class_)
