"""The template, deployed: its parts exist, are joined as meant, and carry an event and an outcome."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.desks_on_bus import MAPPING, PATTERN, an_event
from tests.support.templates import container, properties, resources
from tocsin_local.emulator import interpreter
from tocsin_local.processes import answers, free_port, running
from tocsin_local.stack import Stack, deploy

pytestmark = pytest.mark.integration

CLASSES = {"permanent", "retry", "recover"}
FUNCTIONS = ("Plan", "Send", "Receive", "RecordReceipts", "Publish", "Maintain")
_names = count(1)


def event(**changes: Any) -> dict[str, Any]:
    """A valid ticket event about a ticket of its own, that tells one customer."""
    ticket = {
        "id": f"TCK-{next(_names)}",
        "revision": 1,
        "subject": "No internet since 09:00",
        "status": "open",
    }
    customer = {"id": "C-77", "name": "Siti", "phone": "0812-3456-7890", "language": "id"}
    detail = {"ticket": ticket, "customer": customer, "created_by": {"role": "admin", "id": "U-1"}}
    return detail | changes


def put(
    stack: Stack, detail: Mapping[str, Any], detail_type: str = "TicketCreated", source: str = ""
) -> None:
    entry = {
        "EventBusName": stack.outputs["EventBusName"],
        "Source": source or stack.outputs["EventSource"],
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
    }
    assert stack.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def taken(stack: Stack, url: str) -> list[dict[str, Any]]:
    """Messages of a queue, their bodies read; they are gone from it then."""
    sqs = stack.client("sqs")
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def notifications(stack: Stack, ticket: str) -> list[dict[str, Any]]:
    """The items of a ticket's notifications."""
    pages = (
        stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["NotificationsTable"])
    )
    items = [item for page in pages for item in page["Items"]]
    return [item for item in items if item.get("ticket_id", {}).get("S") == ticket]


def console(stack: Stack, *arguments: str) -> str:
    """Run a command of the console at the stack."""
    done = subprocess.run(
        [sys.executable, "-m", "tocsin_console.cli", "--stack", stack.name, *arguments],
        env=stack.aws.environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestParts:
    def test_every_function_runs_the_one_layer(self, stack: Stack) -> None:
        lambda_ = stack.client("lambda")
        names = [stack.outputs[f"{name}FunctionName"] for name in FUNCTIONS]
        layers = [lambda_.get_function_configuration(FunctionName=name)["Layers"] for name in names]
        assert {layer["Arn"] for (layer,) in layers} == {stack.outputs["LayerVersionArn"]}

    @pytest.mark.parametrize(
        ("source", "function", "batch"),
        [
            ("TicketEventsQueueUrl", "Plan", 10),
            ("NotificationsQueueUrl", "Send", 10),
            ("StanzasQueueUrl", "Receive", 10),
            ("ReceiptsQueueUrl", "RecordReceipts", 100),
        ],
    )
    def test_every_queue_feeds_its_function(
        self, stack: Stack, source: str, function: str, batch: int
    ) -> None:
        name = stack.outputs[f"{function}FunctionName"]
        (mapping,) = stack.client("lambda").list_event_source_mappings(FunctionName=name)[
            "EventSourceMappings"
        ]
        assert mapping["EventSourceArn"].rsplit(":", 1)[1] == stack.outputs[source].rsplit("/", 1)[1]
        assert mapping["BatchSize"] == batch
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    def test_waiting_is_looked_after_each_minute_and_keys_each_hour(self, stack: Stack) -> None:
        scheduler = stack.client("scheduler")
        schedules = [
            scheduler.get_schedule(Name=it["Name"]) for it in scheduler.list_schedules()["Schedules"]
        ]
        assert {it["ScheduleExpression"] for it in schedules} == {"rate(1 minute)", "rate(1 hour)"}
        assert all(it["Target"]["Arn"].endswith(stack.outputs["MaintainFunctionName"]) for it in schedules)

    def test_every_alarm_is_about_something_that_exists(self, stack: Stack) -> None:
        alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        watched = {pair["Value"] for alarm in alarms for pair in alarm["Dimensions"]}
        queues = {url.rsplit("/", 1)[1] for url in stack.client("sqs").list_queues()["QueueUrls"]}
        functions = {found["FunctionName"] for found in stack.client("lambda").list_functions()["Functions"]}
        bus = stack.outputs["EventBusName"]
        rules = {found["Name"] for found in stack.client("events").list_rules(EventBusName=bus)["Rules"]}
        services = {"tocsin", "connector", "maintain_sessions", "plan_notifications", "publish_outcomes"}
        assert watched <= queues | functions | services | CLASSES | rules | {stack.name, bus}
        made = resources("AWS::CloudWatch::Alarm", "infra/observability.yaml").values()
        assert len(alarms) == sum("Condition" not in alarm for alarm in made)

    @pytest.mark.parametrize(("output", "identity"), [("SealingSecretArn", "k1"), ("TextsSecretArn", "t1")])
    def test_each_secret_is_made_with_a_key_of_its_own(
        self, stack: Stack, output: str, identity: str
    ) -> None:
        secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.outputs[output])
        made = json.loads(secret["SecretString"])
        assert made["id"] == identity
        assert len(made["key"]) == 64

    def test_deploying_what_is_deployed_changes_nothing_and_is_no_error(self, stack: Stack) -> None:
        again = deploy(stack.aws, stack.built, {})
        assert again.outputs == stack.outputs


