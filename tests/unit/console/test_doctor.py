"""Each check of a deployed stack: seen to pass, to find its fault, and to be unknown."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest

from tests.support.cloudformation import deployed
from tests.support.fake_cloud import MemoryCloud
from tests.support.fake_deployment import NOW, Connector, FakeDeployment, Said
from tests.support.memory_aws import everything_in
from tests.support.scripted_aws import ScriptedAws, refused
from tocsin.accounts.challenge import Challenge, note_challenge
from tocsin.accounts.limits import FIRST_CONTACTS, Limit, note_limit
from tocsin.accounts.login_refusal import note_refusal, refusal_of
from tocsin.accounts.quota import Quota, note_quota
from tocsin.dynamo.writes import Put, Update
from tocsin.notify.self_test import Result, SelfTest
from tocsin.tables.keys import heartbeat_key, prekey_key
from tocsin.tables.notifications import hook_key, settings_key
from tocsin_console.doctor import OF_STACK, checks
from tocsin_console.doctor.checks import Check, Level
from tocsin_console.doctor.stack import FUNCTIONS, UNMAPPED, Deployed, judge_mappings
from tocsin_console.stack_states import STATES, Kind
from tocsin_local.paths import ROOT

VERSION = "0.2.0"
LAYER = "arn:aws:lambda:eu-west-1:123456789012:layer:CoreLayer:7"
UUID = "6f2a1b7e-0000-4000-8000-000000000001"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:night"
GROUP = "/tocsin/tocsin/send_notification"
RESOURCES = {
    "AWS::CloudWatch::Alarm": "tocsin-DeadLetters",
    "AWS::ECS::Cluster": "cluster",
    "AWS::ECS::Service": "arn:aws:ecs:eu-west-1:123456789012:service/connector",
    "AWS::Logs::LogGroup": GROUP,
}


def a_stack(status: str = "UPDATE_COMPLETE") -> dict[str, Any]:
    return {"Stacks": [{"StackName": "tocsin", "CreationTime": datetime.now(UTC), "StackStatus": status}]}


def a_function(layer: str = LAYER, role: str = "", **more: str) -> Callable[..., Any]:
    """`role`: of all functions; else each has its own."""

    def told(FunctionName: str) -> dict[str, Any]:
        own = f"arn:aws:iam::123456789012:role/{role or f'{FunctionName}-Role'}"
        made = {"Layers": [{"Arn": layer}], "State": "Active", "LastUpdateStatus": "Successful"}
        return {**made, "Role": own, **more}

    return told


def mapped(state: str = "Enabled", result: str = "No records processed") -> dict[str, Any]:
    return {"EventSourceMappings": [{"UUID": UUID, "State": state, "LastProcessingResult": result}]}


def running(running: int, desired: int = 1) -> dict[str, Any]:
    told = {
        "desiredCount": desired,
        "runningCount": running,
        "events": [{"message": "unable to place a task"}],
    }
    return {"services": [told]}


def an_alarm(state: str = "OK", **more: Any) -> dict[str, Any]:
    alarm = {
        "AlarmName": "tocsin-DeadLetters",
        "StateValue": state,
        "AlarmDescription": "see X",
    }
    return {"MetricAlarms": [{**alarm, "ActionsEnabled": True, "AlarmActions": [TOPIC], **more}]}


def subscribed(*arns: str) -> dict[str, Any]:
    return {"Subscriptions": [{"SubscriptionArn": arn} for arn in arns]}


def at_time(seconds: float) -> dict[str, Any]:
    return {
        "Arn": "arn:aws:iam::123456789012:user/dewi",
        "ResponseMetadata": {"HTTPHeaders": {"date": formatdate(seconds, usegmt=True)}},
    }


def inside(**failed: str) -> Callable[..., Any]:
    def invoke(**request: Any) -> dict[str, Any]:
        if request.get("InvocationType") == "DryRun":
            return {"StatusCode": 204}
        assert json.loads(request["Payload"]) == {"check": True}
        met = {
            service: {"host": f"{service}.example", "family": "IPv6", "failed": failed.get(service, "")}
            for service in ("dynamodb", "sqs", "secretsmanager")
        }
        return {"Payload": io.BytesIO(json.dumps({"reached": met}).encode())}

    return invoke


def aged(seconds: float) -> dict[str, Any]:
    return {"Datapoints": [{"Maximum": seconds, "Sum": 0.0}]}


def throttled(runs: float) -> dict[str, Any]:
    return {"Datapoints": [{"Maximum": runs, "Sum": runs}]}


class Scene:
    """A deployed stack that is well."""

    def __init__(self, cloud: MemoryCloud) -> None:
        functions = {output: f"tocsin-{name}" for name, output in FUNCTIONS.items()}
        name = cloud.deploy(**functions, LayerVersionArn=LAYER, Version=VERSION)
        self.fake = FakeDeployment(name, cloud.deployment(name))
        self.aws = ScriptedAws(
            cloudformation__describe_stacks=a_stack(),
            cloudformation__list_stack_resources={
                "StackResourceSummaries": [
                    {
                        "ResourceType": kind,
                        "LogicalResourceId": kind.rpartition(":")[2],
                        "PhysicalResourceId": physical,
                        "LastUpdatedTimestamp": datetime.now(UTC),
                        "ResourceStatus": "CREATE_COMPLETE",
                    }
                    for kind, physical in [
                        *RESOURCES.items(),
                        *(("AWS::IAM::Role", f"{name}-Role") for name in functions.values()),
                    ]
                ]
            },
            lambda__get_function_configuration=a_function(),
            lambda__list_event_source_mappings=mapped(),
            lambda__invoke=inside(),
            ecs__describe_services=running(1),
            logs__filter_log_events={"events": []},
            cloudwatch__describe_alarms=an_alarm(),
            cloudwatch__get_metric_statistics=aged(2),
            sns__list_subscriptions_by_topic=subscribed("arn:aws:sns:eu-west-1:123456789012:night:1"),
            sts__get_caller_identity=at_time(time.time()),
        )
        vars(self.fake.deployment)["client"] = self.aws.client
        self.connector: Connector = self.fake.connector()
        self.connector.says("connected")
        for number in range(50):
            self.fake.deployment.keys_table.put(Put(prekey_key("default", number), {"n": number}))
        self.deployed = Deployed(self.fake.deployment, now=NOW)

    def put(self, item: dict[str, Any]) -> None:
        self.fake.deployment.outside_table.put(Put(settings_key(), item))

    def restrict(self) -> None:
        limit = Limit(FIRST_CONTACTS, "463", NOW + 3600, NOW)
        note_limit(self.fake.deployment.keys_table, "default", limit)

    def use_up_new_chats(self) -> None:
        quota = Quota(16, 30, int(NOW) + 3600, "FIRST_WARNING", int(NOW))
        note_quota(self.fake.deployment.keys_table, "default", quota)

    def challenge(self) -> None:
        note_challenge(self.fake.deployment.keys_table, "default", Challenge("PASSKEY", int(NOW)))

    def lock(self) -> None:
        deployment = self.fake.deployment
        told = refusal_of("403", {"reason": "403"}, int(NOW), None, guessed=False)
        note_refusal(deployment.keys_table, deployment.sealer, "default", told, b"<failure>", bytes(12))

    def lose_prekeys(self) -> None:
        table = self.fake.deployment.keys_table
        table.__init__()  # type: ignore[misc]
        self.connector = self.fake.connector()
        self.connector.says("connected")

    def connector_behind_whatsapp(self, seconds: int) -> None:
        update = Update(heartbeat_key("c-1"), set={"clock_offset": seconds})
        self.fake.deployment.keys_table.update(update)

    def hook(self, **record: Any) -> None:
        deployment = self.fake.deployment
        deployment.outputs["HooksQueueUrl"] = deployment["ReceiptsQueueUrl"]  # type: ignore[index]
        deployment.outside_table.put(Put(hook_key("h-1"), {"state": "active", **record}))

    def forbid_writing(self) -> None:
        def delete(_: object) -> None:
            raise refused("AccessDeniedException", "not authorized to perform: dynamodb:DeleteItem")

        self.fake.deployment.keys_table.delete = delete  # type: ignore[method-assign]

    def turn_on_self_tests(self) -> None:
        vars(self.fake.deployment)["parameters"] = {"SelfTest": "hourly"}

    def tested(self, result: Result, cause: str = "", ago: int = 60) -> None:
        """The account's last self-test, `ago` seconds ago."""
        self.turn_on_self_tests()
        at = (NOW - ago) * 1000
        test = SelfTest("ab" * 9, at).ended(result, at + 3000, cause)
        assert self.fake.deployment.stores.self_tests.put("default", test, after=None)

    def pass_time(self, seconds: float) -> None:
        self.deployed.now += seconds

    def examine(self, name: str) -> list[checks.Finding]:
        return checks.examined(next(check for check in OF_STACK if check.name == name), self.deployed)


