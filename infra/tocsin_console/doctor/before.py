"""Checks before a deployment: what would fail halfway, said before anything is made. They only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tocsin_console import trouble
from tocsin_console.doctor.checks import Check, Finding, fault, ok
from tocsin_console.doctor.planned import Planned
from tocsin_console.doctor.planned_build import gather_layer, gather_sam, judge_layer, judge_sam
from tocsin_console.doctor.planned_network import gather_network, judge_network
from tocsin_console.doctor.planned_parameters import (
    gather_contradictions,
    gather_named,
    judge_contradictions,
    judge_named,
)
from tocsin_console.doctor.planned_quotas import (
    gather_concurrency,
    gather_networks,
    judge_concurrency,
    judge_networks,
)
from tocsin_console.doctor.planned_region import (
    gather_role,
    gather_services,
    gather_zones,
    judge_role,
    judge_services,
    judge_zones,
)
from tocsin_console.stack_states import Kind, mend, state_of

# -- who am I ----------------------------------------------------------------------------------------------


def gather_credentials(planned: Planned) -> dict[str, str]:
    try:
        identity = planned.place.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        return {"problem": trouble.sentence(error, where=f"region {planned.place.region}")}
    return {"account": identity["Account"], "arn": identity["Arn"], "region": planned.place.region}


def judge_credentials(facts: Mapping[str, str]) -> list[Finding]:
    if "problem" in facts:
        return [
            fault(facts["problem"], "nothing can be deployed", "aws configure, or aws sso login; --profile")
        ]
    return [ok(f"{facts['arn']} in account {facts['account']}, region {facts['region']}")]


# -- the stack that is there -------------------------------------------------------------------------------


def gather_existing(planned: Planned) -> dict[str, Any]:
    return {"stack": planned.place.stack, "found": planned.place.look()}


def judge_existing(facts: Mapping[str, Any]) -> list[Finding]:
    stack, found = facts["stack"], facts["found"]
    if found is None:
        return [ok(f"there is no stack '{stack}' yet: it will be made")]
    status = found["StackStatus"]
    state, saw = state_of(status), f"the stack '{stack}' is {status}"
    if state.kind is Kind.ABSENT:
        return [ok(f"{saw}: it will be made")]
    if state.can_be_deployed:
        return [ok(f"{saw}: it will be updated")]
    refuses = "" if state.kind is Kind.BUSY else "CloudFormation refuses to update it; "
    return [fault(saw, f"{refuses}{state.means}", mend(status, stack))]


CHECKS: Final[Sequence[Check[Planned]]] = (
    Check("credentials", gather_credentials, judge_credentials),
    Check("stack", gather_existing, judge_existing),
    Check("sam", gather_sam, judge_sam),
    Check("layer", gather_layer, judge_layer),
    Check("parameters", gather_contradictions, judge_contradictions),
    Check("named", gather_named, judge_named),
    Check("services", gather_services, judge_services),
    Check("zones", gather_zones, judge_zones),
    Check("ipv6", gather_network, judge_network),
    Check("concurrency", gather_concurrency, judge_concurrency),
    Check("networks", gather_networks, judge_networks),
    Check("ecs role", gather_role, judge_role),
)
