"""The handler: every record of a batch answered for itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.support.cloudformation import deployed
from tests.support.handlers import FUNCTIONS, Context, load
from tests.support.iam import rights_of
from tests.support.recorded_calls import Call, noted, without_right
from tests.support.sealed_texts import SECRET, TEXTS
from tocsin.door.proofs import proven_item
from tocsin.door.sources import Source
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Put
from tocsin.notify.events.samples import sample_body
from tocsin.tables.notifications import source_key
from tocsin.versions import source_versions

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "ap-southeast-3",
    "NOTIFICATIONS_TABLE": "notifications",
    "KEYS_TABLE": "keys",
    "POWERTOOLS_SERVICE_NAME": "plan_notifications",
    "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        sqs = boto3.client("sqs")
        fifo = sqs.create_queue(QueueName="notifications.fifo", Attributes={"FifoQueue": "true"})
        monkeypatch.setenv("NOTIFICATIONS_QUEUE_URL", fifo["QueueUrl"])
        letters = sqs.create_queue(QueueName="letters.fifo", Attributes={"FifoQueue": "true"})
        monkeypatch.setenv("DEAD_LETTERS_QUEUE_URL", letters["QueueUrl"])
        monkeypatch.setenv("TICKET_EVENTS_DEAD_QUEUE_URL", sqs.create_queue(QueueName="dead")["QueueUrl"])
        secret = boto3.client("secretsmanager").create_secret(Name="texts", SecretString=SECRET)
        monkeypatch.setenv("TEXTS_SECRET_ARN", secret["ARN"])
        boto3.client("dynamodb").create_table(
            TableName="notifications",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        boto3.client("dynamodb").create_table(
            TableName="keys",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        yield load("plan_notifications")


def batch(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": str(number), "receiptHandle": "r", "body": body, "eventSource": "aws:sqs"}
            for number, body in enumerate(bodies)
        ]
    }


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the handler logged, with every field; the planner's own lines are not among them."""
    mine = [record for record in caplog.records if not record.name.startswith("tocsin.")]
    return [{**vars(record), "message": record.getMessage()} for record in mine]


