"""Each minute and after each login: resumes what waits, expires what is over, asks after missing receipts."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tocsin.notify.config import MaintainConfig
from tocsin.notify.maintain import Maintainer, Report

logger = Logger()
metrics = Metrics()
copy_config_to_registered_loggers(logger, include={"tocsin"})


@cache
def config() -> MaintainConfig:
    return MaintainConfig.read()


@cache
def maintainer() -> Maintainer:
    return Maintainer.connected(config())


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One account after the other; the failure of one is raised only after all had their turn."""
    asked = event.get("resume")
    accounts = config().accounts if asked is None else (asked,)
    work = maintainer().sweep if asked is None else maintainer().resume
    reports, failures = [], []
    for account in accounts:
        try:
            reports.append(work(account, lambda: context.get_remaining_time_in_millis() / 1000))
        except Exception as exc:
            logger.exception("upkeep failed", account=account)
            failures.append(exc)
    tell(reports, failures)
    if failures:
        raise ExceptionGroup("upkeep failed", failures)
    return {"accounts": [asdict(report) for report in reports]}


def tell(reports: list[Report], failures: list[Exception]) -> None:
    metrics.add_metric("UpkeepFailures", MetricUnit.Count, len(failures))
    for name in ("resumed", "expired", "overdue", "waiting"):
        count = sum(getattr(report, name) for report in reports)
        metrics.add_metric(f"Notifications{name.capitalize()}", MetricUnit.Count, count)
    for report in reports:
        if report != Report(report.account):
            logger.info("upkeep", **asdict(report))
