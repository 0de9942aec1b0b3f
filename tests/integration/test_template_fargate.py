"""The Fargate branch, as far as it goes without AWS: packed, accepted as a change set, or refused."""

from pathlib import Path

import pytest

from tocsin_local.emulator import Emulator
from tocsin_local.stack import STACK_NAME, CommandFailed, build, deploy

pytestmark = pytest.mark.integration

FARGATE = {"ConnectorMode": "fargate", "Timing": "aws"}


@pytest.fixture(scope="module")
def built(aws: Emulator) -> Path:
    return build(aws.folder)


@pytest.mark.parametrize("network", ["ipv4", "ipv6"])
def test_a_change_set_holds_network_and_connector(aws: Emulator, built: Path, network: str) -> None:
    deploy(aws, built, {**FARGATE, "ConnectorNetwork": network}, "--no-execute-changeset")
    cloudformation = aws.client("cloudformation")
    made = cloudformation.list_change_sets(StackName=STACK_NAME)["Summaries"]
    found = max(made, key=lambda it: it["CreationTime"])
    changes = cloudformation.describe_change_set(ChangeSetName=found["ChangeSetId"], StackName=STACK_NAME)[
        "Changes"
    ]
    added = {change["ResourceChange"]["LogicalResourceId"] for change in changes}
    assert {"Network", "Connector", "VpcPolicy", "Observability"} <= added


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [
        ({"ConnectorMode": "external", "ConnectorMemory": "1024"}, "ConnectorMemory is for"),
        ({"ConnectorMode": "external", "ConnectorNetwork": "ipv6"}, "ConnectorNetwork is for"),
        ({**FARGATE, "Timing": "trial"}, "Leave out Timing"),
        ({**FARGATE, "AvailabilityZones": "us-east-1a,us-east-1a"}, "two different zones"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_remedy(
    aws: Emulator, built: Path, parameters: dict[str, str], remedy: str
) -> None:
    with pytest.raises(CommandFailed, match=remedy):
        deploy(aws, built, parameters, "--no-execute-changeset")
