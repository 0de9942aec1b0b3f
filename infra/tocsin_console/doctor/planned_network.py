"""Before a deployment with ConnectorNetwork=ipv6: may a task without IPv4 start there, and have its image?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tocsin_console.doctor.checks import Finding, fault, ok, warning
from tocsin_console.doctor.planned import Planned

LISTED_AT: Final = "docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-networking.html"

WITH_IPV6_ONLY_TASKS: Final = frozenset(
    {
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "sa-east-1"),
        *("eu-central-1", "eu-west-2", "eu-west-3", "eu-south-1", "eu-south-2"),
        *("ap-east-1", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"),
        *("ap-southeast-4", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
        *("af-south-1", "il-central-1", "me-central-1", "me-south-1"),
        *("cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1"),
    }
)
"""Regions that AWS names for tasks in IPv6-only subnets ("AWS Regions that support IPv6-only mode for Amazon
ECS", on the page `LISTED_AT`, read in 2026-11). No API tells it."""

_IPV4_ALONE: Final = re.compile(r"public\.ecr\.aws/.*|[0-9]+\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.[a-z.]+/.*")
"""Names of ECR's registries that answer over IPv4 alone ("Making requests to Amazon ECR registries")."""


def gather_network(planned: Planned) -> dict[str, Any]:
    return {
        "asked": planned.fargate and planned["ConnectorNetwork"] == "ipv6",
        "region": planned.place.region,
        "image": planned["ConnectorImage"],
    }


def judge_network(facts: Mapping[str, Any]) -> list[Finding]:
    if not facts["asked"]:
        return [ok("not needed: no connector is to do without IPv4")]
    region, found = facts["region"], []
    if region not in WITH_IPV6_ONLY_TASKS:
        found.append(
            warning(
                f"AWS's list of regions with tasks without IPv4 doesn't name {region}",
                "where AWS has none, no connector starts, and the deployment goes back",
                f"leave out ConnectorNetwork, or see whether the list has grown: {LISTED_AT}",
            )
        )
    if _IPV4_ALONE.fullmatch(facts["image"]):
        found.append(
            fault(
                "ConnectorImage names a registry that answers over IPv4 alone",
                "no task could pull it, and the deployment would go back",
                "name it in ecr-public.aws.com/… or ACCOUNT.dkr-ecr.REGION.on.aws/…",
            )
        )
    return found or [
        ok(
            f"AWS names {region} for tasks without IPv4. Whether image and code arrive shows at the start; "
            "a deployment whose task doesn't start goes back by itself"
        )
    ]