def told(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> str:
    """All that was logged, with every field, and all metrics."""
    return "".join(str(vars(record)) for record in caplog.records) + capsys.readouterr().out


def test_an_event_is_done_when_its_notifications_are_written_and_enqueued(
    app: ModuleType, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.lambda_handler(batch(sample_body()), Context()) == {"batchItemFailures": []}
    [line] = lines(caplog)
    [planned] = line["events"]
    assert (planned["ticket_id"], len(planned["notifications"])) == ("TCK-1042", 4)
    assert '"NotificationsPlanned":[4.0]' in capsys.readouterr().out


def test_a_batch_has_one_line_and_one_metric_record(
    app: ModuleType, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    app.lambda_handler(batch(sample_body(), sample_body("TicketAssigned")), Context())
    [line] = lines(caplog)
    assert line["message"] == "events planned"
    assert [one["event_type"] for one in line["events"]] == ["TicketCreated", "TicketAssigned"]
    assert not {"odd", "failed"} & line.keys()
    assert capsys.readouterr().out.count('"_aws"') == 1


def test_what_is_out_of_the_ordinary_has_a_line_of_its_own(
    app: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    lost = sample_body(customer={"phone": "0812secret"})
    app.lambda_handler(batch(sample_body(), lost, sample_body("TicketDeleted")), Context())
    assert [line["message"] for line in lines(caplog)] == ["event planned", "event refused", "events planned"]
    odd, refused, whole = lines(caplog)
    assert odd["levelname"] == "WARNING"
    assert (len(odd["unreachable"]), refused["sqs_message"]) == (1, "2")
    assert (len(whole["events"]), whole["odd"]) == (1, 2)


def test_an_invalid_event_is_done_too_and_named_in_the_log_without_its_content(
    app: ModuleType, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    body = sample_body(customer={"phone": "0812secret"}, account="nobody")
    assert app.lambda_handler(batch(body), Context()) == {"batchItemFailures": []}
    out = told(caplog, capsys)
    assert "detail.customer.phone" in out
    assert "secret" not in out


def test_who_cannot_be_told_is_counted_and_named_by_the_field_alone(
    app: ModuleType, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    body = sample_body(customer={"phone": "0812secret"})
    assert app.lambda_handler(batch(body), Context()) == {"batchItemFailures": []}
    out = told(caplog, capsys)
    assert '"RecipientsUnreachable":[1.0]' in out
    assert "detail.customer.phone" in out
    assert "secret" not in out


def test_no_log_line_holds_a_whole_phone_number(
    app: ModuleType, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    app.lambda_handler(batch(sample_body(), sample_body("TicketDeleted")), Context())
    out = told(caplog, capsys)
    assert "events planned" in out
    assert "6281234567890" not in out


# -- sources of kind bus -------------------------------------------------------------------------------------

FOREIGN = json.dumps({"tocsin-source": "pagers", "event": {"id": "1"}})


def noted_version(version: int) -> None:
    """The record is of version 1, and paused: so it is told from none at all."""
    dynamodb = boto3.client("dynamodb")
    record = Source("pagers", "bus", ("default",), paused=True, version=1)
    DynamoTable(dynamodb, "notifications").put(Put(source_key("pagers"), proven_item(record, TEXTS)))
    source_versions(DynamoTable(dynamodb, "keys")).note("pagers", version)


@pytest.mark.parametrize(
    ("version", "said"), [(1, "source: pagers is paused"), (2, "source: there is none named 'pagers'")]
)
def test_a_record_of_a_source_of_earlier_that_is_put_back_counts_for_nothing(
    app: ModuleType, caplog: pytest.LogCaptureFixture, version: int, said: str
) -> None:
    noted_version(version)
    app.lambda_handler(batch(FOREIGN), Context())
    [refused, _] = lines(caplog)
    assert list(refused["violations"]) == [said]


def test_of_the_keys_table_it_reads_the_versions_of_sources_and_nothing_else(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted_version(1)
    made = noted("plan_notifications", {"table/keys": "table/KeysTable"}, monkeypatch)
    app.lambda_handler(batch(FOREIGN), Context())
    of_keys = {call for call in made if call.resource == "table/KeysTable"}
    rights = rights_of(deployed({}), "PlanNotificationsRole")
    assert of_keys
    assert without_right(of_keys, rights) == []
    beside = Call("plan_notifications", "dynamodb:GetItem", "table/KeysTable", "account#")
    assert without_right([beside], rights) == [beside]


def test_a_failure_of_ours_brings_back_its_own_record_only(
    app: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planner = app.planner()
    handle = planner.handle

    def fail_on_assigned(body: str) -> Any:
        if "TicketAssigned" in body:
            raise ConnectionError
        return handle(body)

    monkeypatch.setattr(planner, "handle", fail_on_assigned)
    answer = app.lambda_handler(batch(sample_body(), sample_body("TicketAssigned")), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    failure, whole = lines(caplog)
    assert (failure["message"], failure["sqs_message"]) == ("unforeseen", "1")
    assert (len(whole["events"]), whole["failed"]) == (1, 1)
    assert '"Bugs":[1.0]' in capsys.readouterr().out


def test_a_start_doesnt_load_what_a_batch_of_one_source_needs_not() -> None:
    """The batch processor brings sixty event sources and asyncio along."""
    script = (
        "import sys, app; print({'asyncio', 'aws_lambda_powertools.utilities.batch'} & sys.modules.keys())"
    )
    folder = FUNCTIONS / "plan_notifications"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "set()"


def test_what_a_slow_host_left_no_time_for_comes_again(app: ModuleType) -> None:
    app.BEGIN_WITHIN_MS = -1
    answer = app.lambda_handler(batch(sample_body(), sample_body()), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}, {"itemIdentifier": "1"}]}


def test_files_that_are_away_are_no_bug(app: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    class Away:
        def handle(self, body: str) -> None:
            raise app.FilesAway("attachments-away")

    app.planner = Away
    answer = app.lambda_handler(batch(sample_body()), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert [line["message"] for line in lines(caplog)] == ["files can't be had yet", "events planned"]
