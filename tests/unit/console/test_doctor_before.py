"""Each check before a deployment: seen to pass, to find its fault, and to be unknown."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from tests.support.fake_deployment import Said
from tests.support.scripted_aws import ScriptedAws, refused
from tests.support.templates import template
from tocsin_console.deployment import Place
from tocsin_console.doctor import before, checks
from tocsin_console.doctor.checks import Check, FaultsFound, Level
from tocsin_console.doctor.planned import Planned
from tocsin_console.doctor.planned_network import WITH_IPV6_ONLY_TASKS
from tocsin_console.doctor.planned_quotas import judge_concurrency
from tocsin_console.stack_states import STATES
from tocsin_console.template_defaults import DEFAULTS

REGION = "eu-west-1"
MOVED = {"AvailabilityZones": "eu-west-1a,eu-west-1c"}
ZONES = {"eu-west-1a": "euw1-az1", "eu-west-1b": "euw1-az2", "eu-west-1c": "euw1-az3"}


def zones(found: dict[str, str]) -> dict[str, Any]:
    return {"AvailabilityZones": [{"ZoneName": name, "ZoneId": id_} for name, id_ in found.items()]}


def stack(status: str = "UPDATE_COMPLETE", **parameters: str) -> dict[str, Any]:
    told = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    one = {
        "StackName": "tocsin",
        "CreationTime": datetime.now(UTC),
        "StackStatus": status,
        "Parameters": told,
    }
    return {"Stacks": [one]}


def limits(limit: int, free: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": free}}


class Scene:
    """An AWS account in which nothing is missing, and what is to be deployed there."""

    def __init__(self, folder: Path) -> None:
        self.aws = ScriptedAws(
            sts__get_caller_identity={
                "Account": "123456789012",
                "Arn": "arn:aws:iam::1:user/dewi",
            },
            cloudformation__describe_stacks=refused("ValidationError"),
            lambda__get_account_settings=limits(1000, 1000),
            ec2__describe_vpcs={"Vpcs": [{"VpcId": "vpc-1"}]},
            iam__get_role={
                "Role": {
                    "Path": "/",
                    "RoleName": "AWSServiceRoleForECS",
                    "RoleId": "AROAEXAMPLEEXAMPLE",
                    "Arn": "arn:aws:iam::123456789012:role/AWSServiceRoleForECS",
                    "CreateDate": datetime.now(UTC),
                }
            },
            ec2__describe_availability_zones=zones(ZONES),
            events__describe_event_bus={"Name": "desk"},
        )
        self.aws.answers["service-quotas.get_service_quota"] = {"Quota": {"Value": 5.0}}
        self.parameters: dict[str, str] = {}
        self.region = REGION
        self.sam = folder / "sam"
        self.folder = folder
        self.says(self.sam, "SAM CLI, version 1.170.0")

    @staticmethod
    def says(program: Path, text: str) -> None:
        program.write_text(f"#!/bin/sh\necho '{text}'\n")
        program.chmod(0o755)

    def built_for(self, target: str) -> None:
        stamp = self.folder / ".aws-sam/build/CoreLayer/python/tocsin/TARGET"
        stamp.parent.mkdir(parents=True)
        stamp.write_text(f"{target}\n")

    @property
    def planned(self) -> Planned:
        session = Session()
        place = Place("tocsin", session, self.region)
        object.__setattr__(place, "client", self.aws.client)
        return Planned(place, self.parameters, self.folder, str(self.sam))

    def examine(self, name: str) -> list[checks.Finding]:
        return checks.examined(check_named(name), self.planned)


def check_named(name: str) -> Check[Planned]:
    return next(check for check in before.CHECKS if check.name == name)


Sicken = Callable[[Scene], object]

FAULTS: list[tuple[str, Sicken, Level, str]] = [
    (
        "credentials",
        lambda it: it.aws.say(sts__get_caller_identity=refused("ExpiredToken")),
        Level.FAULT,
        "aws sso login",
    ),
    (
        "stack",
        lambda it: it.aws.say(cloudformation__describe_stacks=stack("ROLLBACK_COMPLETE")),
        Level.FAULT,
        "delete-stack --stack-name tocsin",
    ),
    (
        "stack",
        lambda it: it.aws.say(cloudformation__describe_stacks=stack("UPDATE_ROLLBACK_FAILED")),
        Level.FAULT,
        "continue-update-rollback",
    ),
    (
        "stack",
        lambda it: it.aws.say(cloudformation__describe_stacks=stack("UPDATE_IN_PROGRESS")),
        Level.FAULT,
        "wait",
    ),
    *(
        (
            "stack",
            lambda it, status=status: it.aws.say(cloudformation__describe_stacks=stack(status)),
            Level.FAULT,
            state.mend.replace("{stack}", "tocsin"),
        )
        for status, state in STATES.items()
        if not state.can_be_deployed
    ),
    ("sam", lambda it: it.sam.unlink(), Level.FAULT, "aws-sam-cli"),
    ("sam", lambda it: it.says(it.sam, "SAM CLI, version 1.53.0"), Level.WARNING, "pipx upgrade aws-sam-cli"),
    ("layer", lambda it: it.built_for("python3.12 x86_64"), Level.FAULT, "TOCSIN_RUNTIME=python3.13"),
    (
        "parameters",
        lambda it: it.parameters.update(ConnectorMode="external", ConnectorCount="2"),
        Level.FAULT,
        "leave out ConnectorCount",
    ),
    (
        "parameters",
        lambda it: it.parameters.update(ConnectorCapacity="spot"),
        Level.WARNING,
        "ConnectorCount=2",
    ),
    (
        "parameters",
        # A stack of 0.1.0.
        lambda it: it.aws.say(cloudformation__describe_stacks=stack(Accounts="default,support")),
        Level.FAULT,
        "keep it in Accounts in this deployment",
    ),
    (
        "parameters",
        lambda it: it.aws.say(
            cloudformation__describe_stacks=stack(Accounts="default,support", PlanConcurrency="2")
        ),
        Level.WARNING,
        "tocsin unpair --account support, then tocsin accounts remove support",
    ),
    (
        "parameters",
        lambda it: it.parameters.update(SealingSecretArn="arn:x", TextsSecretArn="arn:x"),
        Level.FAULT,
        "two outputs",
    ),
    (
        "parameters",
        lambda it: it.aws.say(
            cloudformation__describe_stacks=stack(
                AvailabilityZones="eu-west-1a,eu-west-1b", ConnectorMode="fargate"
            )
        ),
        Level.FAULT,
        "set AvailabilityZones=eu-west-1a,eu-west-1b",
    ),
    (
        "parameters",
        # A stack of 0.1.0, which took the first two zones.
        lambda it: (
            it.aws.say(cloudformation__describe_stacks=stack(ConnectorMode="fargate")),
            it.parameters.update(MOVED),
        ),
        Level.FAULT,
        "leave it out",
    ),
    (
        "named",
        lambda it: (
            it.parameters.update(EventBusName="gone"),
            it.aws.say(events__describe_event_bus=refused("ResourceNotFoundException")),
        ),
        Level.FAULT,
        "correct EventBusName",
    ),
    ("services", lambda it: setattr(it, "region", "us-iso-east-9"), Level.WARNING, "--region"),
    (
        "services",
        lambda it: (setattr(it, "region", "us-gov-west-1"), it.parameters.update(HttpDoor="on")),
        Level.FAULT,
        "leave out HttpDoor",
    ),
    (
        "zones",
        lambda it: (
            setattr(it, "region", "us-east-1"),
            it.aws.say(
                ec2__describe_availability_zones=zones(
                    {"us-east-1a": "use1-az3", "us-east-1b": "use1-az1", "us-east-1c": "use1-az2"}
                )
            ),
        ),
        Level.FAULT,
        "AvailabilityZones=us-east-1b,us-east-1c",
    ),
    (
        "zones",
        lambda it: (
            setattr(it, "region", "us-west-1"),
            it.aws.say(
                ec2__describe_availability_zones=zones({"us-west-1a": "usw1-az2", "us-west-1b": "usw1-az1"})
            ),
        ),
        Level.FAULT,
        "another --region",
    ),
    (
        "zones",
        lambda it: it.parameters.update(AvailabilityZones="eu-west-1a,eu-west-1z"),
        Level.FAULT,
        "AvailabilityZones=eu-west-1a,eu-west-1b",
    ),
    ("ipv6", lambda it: it.parameters.update(ConnectorNetwork="ipv6"), Level.WARNING, "leave out"),
    (
        "ipv6",
        lambda it: (
            setattr(it, "region", "us-east-1"),
            it.parameters.update(
                ConnectorNetwork="ipv6", ConnectorImage="1.dkr.ecr.us-east-1.amazonaws.com/python@sha256:00"
            ),
        ),
        Level.FAULT,
        "ACCOUNT.dkr-ecr.REGION.on.aws",
    ),
    (
        "concurrency",
        lambda it: it.aws.say(lambda__get_account_settings=limits(10, 9)),
        Level.FAULT,
        "request-service-quota-increase --service-code lambda",
    ),
    (
        "concurrency",
        lambda it: it.aws.say(lambda__get_account_settings=limits(100, 12)),
        Level.WARNING,
        "request-service-quota-increase",
    ),
    (
        "networks",
        lambda it: it.aws.say(ec2__describe_vpcs={"Vpcs": [{"VpcId": f"vpc-{n}"} for n in range(5)]}),
        Level.FAULT,
        "--service-code vpc",
    ),
    (
        "ecs role",
        lambda it: it.aws.say(iam__get_role=refused("NoSuchEntity")),
        Level.FAULT,
        "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com",
    ),
]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("name", [check.name for check in before.CHECKS])
def test_where_nothing_is_missing_each_check_passes(scene: Scene, name: str) -> None:
    assert [finding.level for finding in scene.examine(name)] == [Level.OK]


@pytest.mark.parametrize(("name", "sicken", "level", "mend"), FAULTS)
def test_each_finds_its_fault_and_says_what_mends_it(
    scene: Scene, name: str, sicken: Sicken, level: Level, mend: str
) -> None:
    sicken(scene)
    [finding] = scene.examine(name)
    assert finding.level is level
    assert mend in finding.mend
    assert finding.saw
    assert finding.means


def test_each_check_was_made_to_fail() -> None:
    assert {name for name, *_ in FAULTS} == {check.name for check in before.CHECKS}


@pytest.mark.parametrize("check", before.CHECKS, ids=lambda check: check.name)
def test_one_that_fails_itself_is_unknown_with_its_reason(scene: Scene, check: Check[Planned]) -> None:
    broken = Check(check.name, lambda _: {}["secret 6281234567890"], check.judge)
    [finding] = checks.examined(broken, scene.planned)
    assert (finding.level, finding.saw) == (Level.UNKNOWN, "the check failed: KeyError")


def test_without_rights_a_check_is_unknown_and_the_others_go_on(scene: Scene, said: Said) -> None:
    scene.aws.say(lambda__get_account_settings=refused("AccessDeniedException", "no GetAccountSettings"))
    found = dict(checks.carry_out(before.CHECKS, scene.planned))
    assert found["concurrency"].level is Level.UNKNOWN
    assert "no GetAccountSettings" in found["concurrency"].saw
    others = {name: finding.level for name, finding in found.items() if name != "concurrency"}
    assert set(others.values()) == {Level.OK}
    checks.tell(list(found.items()), said.output)
    assert said.lines[-1] == "11 ok, 1 unknown"


@pytest.mark.parametrize("image", ["", "ecr-public.aws.com/lambda/python@sha256:00"])
def test_a_connector_without_ipv4_is_taken_where_aws_names_the_region_and_what_is_not_known_is_told(
    scene: Scene, image: str
) -> None:
    scene.region = "us-east-1"
    scene.parameters.update(ConnectorNetwork="ipv6", ConnectorImage=image)
    [finding] = scene.examine("ipv6")
    assert finding.level is Level.OK
    assert "Whether image and code arrive shows at the start" in finding.saw


@pytest.mark.parametrize("network", ["ipv4", "ipv6"])
def test_of_the_registrys_two_names_the_one_of_ipv4_alone_is_refused(scene: Scene, network: str) -> None:
    registries = template("infra/connector.yaml")["Mappings"]["Network"]
    scene.region = "us-east-1"
    scene.parameters.update(
        ConnectorNetwork="ipv6", ConnectorImage=f"{registries[network]['Registry']}/lambda/python:1"
    )
    [finding] = scene.examine("ipv6")
    assert (finding.level is Level.OK) == (network == "ipv6")


def test_regions_without_ipv4_are_regions() -> None:
    core = Session()
    known = {
        region
        for partition in core.get_available_partitions()
        for region in core.get_available_regions("ecs", partition)
    }
    assert known >= WITH_IPV6_ONLY_TASKS


def test_two_connectors_on_spot_take_over_from_each_other(scene: Scene) -> None:
    scene.parameters.update(ConnectorCapacity="spot", ConnectorCount="2")
    assert [finding.level for finding in scene.examine("parameters")] == [Level.OK]


def test_what_keeps_several_checks_from_looking_is_said_once_and_told_of_each(told: Said, said: Said) -> None:
    away = checks.unknown("no network")
    findings = [("stack", away), ("sam", checks.ok("it is there")), ("zones", away)]
    checks.tell(findings, said.output)
    assert said.text.count("no network") == 1
    assert "stack, zones could not be looked at: no network" in said.text
    assert said.lines[-1] == "1 ok, 2 unknown"
    checks.tell(findings, told.output)
    assert [record["check"] for record in told.records[:-1]] == ["stack", "sam", "zones"]


def test_what_a_fault_says_already_is_not_said_again(said: Said) -> None:
    why = "no usable AWS credentials"
    with pytest.raises(FaultsFound):
        checks.tell(
            [
                ("credentials", checks.fault(why, "nothing", "log in")),
                ("stack", checks.unknown(why)),
                ("zones", checks.unknown(why)),
            ],
            said.output,
        )
    assert said.text.count(why) == 1


def test_one_that_hangs_keeps_nobody_waiting(scene: Scene) -> None:
    import threading

    for_ever = threading.Event()
    hanging = Check[Planned]("hanging", lambda _: for_ever.wait(), lambda _: [])
    found = checks.carry_out([hanging, check_named("layer")], scene.planned, seconds=0.05)
    for_ever.set()
    name, finding = found[0]
    assert (name, finding.level) == ("hanging", Level.UNKNOWN)
    assert "no answer within" in finding.saw


def test_a_fault_ends_with_exit_code_1_and_is_told_to_programs_too(scene: Scene, told: Said) -> None:
    scene.aws.say(iam__get_role=refused("NoSuchEntity"))
    with pytest.raises(FaultsFound, match="ecs role") as ended:
        checks.tell(checks.carry_out(before.CHECKS, scene.planned), told.output)
    assert ended.value.exit_code == 1
    assert told.records[-2]["check"] == "ecs role"
    assert told.records[-1] == {"ok": 11, "warning": 0, "fault": 1, "unknown": 0}


@pytest.mark.parametrize("code", ["AuthorizationError", "AccessDeniedException", "AccessDenied"])
def test_what_you_may_not_see_is_unknown_and_holds_up_nothing(scene: Scene, code: str) -> None:
    """A topic of another account may be told by the stack's alarms, and not be looked at by you."""
    scene.parameters["AlarmTopicArn"] = "arn:aws:sns:eu-west-1:999999999999:night"
    scene.aws.say(sns__get_topic_attributes=refused(code))
    [finding] = scene.examine("named")
    assert finding.level is Level.UNKNOWN
    assert "arn:aws:sns:eu-west-1:999999999999:night" in finding.saw