class TestIntake:
    def test_an_event_becomes_notifications_that_wait_for_a_connector(
        self, stack: Stack, eventually: Callable[..., Any]
    ) -> None:
        detail = event()
        put(stack, detail)
        item = eventually(
            lambda: next(
                (it for it in notifications(stack, detail["ticket"]["id"]) if it["state"]["S"] == "waiting"),
                None,
            ),
            "the notification waits, for no account is connected",
        )
        assert item["recipient"]["S"] == "6281234567890"

    def test_an_invalid_event_lies_among_the_dead_with_every_violation_named(
        self, stack: Stack, eventually: Callable[..., Any]
    ) -> None:
        put(stack, event(ticket={"id": "TCK-invalid"}, customer={"name": "Siti", "phone": 12}))
        (dead,) = eventually(
            lambda: taken(stack, stack.outputs["TicketEventsDeadQueueUrl"]), "the event is put aside"
        )
        told = " ".join(dead["violations"])
        assert "revision" in told
        assert "subject" in told
        assert "phone" in told
        assert notifications(stack, "TCK-invalid") == []

    def test_events_of_others_are_left_alone(self, stack: Stack, eventually: Callable[..., Any]) -> None:
        theirs, ours = event(), event()
        put(stack, theirs, source="somebody-else")
        put(stack, theirs, detail_type="TicketDeleted")
        put(stack, ours)
        eventually(lambda: notifications(stack, ours["ticket"]["id"]), "our own event is planned")
        assert notifications(stack, theirs["ticket"]["id"]) == []

    def test_an_event_of_a_source_of_kind_bus_becomes_notifications(
        self, stack: Stack, eventually: Callable[..., Any], tmp_path: Path
    ) -> None:
        for name, told in (("pattern", PATTERN), ("mapping", MAPPING)):
            (tmp_path / f"{name}.json").write_text(json.dumps(told))
        files = [f"--{name}={tmp_path / name}.json" for name in ("pattern", "mapping")]
        console(stack, "sources", "add", "shop", "--kind", "bus", *files)
        try:
            late = an_event("Modem")
            order = f"ORDER-{next(_names)}"
            put(stack, {**late["detail"], "order": order}, late["detail-type"], late["source"])
            (item,) = eventually(lambda: notifications(stack, order), "the notification", seconds=60)
            assert item["event_type"]["S"] == "TicketCreated"
            put(stack, {"what": "without a number"}, late["detail-type"], late["source"])
            dead = stack.outputs["TicketEventsDeadQueueUrl"]
            [letter] = eventually(lambda: taken(stack, dead), "the refused event", seconds=60)
            assert letter["reason"] == "not-translated"
            assert letter["violations"] == ["detail.ticket.id: is missing"]
        finally:
            console(stack, "sources", "remove", "shop", "--yes")


