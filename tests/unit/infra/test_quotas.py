"""The quotas that AWS documents, and how near every deployment comes to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.cloudformation import Stack, deployed
from tests.support.deployments import every_deployment
from tests.support.published import transformed
from tests.support.templates import TEMPLATES
from tocsin_console.questions import QUESTIONS, STACK

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
TEMPLATE_BYTES = 1_000_000
PARAMETERS = OUTPUTS = MAPPINGS = 200
RESOURCES = 500
DESCRIPTION_BYTES = 1024
PARAMETER_DESCRIPTION = 4_000

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html. White space isn't counted.
MANAGED_POLICY = 6_144
INLINE_POLICIES = 10_240
POLICIES_PER_ROLE = 10

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ENVIRONMENT_BYTES = 4_096
LAYERS = 5
FUNCTION_SECONDS = 900

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
ALARM_DESCRIPTION = 1_024

NAME = 64

NAMED = {
    "AWS::Events::EventBus": ("Name", 256),
    "AWS::Logs::LogGroup": ("LogGroupName", 512),
    "AWS::Lambda::Function": ("FunctionName", NAME),
    "AWS::IAM::Role": ("RoleName", NAME),
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::CloudWatch::Dashboard": ("DashboardName", 255),
}


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def all_of(type_: str) -> Iterator[tuple[Stack, str, dict[str, Any]]]:
    for root in every_deployment():
        for stack in root.all():
            for name, it in stack.resources.items():
                if it.type == type_:
                    yield stack, name, it.properties


def largest(type_: str, measure: Callable[[dict[str, Any]], int]) -> int:
    return max((measure(properties) for _, _, properties in all_of(type_)), default=0)


@pytest.mark.parametrize("file", TEMPLATES)
def test_a_template_is_within_what_cloudformation_takes(file: str) -> None:
    template = transformed(file)
    assert size(template) < TEMPLATE_BYTES
    assert len(template["Resources"]) <= RESOURCES
    assert len(template["Parameters"]) <= PARAMETERS
    assert len(template.get("Outputs", {})) <= OUTPUTS
    assert len(template.get("Mappings", {})) <= MAPPINGS
    assert len(template["Description"].encode()) <= DESCRIPTION_BYTES
    described = [it.get("Description", "") for it in template["Parameters"].values()]
    assert max(map(len, described)) <= PARAMETER_DESCRIPTION


@pytest.mark.slow
def test_a_policy_is_within_what_iam_takes() -> None:
    assert 0 < largest("AWS::IAM::ManagedPolicy", lambda it: size(it["PolicyDocument"])) <= MANAGED_POLICY
    inline = largest(
        "AWS::IAM::Role", lambda it: sum(size(one["PolicyDocument"]) for one in it.get("Policies", []))
    )
    assert 0 < inline <= INLINE_POLICIES


# Regions with long names, one of each partition.
FAR = [
    ("aws", "ap-southeast-3"),
    ("aws-cn", "cn-northwest-1"),
    ("aws-us-gov", "us-gov-west-1"),
    ("aws-eusc", "eusc-de-east-1"),
]
LONGEST_STACK = "t" * 63
"""`tocsin deploy` takes no longer name."""
NAMES = re.compile(r"(function|sqs:[\w-]+:\d+):([\w.-]+)")


def cut(found: re.Match[str]) -> str:
    """A name that CloudFormation makes of a stack's is as long as the service takes: Lambda's, SQS's."""
    return f"{found[1]}:{found[2][: NAME if found[1] == 'function' else 80]}"


@pytest.mark.parametrize(("partition", "region"), FAR)
@pytest.mark.parametrize("key", ["own", "aws-managed"])
def test_a_policy_has_room_for_a_long_stack_name_in_each_partition(
    partition: str, region: str, key: str
) -> None:
    parameters = {"AttachmentsBucket": "b" * 63, "KeysKmsKey": key}
    stack = deployed(parameters, name=LONGEST_STACK, region=region, partition=partition)
    for name, policy in stack.of_type("AWS::IAM::ManagedPolicy").items():
        written = json.dumps(policy.properties["PolicyDocument"], separators=(",", ":"))
        written = NAMES.sub(cut, written)
        assert len(written) <= MANAGED_POLICY, name


def test_a_longer_stack_name_is_not_taken_by_a_deployment() -> None:
    [question] = [one for one in QUESTIONS if one.about == STACK]
    assert not question.problem(LONGEST_STACK)
    assert question.problem(f"{LONGEST_STACK}t")


@pytest.mark.slow
def test_a_role_has_no_more_policies_than_iam_attaches() -> None:
    most = largest("AWS::IAM::Role", lambda it: len(it.get("ManagedPolicyArns", [])))
    assert 0 < most <= POLICIES_PER_ROLE


def test_a_function_is_within_what_lambda_takes() -> None:
    environment = largest(
        "AWS::Lambda::Function", lambda it: size(it.get("Environment", {}).get("Variables", {}))
    )
    # Room for values that are longer than those of the samples.
    assert 0 < environment <= ENVIRONMENT_BYTES - 512
    assert 0 < largest("AWS::Lambda::Function", lambda it: len(it.get("Layers", []))) <= LAYERS
    assert 0 < largest("AWS::Lambda::Function", lambda it: int(it["Timeout"])) <= FUNCTION_SECONDS


def test_an_alarm_says_no_more_than_cloudwatch_keeps() -> None:
    assert 0 < largest("AWS::CloudWatch::Alarm", lambda it: len(it["AlarmDescription"])) <= ALARM_DESCRIPTION


@pytest.mark.parametrize("type_", sorted(NAMED))
def test_a_name_of_our_own_has_room_for_a_long_stack_name(type_: str) -> None:
    property_, most = NAMED[type_]
    for stack, name, properties in all_of(type_):
        if property_ in properties:
            written = str(properties[property_]).replace(stack.name, "")
            assert len(written) + 128 <= most, name


def test_more_than_a_quota_is_noticed() -> None:
    assert size({"Statement": ["x" * MANAGED_POLICY]}) > MANAGED_POLICY
