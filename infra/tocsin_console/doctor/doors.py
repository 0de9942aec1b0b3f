"""Checks of the ways in and out by HTTP, and of what Lambda refuses to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tocsin_console.doctor.checks import Check, Finding, ok, warning
from tocsin_console.doctor.stack import LOOK_BACK_SECONDS, Deployed
from tocsin_console.hook_health import HookHealth, hooks_of
from tocsin_console.output import counted

DOOR: Final = "receive_webhook"


def gather_throttles(deployed: Deployed) -> dict[str, int]:
    """Function → how often Lambda refused to run it within the last hour."""
    found = {}
    for name, function in deployed.functions.items():
        points = deployed.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Throttles",
            Dimensions=[{"Name": "FunctionName", "Value": function}],
            StartTime=deployed.now - LOOK_BACK_SECONDS,
            EndTime=deployed.now,
            Period=LOOK_BACK_SECONDS,
            Statistics=["Sum"],
        )["Datapoints"]
        found[name] = int(sum(point["Sum"] for point in points))
    return found


def judge_throttles(facts: Mapping[str, int]) -> list[Finding]:
    found = []
    for name, times in facts.items():
        if not times:
            continue
        saw = f"Lambda refused {counted(times, 'runs')} of {name} within the last hour"
        if name == DOOR:
            means = "callers of the HTTP door got 429: help desks try again, many tools don't"
            mend = "tocsin sources list shows who calls; raise DoorConcurrency, or the account's quota"
        else:
            means = "what it was called for came later; much of it again and again ends in dead letters"
            mend = "aws lambda get-account-settings; ask AWS for more concurrent executions"
        found.append(warning(saw, means, mend))
    return found or [ok(f"Lambda refused no run within the last hour, of {counted(len(facts), 'functions')}")]


def judge_webhooks(facts: Sequence[HookHealth] | None) -> list[Finding]:
    if facts is None:
        return [ok("off: the parameter OutcomeHooks=on tells outcomes to webhooks of yours")]
    found = [
        warning(one.sentence, "its system doesn't know what became of notifications", one.mend)
        for one in facts
        if not one.well
    ]
    return found or [ok(f"{counted(len(facts), 'webhooks')}, and all take what they are told")]


CHECKS: Final[Sequence[Check[Deployed]]] = (
    Check("throttles", gather_throttles, judge_throttles),
    Check("webhooks", lambda deployed: hooks_of(deployed.deployment), judge_webhooks),
)
