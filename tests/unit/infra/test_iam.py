"""Every right of the templates, held against the actions, resources and conditions that IAM has."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.cloudformation import Stack, deployed
from tests.support.deployments import every_deployment
from tests.support.iam import (
    Statement,
    actions_matching,
    is_resource_of,
    knows_condition,
    needed_types,
    policies,
    rights_of,
)

# A condition that an action doesn't know makes its part of an Allow void.
PASSED_OVER = {
    # Only what is encrypted or decrypted has an encryption context. Where the table's key is AWS's, nobody
    # needs to describe another.
    ("kms:DescribeKey", "kms:EncryptionContext:aws:dynamodb:tableName"),
}

# As AWS's own AWSLambdaVPCAccessExecutionRole has them: on everything.
AS_AWS_DOES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
}

NEEDED_TO_LEAVE_A_VPC = {"ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces"}


def faults(statements: Iterable[Statement]) -> list[str]:
    """What IAM would refuse or pass over in silence."""
    found = []
    for it in statements:
        known = [action for written in it.actions for action in actions_matching(written)]
        found += [
            f"{it.owner}: {resource} is for none of {it.actions}"
            for resource in it.resources
            if known
            and not AS_AWS_DOES & set(known)
            and not any(is_resource_of(one, resource) for one in known)
        ]
        for written in it.actions:
            actions = actions_matching(written)
            if not actions:
                found.append(f"{it.owner}: there is no action {written}")
            for action in actions:
                if action not in AS_AWS_DOES and not any(is_resource_of(action, one) for one in it.resources):
                    found.append(f"{it.owner}: {action} is for none of {it.resources}")
                found += [
                    f"{it.owner}: {action} knows no {key}"
                    for test in it.condition.values()
                    for key in test
                    if not knows_condition(action, key) and (action, key) not in PASSED_OVER
                ]
    return found


def unique(stacks: Iterable[Stack]) -> list[Statement]:
    found = {repr(it): it for stack in stacks for it in policies(stack)}
    return list(found.values())


@pytest.mark.slow
def test_every_right_is_one_that_iam_knows_on_a_resource_and_a_condition_of_its_own() -> None:
    statements = unique(every_deployment())
    assert len(statements) > 30
    assert faults(statements) == []


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({"Action": "sqs:SendMessages", "Resource": "arn:aws:sqs:eu-west-1:1:q"}, "no action"),
        ({"Action": "dynamo:GetItem", "Resource": "arn:aws:dynamodb:eu-west-1:1:table/t"}, "no action"),
        ({"Action": "sqs:SendMessage", "Resource": "arn:aws:sns:eu-west-1:1:t"}, "is for none"),
        ({"Action": "sqs:SendMessage", "Resource": "*"}, "is for none"),
        (
            {
                "Action": "sqs:SendMessage",
                "Resource": "arn:aws:sqs:eu-west-1:1:q",
                "Condition": {"StringEquals": {"dynamodb:LeadingKeys": "a"}},
            },
            "knows no",
        ),
    ],
)
def test_one_that_is_none_is_found_out(written: dict[str, object], fault: str) -> None:
    [*found] = faults([Statement.of("Invented", {"Effect": "Allow", **written})])
    assert fault in found[0]


def test_every_role_is_assumed_by_one_service_and_only_for_this_account_where_that_can_be_said() -> None:
    for name, role in deployed().of_type("AWS::IAM::Role").items():
        [statement] = role.properties["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRole"
        [service] = [statement["Principal"]["Service"]]
        if service != "lambda.amazonaws.com":
            assert "aws:SourceAccount" in statement["Condition"]["StringEquals"], name


@pytest.mark.parametrize("parameters", [{}, {"ConnectorMode": "external"}])
def test_a_function_that_was_in_the_vpc_may_leave_it(parameters: dict[str, str]) -> None:
    inside = {
        it.properties["Role"].rsplit("/", 1)[1]
        for it in deployed().of_type("AWS::Lambda::Function").values()
        if "VpcConfig" in it.properties
    }
    stack = deployed(parameters)
    for name, role in stack.of_type("AWS::IAM::Role").items():
        if f"tocsin-{name}-1ABCDEFGHIJKL" in inside:
            allowed = {
                action for it in rights_of(stack, name) if it.effect == "Allow" for action in it.actions
            }
            assert allowed >= NEEDED_TO_LEAVE_A_VPC, (name, role.logical_id)


def test_what_is_allowed_on_everything_is_what_iam_has_nothing_narrower_for() -> None:
    wide = {
        action
        for it in unique([deployed()])
        if "*" in it.resources
        for written in it.actions
        for action in actions_matching(written)
    }
    assert {it for it in wide - AS_AWS_DOES if needed_types(it)} == set()
