"""Before a deployment: has the AWS account room for it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tocsin_console.doctor.checks import Finding, fault, ok, warning
from tocsin_console.doctor.planned import Planned

FEW: Final = 10
"""Concurrent executions of a new AWS account."""

UNCAPPED: Final = 2
"""Runs that a queue without a cap wants at least: Lambda's pollers of one that is empty."""

SPARE: Final = 6
"""For the functions without a limit of their own: outcomes, upkeep, and what else runs in the account."""

QUOTA_REQUEST = (
    "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 "
    "--desired-value 1000"
)


MIN_UNRESERVED: Final = 100
"""Executions that no function may reserve, of an account."""


def gather_concurrency(planned: Planned) -> dict[str, int]:
    limit = planned.place.client("lambda").get_account_settings()["AccountLimit"]
    wanted = ("SendConcurrency", "PlanConcurrency", "ReceiveConcurrency", "ReceiptsConcurrency")
    return {
        "limit": limit["ConcurrentExecutions"],
        "unreserved": limit["UnreservedConcurrentExecutions"],
        # A queue without a cap takes what is free, and wants two runs at least.
        "wanted": sum(int(planned[name]) or UNCAPPED for name in wanted),
        "uncapped": sum(not int(planned[name]) for name in wanted),
        "reserved": int(planned["DoorConcurrency"]),
    }


def judge_concurrency(facts: Mapping[str, int]) -> list[Finding]:
    limit, free, wanted = facts["limit"], facts["unreserved"], facts["wanted"]
    more = " and more" if facts["uncapped"] else ""
    saw = f"{free} of {limit} concurrent executions are free; the queues may use {wanted}{more}"
    reserved = facts.get("reserved", 0)
    if reserved and limit - reserved < MIN_UNRESERVED:
        means = f"AWS leaves {MIN_UNRESERVED} to others and reserves no more, so the deployment fails"
        return [
            fault(f"DoorConcurrency={reserved}, of {limit} concurrent executions", means, "DoorConcurrency=0")
        ]
    if free < wanted:
        means = "Lambda refuses runs, and refused runs count as receives: messages are buried unread"
        return [fault(saw, means, f"{QUOTA_REQUEST} (or lower SendConcurrency)")]
    if free < wanted + SPARE or limit <= FEW:
        capped = " (until then: PlanConcurrency=2 ReceiptsConcurrency=2)" if facts["uncapped"] else ""
        return [
            warning(
                saw, "a storm of tickets leaves nothing for upkeep and outcomes", f"{QUOTA_REQUEST}{capped}"
            )
        ]
    return [ok(saw)]


def gather_networks(planned: Planned) -> dict[str, Any]:
    if not planned.fargate or planned.place.look() is not None:
        return {"needed": False}
    vpcs = len(planned.place.client("ec2").describe_vpcs()["Vpcs"])
    quota = planned.place.client("service-quotas").get_service_quota(
        ServiceCode="vpc", QuotaCode="L-F678F1CE"
    )["Quota"]["Value"]
    return {"needed": True, "vpcs": vpcs, "quota": int(quota)}


def judge_networks(facts: Mapping[str, Any]) -> list[Finding]:
    if not facts["needed"]:
        return [ok("no new VPC is made")]
    saw = f"{facts['vpcs']} of {facts['quota']} VPCs of this region are used"
    if facts["vpcs"] >= facts["quota"]:
        mend = (
            "aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE "
            f"--desired-value {facts['quota'] + 5}"
        )
        return [fault(saw, "the stack needs one of its own, and would roll back", mend)]
    return [ok(saw)]