Sicken = Callable[[Scene], object]

FAULTS: list[tuple[str, Sicken, Level, str]] = [
    *(
        (
            "stack",
            lambda it, status=status: it.aws.say(cloudformation__describe_stacks=a_stack(status)),
            Level.WARNING if state.kind in (Kind.BUSY, Kind.UNDONE) else Level.FAULT,
            # All but the name of this scene's stack.
            max(state.mend.split("{stack}"), key=len),
        )
        for status, state in STATES.items()
        if state.kind is not Kind.WELL
    ),
    (
        "versions",
        lambda it: it.aws.say(lambda__get_function_configuration=a_function(LAYER[:-1] + "6")),
        Level.FAULT,
        "tocsin deploy",
    ),
    (
        "functions",
        lambda it: it.aws.say(lambda__get_function_configuration=a_function(State="Failed")),
        Level.FAULT,
        "tocsin deploy",
    ),
    (
        "roles",
        lambda it: it.aws.say(lambda__get_function_configuration=a_function(role="admin")),
        Level.FAULT,
        "tocsin deploy",
    ),
    (
        "event sources",
        lambda it: it.aws.say(lambda__list_event_source_mappings=mapped("Disabled")),
        Level.FAULT,
        "update-event-source-mapping --uuid",
    ),
    (
        "event sources",
        lambda it: it.aws.say(lambda__list_event_source_mappings={"EventSourceMappings": []}),
        Level.FAULT,
        "tocsin deploy",
    ),
    (
        "event sources",
        lambda it: it.aws.say(lambda__list_event_source_mappings=mapped(result="PROBLEM: no rights")),
        Level.FAULT,
        "tocsin deploy",
    ),
    ("connector", lambda it: it.aws.say(ecs__describe_services=running(0)), Level.FAULT, "describe-services"),
    ("connector", lambda it: it.aws.say(ecs__describe_services=running(1, 2)), Level.WARNING, "log"),
    (
        "connector",
        lambda it: it.aws.say(ecs__describe_services={"services": []}),
        Level.FAULT,
        "tocsin deploy",
    ),
    (
        "logs",
        lambda it: it.aws.say(logs__filter_log_events={"events": [{"message": "ERROR"}]}),
        Level.WARNING,
        f"aws logs tail {GROUP} --since 1h",
    ),
    (
        "alarms",
        lambda it: it.aws.say(cloudwatch__describe_alarms=an_alarm(AlarmActions=[])),
        Level.WARNING,
        "tocsin deploy",
    ),
    (
        "alarms",
        lambda it: it.aws.say(cloudwatch__describe_alarms=an_alarm("ALARM")),
        Level.FAULT,
        "tocsin status",
    ),
    (
        "alarms",
        lambda it: it.aws.say(sns__list_subscriptions_by_topic=subscribed("PendingConfirmation")),
        Level.WARNING,
        "confirm it",
    ),
    (
        "alarms",
        lambda it: it.aws.say(sns__list_subscriptions_by_topic=subscribed()),
        Level.WARNING,
        f"--topic-arn {TOPIC}",
    ),
    ("accounts", lambda it: it.connector.says("logged_out"), Level.FAULT, "tocsin pair --account default"),
    ("accounts", lambda it: it.connector.says("connecting"), Level.WARNING, "log"),
    ("accounts", lambda it: it.pass_time(60), Level.FAULT, "start a connector"),
    ("restrictions", lambda it: it.restrict(), Level.WARNING, "let customers write first"),
    ("restrictions", lambda it: it.use_up_new_chats(), Level.WARNING, "tocsin people invite"),
    ("restrictions", lambda it: it.challenge(), Level.WARNING, "open WhatsApp on the phone"),
    ("restrictions", lambda it: it.lock(), Level.FAULT, "linking again doesn't help before"),
    (
        "sending",
        lambda it: it.put({"version": 2, "values": {"sending": {"*": "paused"}}}),
        Level.WARNING,
        "tocsin resume",
    ),
    ("prekeys", lambda it: it.lose_prekeys(), Level.WARNING, "uploads more"),
    ("clock", lambda it: it.aws.say(sts__get_caller_identity=at_time(time.time() - 400)), Level.FAULT, "NTP"),
    ("clock", lambda it: it.connector_behind_whatsapp(400), Level.FAULT, "its machine's clock"),
    (
        "queues",
        lambda it: it.aws.say(cloudwatch__get_metric_statistics=aged(4000)),
        Level.FAULT,
        "its log says why",
    ),
    ("dead letters", lambda it: it.fake.put("DeadLetters", "{}"), Level.WARNING, "tocsin dead-letters list"),
    (
        "settings",
        lambda it: it.put({"version": 2, "values": {"retries": {"*": 99}}}),
        Level.FAULT,
        "tocsin settings restore VERSION",
    ),
    (
        "self-test",
        lambda it: it.tested(Result.FAILED, "no-receipt"),
        Level.FAULT,
        "tocsin self-test --account default",
    ),
    ("self-test", lambda it: it.tested(Result.FAILED, "not-planned"), Level.FAULT, "plan_notifications"),
    ("self-test", lambda it: it.tested(Result.SKIPPED, "unpaired"), Level.WARNING, "tocsin pair"),
    ("self-test", lambda it: it.tested(Result.ARRIVED, ago=2 * 3600), Level.WARNING, "maintain_sessions"),
    ("self-test", lambda it: it.turn_on_self_tests(), Level.WARNING, "tocsin self-test"),
    ("rights", lambda it: it.forbid_writing(), Level.WARNING, "OperatorPolicyArn"),
    (
        "from inside",
        lambda it: it.aws.say(lambda__invoke=inside(sqs="timed out")),
        Level.FAULT,
        "tocsin deploy",
    ),
    (
        "throttles",
        lambda it: it.aws.say(cloudwatch__get_metric_statistics=throttled(40)),
        Level.WARNING,
        "get-account-settings",
    ),
    ("webhooks", lambda it: it.hook(state="gone"), Level.WARNING, "tocsin hooks resume h-1"),
    ("webhooks", lambda it: it.hook(state="paused"), Level.WARNING, "tocsin hooks resume h-1"),
    (
        "webhooks",
        lambda it: it.hook(failures=3, last_said="timeout"),
        Level.WARNING,
        "tocsin hooks test h-1",
    ),
]


