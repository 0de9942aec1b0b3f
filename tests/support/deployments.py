"""The deployments that the template allows: each combination of conditions, each choice of a parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain, product
from typing import Any

from tests.support.cloudformation import RuleFailed, Stack, deployed
from tests.support.published import transformed

MAIN = "template.yaml"

# What a parameter without `AllowedValues` may hold besides its default, where a condition asks.
SAMPLES = {
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
    "AlarmEmail": "desk@example.org",
    "AttachmentsBucket": "tickets",
    "AvailabilityZones": "eu-west-1b,eu-west-1c",
    "ConnectorImage": "public.ecr.aws/lambda/python:3.13.2026.06.05.14-arm64",
    "EventBusName": "desk/tickets",
    "KeysTableName": "earlier-KeysTable-1A2B3C",
    "NotificationsStreamArn": (
        "arn:aws:dynamodb:eu-west-1:123456789012:table/earlier-NotificationsTable-4D5E6F/stream/2026-01-01"
    ),
    "NotificationsTableName": "earlier-NotificationsTable-4D5E6F",
    "SealingSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:earlier-AbCdEf",
    "TextsSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:texts-AbCdEf",
    "WhatsAppRootKey": "ab" * 32,
}

# Each decides one property of its own, so it is combined with nothing.
ALONE = {"PlanConcurrency": "2", "ReceiptsConcurrency": "2", "DoorConcurrency": "5", "LogLevel": "DEBUG"}
DEFAULT_BUS = {"EventBusName": "default"}
"""A third kind of bus, on which a rule has another name; it decides nothing else."""


def choices(name: str) -> list[str]:
    """Return the values of a parameter of the main template that a condition can tell apart."""
    declared = transformed()["Parameters"][name]
    if "AllowedValues" in declared:
        return list(map(str, declared["AllowedValues"]))
    assert name in SAMPLES, f"name a value of {name} here: a condition asks for it"
    return [str(declared["Default"]), SAMPLES[name]]


def referred(node: Any) -> set[str]:
    """Return all that an expression refers to."""
    if isinstance(node, dict):
        return {node["Ref"]} if set(node) == {"Ref"} else set().union(*map(referred, node.values()))
    if isinstance(node, list):
        return set().union(*map(referred, node))
    return set()


def deciding(file: str = MAIN) -> set[str]:
    """Return the parameters of the main template that the conditions of `file` ask for."""
    template = transformed(file)
    asked = referred(template.get("Conditions", {}))
    if file == MAIN:
        return asked - ALONE.keys()
    [stack] = [it for it in nested() if it["TemplateURL"] == file]
    given = (referred(stack["Parameters"][name]) for name in asked if name in stack["Parameters"])
    return set().union(*given) & transformed()["Parameters"].keys()


def nested() -> list[Mapping[str, Any]]:
    """Return the properties of the stacks within the main one."""
    found = transformed()["Resources"].values()
    return [it["Properties"] for it in found if it["Type"] == "AWS::CloudFormation::Stack"]


def _combinations(names: set[str]) -> list[dict[str, str]]:
    ordered = sorted(names)
    return [
        dict(zip(ordered, values, strict=True)) for values in product(*(choices(name) for name in ordered))
    ]


@cache
def every_deployment() -> tuple[Stack, ...]:
    """Return one stack for each combination of the main template's conditions, and of each nested one's.

    Then one for each other choice of a single parameter. What the template's rules refuse is left out.
    """
    asked = [dict(one) for one in _candidates()]
    return tuple(stack for stack in map(_allowed, asked) if stack is not None)


def _candidates() -> Iterator[dict[str, str]]:
    own = _combinations(deciding())
    inner = [_combinations(deciding(it["TemplateURL"])) for it in nested()]
    first = {name: value for combinations in inner for name, value in combinations[0].items()}
    yield from (first | outer for outer in own)
    # Files' conditions don't ask for one another, so each file's are combined with each other alone. An odd
    # step goes round all of the main template's meanwhile.
    for position, more in enumerate(chain.from_iterable(inner)):
        yield own[position * 7 % len(own)] | more
        yield {"ConnectorMode": "fargate"} | more
    for name, declared in transformed()["Parameters"].items():
        for value in declared.get("AllowedValues", []):
            yield {name: str(value)}
            yield {"ConnectorMode": "external", name: str(value)}
    for name, value in ALONE.items():
        yield {name: value}
    yield DEFAULT_BUS
    yield {"ConnectorMode": "external"} | DEFAULT_BUS


# What goes with an adopted notifications table, which no condition asks for.
_STREAM = {"NotificationsStreamArn": SAMPLES["NotificationsStreamArn"]}


def _allowed(parameters: Mapping[str, str]) -> Stack | None:
    adopts = bool(parameters.get("NotificationsTableName"))
    try:
        return deployed({**parameters, **(_STREAM if adopts else {})})
    except RuleFailed:
        return None
