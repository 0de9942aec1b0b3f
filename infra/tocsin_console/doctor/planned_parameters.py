"""Before a deployment: is there what the parameters name, and do they fit each other and the stack?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from tocsin_console.doctor.checks import Finding, fault, ok, unknown, warning
from tocsin_console.doctor.planned import Planned, parameters_of
from tocsin_console.template_defaults import DEFAULTS


def gather_named(planned: Planned) -> dict[str, str]:
    """Parameter → what is wrong with the thing that it names; empty where it is there."""
    asks: dict[str, Callable[[str], object]] = {
        "EventBusName": lambda name: planned.place.client("events").describe_event_bus(Name=name),
        "AttachmentsBucket": lambda name: planned.place.client("s3").head_bucket(Bucket=name),
        "AlarmTopicArn": lambda arn: planned.place.client("sns").get_topic_attributes(TopicArn=arn),
        "SealingSecretArn": lambda arn: planned.place.client("secretsmanager").describe_secret(SecretId=arn),
        "TextsSecretArn": lambda arn: planned.place.client("secretsmanager").describe_secret(SecretId=arn),
    }
    found: dict[str, str] = {}
    for parameter, ask in asks.items():
        name = planned[parameter]
        if not name:
            continue
        try:
            ask(name)
            found[parameter] = ""
        except ClientError as error:
            found[parameter] = f"{name}: {error.response['Error']['Code']}"
    return found


_UNSEEN = (
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
)


def judge_named(facts: Mapping[str, str]) -> list[Finding]:
    bad = {parameter: problem for parameter, problem in facts.items() if problem}
    if not bad:
        return [ok(f"all of it is there: {', '.join(facts)}" if facts else "the parameters name nothing")]
    return [_named(parameter, problem) for parameter, problem in bad.items()]


def _named(parameter: str, problem: str) -> Finding:
    if problem.endswith(tuple(f": {code}" for code in _UNSEEN)):
        # It may be another account's, which lets the stack use it and you not look.
        return unknown(
            f"{parameter} names {problem}, so you can't see whether it is there", f"is {parameter} right?"
        )
    saw = f"{parameter} names {problem}"
    return fault(saw, "the stack could not use it", f"correct {parameter}, or leave it out")


def gather_contradictions(planned: Planned) -> dict[str, Any]:
    running = parameters_of(planned.place.look())
    return {"planned": {name: planned[name] for name in DEFAULTS}, "running": running}


_FARGATE_ALONE = (
    "ConnectorCount",
    "ConnectorMemory",
    "ConnectorCapacity",
    "ConnectorNetwork",
    "ConnectorImage",
    "AvailabilityZones",
    "WhatsAppUrl",
    "WhatsAppRootKey",
)


ALONE_ON_SPOT: Final = (
    "one connector on Fargate Spot",
    "when AWS takes it away nobody takes over: the accounts wait for a new task, a minute or two, or for as "
    "long as AWS has no capacity to spare; notifications wait, none is lost",
    "ConnectorCount=2, or ConnectorCapacity=on-demand, if that is too long",
)
"""What was seen, what it means, what mends it."""

_FARGATE = ("ConnectorMode", "fargate")
_FROM_THIS_RELEASE = "PlanConcurrency"
"""A parameter that 0.1.0 didn't have."""


def judge_contradictions(facts: Mapping[str, Any]) -> list[Finding]:
    planned, running, found = facts["planned"], facts["running"], []
    if planned["ConnectorMode"] == "external":
        given = [name for name in _FARGATE_ALONE if planned[name] != DEFAULTS[name]]
        if given:
            saw, means = f"{', '.join(given)} with ConnectorMode=external", "CloudFormation refuses it"
            found.append(fault(saw, means, f"leave out {given[0]}"))
    elif (planned["ConnectorCapacity"], planned["ConnectorCount"]) == ("spot", "1"):
        found.append(warning(*ALONE_ON_SPOT))
    secrets = {planned["SealingSecretArn"], planned["TextsSecretArn"]}
    if len(secrets) == 1 and secrets != {""}:
        means = "texts and keys would be sealed alike"
        found.append(fault("both secrets are one", means, "name the two outputs of the earlier stack"))
    gone = _accounts(running.get("Accounts", "")) - _accounts(planned["Accounts"])
    if gone:
        saw = f"the stack serves {', '.join(sorted(gone))}, the new parameter Accounts doesn't"
        if _FROM_THIS_RELEASE in running:
            means = "an account that is linked, or for which something waits, is served on all the same"
            one = sorted(gone)[0]
            mend = f"to end it: tocsin unpair --account {one}, then tocsin accounts remove {one}"
            found.append(warning(saw, means, mend))
        else:
            means = "0.1.0 wrote down nowhere what is in use: no connector would hold it any more"
            found.append(
                fault(saw, means, "keep it in Accounts in this deployment, and leave it out in the next")
            )
    zones = running.get("AvailabilityZones", "")
    if _FARGATE in running.items() and zones != planned["AvailabilityZones"]:
        saw = "AvailabilityZones differs from the running stack's"
        means = "subnets can't move: the network would be replaced under the running functions"
        found.append(fault(saw, means, f"set AvailabilityZones={zones}" if zones else "leave it out"))
    return found or [ok("no parameter contradicts another or the running stack")]


def _accounts(text: str) -> set[str]:
    return {name for name in text.split(",") if name}