@pytest.fixture
def scene(aws: MemoryCloud, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr("tocsin_console.doctor.stack.metadata.version", lambda _: VERSION)
    return Scene(aws)


@pytest.mark.parametrize("name", [check.name for check in OF_STACK])
def test_of_a_stack_that_is_well_each_check_passes(scene: Scene, name: str) -> None:
    assert {finding.level for finding in scene.examine(name)} == {Level.OK}


@pytest.mark.parametrize(("name", "sicken", "level", "mend"), FAULTS)
def test_each_finds_its_fault_and_says_what_mends_it(
    scene: Scene, name: str, sicken: Sicken, level: Level, mend: str
) -> None:
    sicken(scene)
    findings = [finding for finding in scene.examine(name) if finding.level is not Level.OK]
    assert {finding.level for finding in findings} == {level}
    assert mend in findings[0].mend
    assert findings[0].saw
    assert findings[0].means


def test_each_check_was_made_to_fail() -> None:
    assert {name for name, *_ in FAULTS} == {check.name for check in OF_STACK}


@pytest.mark.parametrize("check", OF_STACK, ids=lambda check: check.name)
def test_one_that_fails_itself_is_unknown_with_its_reason(scene: Scene, check: Check[Deployed]) -> None:
    def refuse(_: Deployed) -> None:
        raise refused("AccessDenied", "you may not look")

    [finding] = checks.examined(Check(check.name, refuse, check.judge), scene.deployed)
    assert finding.level is Level.UNKNOWN
    assert "you may not look" in finding.saw


def test_what_the_door_refused_is_mended_by_its_own_concurrency(scene: Scene) -> None:
    scene.aws.say(cloudwatch__get_metric_statistics=throttled(40))
    [door] = [one for one in scene.examine("throttles") if "receive_webhook" in one.saw]
    assert "429" in door.means
    assert "DoorConcurrency" in door.mend


@pytest.mark.parametrize("record", [{}, {"failures": 2, "last_said": "500"}])
def test_a_webhook_that_failed_twice_is_no_warning(scene: Scene, record: dict[str, Any]) -> None:
    scene.hook(**record)
    [finding] = scene.examine("webhooks")
    assert (finding.level, finding.saw) == (Level.OK, "1 webhook, and all take what they are told")


def test_a_stack_without_webhooks_says_how_to_have_them(scene: Scene) -> None:
    [finding] = scene.examine("webhooks")
    assert (finding.level, "OutcomeHooks=on" in finding.saw) == (Level.OK, True)


ASKING = {
    "stack": "cloudformation.describe_stacks",
    "versions": "lambda.get_function_configuration",
    "functions": "lambda.get_function_configuration",
    "roles": "lambda.get_function_configuration",
    "event sources": "lambda.list_event_source_mappings",
    "connector": "ecs.describe_services",
    "logs": "logs.filter_log_events",
    "alarms": "cloudwatch.describe_alarms",
    "clock": "sts.get_caller_identity",
    "queues": "cloudwatch.get_metric_statistics",
    "from inside": "lambda.invoke",
    "throttles": "cloudwatch.get_metric_statistics",
}


@pytest.mark.parametrize("name", ASKING)
def test_without_the_right_to_ask_it_is_unknown(scene: Scene, name: str) -> None:
    del scene.aws.answers[ASKING[name]]
    [finding] = scene.examine(name)
    assert finding.level is Level.UNKNOWN
    assert ASKING[name] in finding.saw


def test_a_local_stack_tells_nobody_and_that_is_no_warning(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.aws.say(cloudwatch__describe_alarms=an_alarm(AlarmActions=[]))
    [on_aws] = scene.examine("alarms")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    [local] = scene.examine("alarms")
    assert (on_aws.level, local.level, local.mend) == (Level.WARNING, Level.OK, "")
    assert local.saw == "1 of 1 alarms tell nobody: a local stack sends no e-mails"


@pytest.mark.slow
def test_the_readme_shows_the_checks_that_there_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("$ tocsin doctor\nOK ")[2].partition("```")[0]
    lines = f"OK {shown}".splitlines()
    levels = [(line[:8].strip(), line[9:].split("  ")[0]) for line in lines if line[:1].isupper()]
    assert [name for _, name in levels] == [check.name for check in OF_STACK]
    warnings = sum(level == "WARNING" for level, _ in levels)
    assert (lines[-1], warnings) == (f"{len(levels)} ok", 0)
    local = {"ConnectorMode": "external", "HttpDoor": "on", "OutcomeHooks": "on"}
    alarms = len(deployed(local).of_type("AWS::CloudWatch::Alarm"))
    assert f"{alarms} of {alarms} alarms tell nobody" in shown


def test_an_alarm_that_rings_is_seen_though_its_topic_can_not_be(scene: Scene) -> None:
    """A topic may be another account's, whose subscriptions nobody here may list."""
    scene.aws.say(
        cloudwatch__describe_alarms=an_alarm("ALARM"),
        sns__list_subscriptions_by_topic=refused("AuthorizationError"),
    )
    topic, alarm = scene.examine("alarms")
    assert (topic.level, TOPIC in topic.saw) == (Level.UNKNOWN, True)
    assert (alarm.level, "rings" in alarm.saw) == (Level.FAULT, True)


def test_a_function_without_a_queue_needs_no_event_source() -> None:
    enabled = {"id": UUID, "state": "Enabled", "result": "No records processed"}
    facts = {name: [] if name in UNMAPPED else [enabled] for name in FUNCTIONS}
    assert [finding.level for finding in judge_mappings(facts)] == [Level.OK]
    assert {"maintain_sessions", "receive_webhook"} == {
        name for name, sources in facts.items() if not sources
    }


def test_another_version_than_the_console_s_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin_console.doctor.stack.metadata.version", lambda _: "9.9.9")
    [finding] = scene.examine("versions")
    assert (finding.level, "9.9.9" in finding.saw) == (Level.WARNING, True)


def test_a_setting_of_a_later_version_is_told(scene: Scene) -> None:
    scene.put({"version": 2, "values": {"moon-phases": {"*": 1}}})
    assert [finding.level for finding in scene.examine("settings")] == [Level.OK, Level.WARNING]


def test_a_stack_of_before_that_can_t_look_out_is_unknown(scene: Scene) -> None:
    scene.aws.say(lambda__invoke=lambda **_: {"Payload": io.BytesIO(b'{"accounts": []}')})
    [finding] = scene.examine("from inside")
    assert (finding.level, finding.mend) == (Level.UNKNOWN, "tocsin deploy")


def test_a_function_that_fails_by_itself_is_a_fault(scene: Scene) -> None:
    answer = {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "WrongLayer"}')}
    scene.aws.say(lambda__invoke=lambda **_: answer)
    [finding] = scene.examine("from inside")
    assert (finding.level, "WrongLayer" in finding.saw) == (Level.FAULT, True)


def test_a_self_test_that_arrived_is_told_with_its_age(scene: Scene) -> None:
    scene.tested(Result.ARRIVED, ago=90)
    [finding] = scene.examine("self-test")
    assert (finding.level, "90 s ago" in finding.saw or "1 min" in finding.saw) == (Level.OK, True)


def test_one_made_by_hand_is_never_overdue(scene: Scene) -> None:
    scene.tested(Result.ARRIVED, ago=10 * 86_400)
    vars(scene.fake.deployment)["parameters"] = {}
    assert [finding.level for finding in scene.examine("self-test")] == [Level.OK]


def test_all_of_them_together_change_nothing_and_sum_up(scene: Scene, said: Said) -> None:
    scene.aws.say(cloudwatch__describe_alarms=an_alarm(AlarmActions=[]))
    tables = (scene.fake.deployment.keys_table, scene.fake.deployment.outside_table)
    before = [everything_in(table) for table in tables]
    checks.tell(checks.carry_out(OF_STACK, scene.deployed), said.output)
    assert said.lines[-1] == f"{len(OF_STACK) - 1} ok, 1 warning"
    assert [everything_in(table) for table in tables] == before