class TestOutcomes:
    @pytest.fixture
    def heard(self, stack: Stack) -> Iterator[str]:
        """A queue that hears what Tocsin says on the bus."""
        sqs, events, name = stack.client("sqs"), stack.client("events"), f"heard-{next(_names)}"
        bus, url = stack.outputs["EventBusName"], sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["tocsin"]}))
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "heard", "Arn": arn}])
        yield url
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["heard"])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)

    def test_an_outcome_in_the_table_is_told_on_the_bus_and_nothing_else_is(
        self, stack: Stack, heard: str, eventually: Callable[..., Any]
    ) -> None:
        detail = event()
        put(stack, detail)
        ticket = detail["ticket"]["id"]
        found = eventually(lambda: notifications(stack, ticket), "the notification is planned")
        stack.client("dynamodb").update_item(
            TableName=stack.outputs["NotificationsTable"],
            Key={name: found[0][name] for name in ("pk", "sk")},
            UpdateExpression="SET outcome = :outcome, outcome_at = :at, sent_at = :at, #state = :state",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":outcome": {"S": "Overdue"},
                ":at": {"N": "1795000000000"},
                ":state": {"S": "sent"},
            },
        )
        (told,) = eventually(lambda: taken(stack, heard), "the outcome is told")
        assert told["detail-type"] == "NotificationOverdue"
        assert told["detail"]["ticket_id"] == ticket


class TestConnectorTask:
    """What the Fargate task does, done here: its commands and its health check as connector.yaml has them."""

    @pytest.fixture(params=["link", "parts"])
    def fetching(self, request: pytest.FixtureRequest, stack: Stack) -> Iterator[dict[str, str]]:
        """How the layer is had: by its link, or from the function that a connector without IPv4 asks."""
        if request.param == "link":
            yield {}
            return
        lambda_, iam = stack.client("lambda"), stack.client("iam")
        its = properties("FetchLayerFunction", "infra/connector.yaml")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("index.py", its["Code"]["ZipFile"])
        trust = json.dumps(properties("FetchLayerRole", "infra/connector.yaml")["AssumeRolePolicyDocument"])
        role = iam.create_role(RoleName="fetch-layer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        name = lambda_.create_function(
            FunctionName="fetch-layer",
            Runtime="python3.13",
            Role=role,
            Handler=its["Handler"],
            MemorySize=its["MemorySize"],
            Timeout=its["Timeout"],
            Code={"ZipFile": code.getvalue()},
        )["FunctionName"]
        yield {"FETCH_LAYER_FUNCTION": name}
        lambda_.delete_function(FunctionName=name)
        iam.delete_role(RoleName="fetch-layer")

    def test_starts_the_connector_from_the_deployed_layer_and_is_healthy_unpaired(
        self, stack: Stack, tmp_path: Path, fetching: dict[str, str]
    ) -> None:
        root, scratch, port = tmp_path / "opt", tmp_path / "scratch", str(free_port())
        scratch.mkdir()
        environment = stack.connector_environment(
            LAYER_VERSION_ARN=stack.outputs["LayerVersionArn"],
            LAYER_ROOT=str(root),
            SCRATCH=str(scratch),
            TMPDIR=str(scratch),
            PYTHONPATH=str(root / "python"),
            CONNECTOR_PORT=port,
            WHATSAPP_URL="ws://127.0.0.1:9/nobody",
            **fetching,
        )
        # Like the Lambda image, the emulator's interpreter has boto3 and nothing of what the layer brings.
        fetch = [str(interpreter()), "-c", *container("layer")["Command"]]
        fetched = subprocess.run(fetch, env=environment, capture_output=True, text=True, check=True)
        assert fetched.stdout == f"fetched {stack.outputs['LayerVersionArn']}\n"
        command = [str(interpreter()), "-m", *container("connector")["Command"]]
        with running("task", command, environment=environment, log=tmp_path / "log", folder=tmp_path) as task:
            task.wait_until(lambda: self.is_healthy(environment))
            assert (root / "python" / "tocsin" / "connector").is_dir()
            assert task.alive()

    def is_healthy(self, environment: Mapping[str, str]) -> bool:
        kind, _, *arguments = container("connector")["HealthCheck"]["Command"]
        assert kind == "CMD"
        check = [sys.executable, *arguments]
        return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0


def test_the_emulator_is_up(stack: Stack) -> None:
    assert answers(f"{stack.aws.url}/_ministack/health")