def test_a_stack_that_runs_is_not_told_to_move_to_other_zones(scene: Scene) -> None:
    scene.aws.say(
        cloudformation__describe_stacks=stack(ConnectorMode="fargate"),
        ec2__describe_availability_zones=zones({"eu-west-1a": "use1-az3", "eu-west-1b": "euw1-az1"}),
    )
    assert [finding.level for finding in scene.examine("zones")] == [Level.OK]


def test_nothing_is_changed_by_a_look(scene: Scene) -> None:
    checks.carry_out(before.CHECKS, scene.planned)
    assert {asked.split(".")[1].split("_")[0] for asked in scene.aws.asked} <= {"get", "describe", "head"}


def test_what_an_external_connector_does_not_need_is_not_asked_for(scene: Scene) -> None:
    scene.parameters["ConnectorMode"] = "external"
    checks.carry_out(before.CHECKS, scene.planned)
    assert not [asked for asked in scene.aws.asked if asked.startswith(("ec2", "iam"))]


def test_the_defaults_are_the_template_s() -> None:
    declared = template()["Parameters"]
    assert {name: str(declared[name]["Default"]) for name in DEFAULTS} == DEFAULTS


def test_the_script_of_aws_refuses_what_botocore_would(scene: Scene) -> None:
    with pytest.raises(Exception, match="Unknown parameter"):
        scene.aws.client("iam").get_role(Name="AWSServiceRoleForECS")
    assert subprocess.run([scene.sam], capture_output=True, check=True).stdout


@pytest.mark.parametrize(("reserved", "limit", "is_fault"), [(5, 10, True), (5, 105, False), (0, 10, False)])
def test_what_the_door_reserves_must_leave_a_hundred(reserved: int, limit: int, is_fault: bool) -> None:
    facts = {"limit": limit, "unreserved": limit, "wanted": 8, "uncapped": 0, "reserved": reserved}
    (finding,) = judge_concurrency(facts)
    assert (finding.mend == "DoorConcurrency=0") is is_fault


@pytest.mark.parametrize("status", [name for name, state in STATES.items() if state.can_be_deployed])
def test_a_stack_that_can_be_deployed_is_no_fault(scene: Scene, status: str) -> None:
    scene.aws.say(cloudformation__describe_stacks=stack(status))
    assert [finding.level for finding in scene.examine("stack")] == [Level.OK]
