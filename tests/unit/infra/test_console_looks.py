"""`tocsin doctor` and `tocsin status` look at all that the template has, and a viewer may look at it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.templates import Resource, as_list, properties, resources, template
from tocsin_console.doctor.stack import FUNCTIONS
from tocsin_console.status import QUEUES, REMEDIES

Looked = dict[str, str | None]
"""The logical id of a resource → the condition under which it is there."""


def of_template(type_: str) -> Looked:
    return {name: it.get("Condition") for name, it in resources(type_).items()}


def named_by(outputs: Any) -> Looked:
    """The resources that outputs of the template name, with the conditions of these."""
    told: dict[str, Resource] = template()["Outputs"]
    return {told[name]["Value"]["Ref"]: told[name].get("Condition") for name in outputs}


def viewable(action: str, policy: dict[str, Any]) -> Looked:
    """The resources that a policy allows an action on by name, with the conditions under which it does."""
    return dict(
        _named(resource)
        for statement in policy["PolicyDocument"]["Statement"]
        if action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    )


def _named(resource: Any) -> tuple[str, str | None]:
    if "Fn::If" in resource:
        condition, named, otherwise = resource["Fn::If"]
        assert otherwise == {"Ref": "AWS::NoValue"}
        return named["Fn::GetAtt"][0], condition
    return resource["Fn::GetAtt"][0], None


FUNCTION, QUEUE = "AWS::Serverless::Function", "AWS::SQS::Queue"
SEEN = [
    (FUNCTION, FUNCTIONS.values(), "lambda:GetFunctionConfiguration"),
    (QUEUE, QUEUES.values(), "sqs:GetQueueAttributes"),
]


@pytest.mark.parametrize(("type_", "outputs", "action"), SEEN, ids=["functions", "queues"])
def test_all_of_them_are_looked_at_and_a_viewer_may(type_: str, outputs: Any, action: str) -> None:
    assert named_by(outputs) == of_template(type_)
    assert viewable(action, properties("ViewerPolicy")) == of_template(type_)


@pytest.mark.parametrize(("type_", "outputs", "action"), SEEN, ids=["functions", "queues"])
def test_one_that_is_left_out_or_always_asked_for_is_noticed(type_: str, outputs: Any, action: str) -> None:
    assert named_by(list(outputs)[:-1]) != of_template(type_)
    for spoilt in without_its_condition(properties("ViewerPolicy"), action):
        assert viewable(action, spoilt) != of_template(type_)


def without_its_condition(policy: dict[str, Any], action: str) -> Iterator[dict[str, Any]]:
    spoilt = copy.deepcopy(policy)
    for statement in spoilt["PolicyDocument"]["Statement"]:
        if action in as_list(statement["Action"]):
            statement["Resource"] = [
                one["Fn::If"][1] if "Fn::If" in one else one for one in statement["Resource"]
            ]
            yield spoilt


def test_the_doctor_s_names_are_those_of_the_functions_folders() -> None:
    told = template()["Outputs"]
    folders = {
        name: properties(told[output]["Value"]["Ref"])["CodeUri"] for name, output in FUNCTIONS.items()
    }
    assert folders == {name: f"functions/{name}" for name in FUNCTIONS}


def test_each_queue_that_should_be_empty_has_a_remedy() -> None:
    dead = {
        name for name, output in QUEUES.items() if output.endswith(("DeadQueueUrl", "DeadLettersQueueUrl"))
    }
    assert set(REMEDIES) == dead
