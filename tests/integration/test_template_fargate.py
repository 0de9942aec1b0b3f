"""The Fargate branch, as far as it goes without AWS: the SAM CLI packs it and a change set accepts it."""

import pytest

from tocsin_local.emulator import Emulator
from tocsin_local.stack import STACK_NAME, build, deploy

pytestmark = pytest.mark.integration


def test_a_change_set_holds_network_and_connector(aws: Emulator) -> None:
    deploy(aws, build(aws.folder), {"ConnectorMode": "fargate"}, "--no-execute-changeset")
    cloudformation = aws.client("cloudformation")
    (found,) = cloudformation.list_change_sets(StackName=STACK_NAME)["Summaries"]
    changes = cloudformation.describe_change_set(ChangeSetName=found["ChangeSetId"], StackName=STACK_NAME)[
        "Changes"
    ]
    added = {change["ResourceChange"]["LogicalResourceId"] for change in changes}
    assert {"Network", "Connector", "VpcPolicy", "Observability"} <= added
