"""States of a stack as CloudFormation comes into them, and the way out by the command that the console names.

A small template stands for Tocsin's: what counts is what CloudFormation does.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.stack import eventually
from tocsin_console.deployment import Place
from tocsin_console.doctor.before import judge_existing
from tocsin_console.doctor.checks import Finding, Level
from tocsin_console.stack_states import STATES, Kind
from tocsin_local.emulator import Emulator
from tocsin_local.world import emulator_session

pytestmark = pytest.mark.integration


def template(seconds: int, *, refused: bool = False) -> str:
    """A queue; and, if that is asked for, what the service refuses once the queue is made or changed."""
    resources: dict[str, Any] = {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": seconds}}
    }
    if refused:
        resources["Refused"] = {
            "Type": "AWS::Lambda::Url",
            "DependsOn": "Queue",
            "Properties": {"TargetFunctionArn": "nobody-made-this", "AuthType": "AWS_IAM"},
        }
    return json.dumps({"Resources": resources})


class Cloud:
    """One stack on the emulator."""

    def __init__(self, aws: Emulator, stack: str) -> None:
        self.stack = stack
        self.client = aws.client("cloudformation")
        self.sqs = aws.client("sqs")
        self.place = Place(stack, emulator_session(), "us-east-1", aws.url)

    @property
    def status(self) -> str:
        found = self.place.look()
        return found["StackStatus"] if found else "none"

    def make(self, body: str, **how: Any) -> str:
        self.client.create_stack(StackName=self.stack, TemplateBody=body, **how)
        return self.at_rest()

    def update(self, body: str, **how: Any) -> str:
        self.client.update_stack(StackName=self.stack, TemplateBody=body, **how)
        return self.at_rest()

    def at_rest(self) -> str:
        """The status, once nothing is under way."""
        eventually(lambda: not self.status.endswith("_IN_PROGRESS"), lambda: self.status)
        return self.status

    def judged(self) -> Finding:
        """As `tocsin deploy` judges it."""
        [finding] = judge_existing({"stack": self.stack, "found": self.place.look()})
        return finding

    def mend(self) -> str:
        """Do what the console names. Return the status after it."""
        commands = re.findall(r"aws cloudformation (\S+) --stack-name ([\w-]+)", self.judged().mend)
        for command, stack in commands:
            assert stack == self.stack
            getattr(self.client, command.replace("-", "_"))(StackName=stack)
        return self.at_rest()


@pytest.fixture
def cloud(aws: Emulator, request: pytest.FixtureRequest) -> Cloud:
    name = re.sub(r"[^a-z]+", "-", request.node.name)[:60]
    return Cloud(aws, f"states-{name}".strip("-"))


def test_a_first_deployment_that_failed_is_refused_and_mended_by_deleting_it(cloud: Cloud) -> None:
    assert cloud.make(template(10, refused=True)) == "ROLLBACK_COMPLETE"
    with pytest.raises(cloud.client.exceptions.ClientError, match="cannot be updated"):
        cloud.update(template(10))
    assert cloud.judged().level is Level.FAULT
    assert cloud.mend() == "none"
    assert cloud.judged().level is Level.OK
    assert cloud.make(template(10)) == "CREATE_COMPLETE"


def test_an_update_that_failed_was_rolled_back_and_can_be_tried_again(cloud: Cloud) -> None:
    cloud.make(template(10))
    assert cloud.update(template(20, refused=True)) == "UPDATE_ROLLBACK_COMPLETE"
    assert STATES[cloud.status].kind is Kind.UNDONE
    assert cloud.judged().level is Level.OK
    assert cloud.update(template(20)) == "UPDATE_COMPLETE"


def test_an_update_that_failed_without_a_rollback_is_rolled_back_by_the_command(cloud: Cloud) -> None:
    cloud.make(template(10))
    assert cloud.update(template(20, refused=True), DisableRollback=True) == "UPDATE_FAILED"
    assert cloud.judged().level is Level.FAULT
    assert cloud.mend() == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.update(template(20)) == "UPDATE_COMPLETE"


def test_a_change_set_that_was_never_carried_out_is_no_obstacle(cloud: Cloud) -> None:
    cloud.client.create_change_set(
        StackName=cloud.stack, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=template(10)
    )
    assert cloud.status == "REVIEW_IN_PROGRESS"
    assert cloud.judged().level is Level.OK
