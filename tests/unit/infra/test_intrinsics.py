"""Every expression of every template, resolved as strictly as CloudFormation may, in every deployment."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from tests.support.cloudformation import Refused, Stack
from tests.support.deployments import every_deployment
from tests.support.published import transformed
from tests.support.templates import TEMPLATES, resources

ALONE = {
    "PlanCapped": 1,
    "ReceiptsCapped": 1,
    "DoorCapped": 1,
    "Debugging": len(resources("AWS::Serverless::Function")),
    "DefaultBus": 1,
    "OnNamedBus": 1,
}
"""Conditions that are combined with no other one, and how many expressions ask for each: one property of the
stack, or the same one of every function."""

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {}}


def refused(value: Any, **more: Any) -> bool:
    """Whether a template with this value for an output is refused."""
    stack = Stack("tocsin", "invented.yaml", {}, "eu-west-1", "aws")
    stack.__dict__["template"] = {
        "Parameters": {"Text": {"Type": "String", "Default": ""}},
        "Conditions": {"Never": {"Fn::Equals": [{"Ref": "Text"}, "x"]}},
        "Mappings": {"Map": {"key": {"Value": "1"}}},
        "Resources": {"Queue": QUEUE, "Absent": {**QUEUE, "Condition": "Never"}},
        "Outputs": {"It": {"Value": value}},
        **more,
    }
    try:
        stack.build()
    except Refused:
        return True
    return False


def states(file: str) -> set[tuple[tuple[str, bool], ...]]:
    """The combinations of the conditions of a template that were resolved."""
    return {
        tuple(sorted(stack.conditions.items()))
        for root in every_deployment()
        for stack in root.all()
        if stack.file == file
    }


def ruled_out(combination: tuple[tuple[str, bool], ...]) -> bool:
    """What the rules refuse, or no parameters bring about: half of what an adopted stack needs, or two
    conditions of which only one is asked for together."""
    told = dict(combination)
    if "HookedOnFargate" in told:
        return told["HookedOnFargate"] is not (told["Hooked"] and told["Fargate"])
    if "OwnKeysTable" not in told:
        return False
    keys_without = not told["OwnKeysTable"] and (
        told["OwnSecret"] or told["OwnNotificationsTable"] or told["OwnKey"]
    )
    return keys_without or (not told["OwnNotificationsTable"] and told["OwnTextsSecret"])


@pytest.mark.slow
def test_every_expression_has_a_value_in_every_deployment() -> None:
    assert len(every_deployment()) > 100


@pytest.mark.slow
@pytest.mark.parametrize("file", TEMPLATES)
def test_conditions_are_seen_in_all_their_combinations(file: str) -> None:
    names = sorted(transformed(file).get("Conditions", {}).keys() - ALONE.keys())
    every = {tuple(zip(names, values, strict=True)) for values in product((False, True), repeat=len(names))}
    seen = {tuple(one for one in state if one[0] not in ALONE) for state in states(file)}
    assert {one for one in every - seen if not ruled_out(one)} == set()


@pytest.mark.slow
@pytest.mark.parametrize("condition", sorted(ALONE))
def test_a_condition_of_one_property_is_seen_both_ways_and_decides_no_more(condition: str) -> None:
    [file] = [file for file in TEMPLATES if condition in transformed(file).get("Conditions", {})]
    assert {dict(state)[condition] for state in states(file)} == {False, True}
    assert repr(transformed(file)).count(f"'Fn::If': ['{condition}'") == ALONE[condition]


@pytest.mark.slow
def test_adopted_tables_are_seen_with_and_without_the_keys() -> None:
    seen = {
        tuple(bool(dict(one)[name]) for name in ("OwnKeysTable", "OwnNotificationsTable"))
        for one in states("template.yaml")
    }
    assert seen == {(True, True), (True, False), (False, False)}


@pytest.mark.slow
def test_every_choice_of_a_parameter_is_seen() -> None:
    for name, declared in transformed()["Parameters"].items():
        seen = {stack.parameters[name] for stack in every_deployment()}
        assert seen >= set(map(str, declared.get("AllowedValues", [])))


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nobody"},
        {"Ref": "Absent"},
        {"Fn::GetAtt": ["Absent", "Arn"]},
        {"Fn::GetAtt": ["Queue", "Colour"]},
        {"Fn::FindInMap": ["Map", "", "Value"]},
        {"Fn::FindInMap": ["Map", {"Ref": "Text"}, "Value"]},
        {"Fn::FindInMap": ["Map", "other", "Value"]},
        {"Fn::If": ["Never", {"Fn::FindInMap": ["Map", {"Ref": "Text"}, "Value"]}, "lazy"]},
        {"Fn::If": ["Unknown", "a", "b"]},
        {"Fn::Join": [",", ["a", {"Ref": "AWS::NoValue"}]]},
        {"Fn::Sub": ["${It}", {"It": {"Ref": "AWS::NoValue"}}]},
        {"Fn::Sub": "${Nobody}"},
        {"Fn::Select": [1, {"Fn::Split": [",", {"Ref": "Text"}]}]},
        {"Fn::Select": [3, {"Fn::GetAZs": ""}]},
        {"Ref": "AWS::NoValue"},
        {"Fn::Transform": {"Name": "AWS::Include"}},
    ],
)
def test_what_cloudformation_may_refuse_is_refused(value: Any) -> None:
    assert refused(value)


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::GetAtt": ["Queue", "Arn"]},
        {"Fn::If": ["Never", {"Fn::GetAtt": ["Absent", "Arn"]}, "none"]},
        {"Fn::FindInMap": ["Map", "key", "Value"]},
        {"Fn::Select": [1, {"Fn::GetAZs": ""}]},
    ],
)
def test_what_it_takes_is_taken(value: Any) -> None:
    assert not refused(value)


@pytest.mark.parametrize("given", [{"Text": "y"}, {"Other": "x"}])
def test_a_parameter_that_is_none_or_not_allowed_is_refused(given: Mapping[str, str]) -> None:
    stack = Stack("tocsin", "invented.yaml", given, "eu-west-1", "aws")
    stack.__dict__["template"] = {
        "Parameters": {"Text": {"Type": "String", "Default": "x", "AllowedValues": ["x"]}},
        "Resources": {},
    }
    with pytest.raises(Refused):
        assert stack.parameters
