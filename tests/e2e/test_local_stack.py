"""`make local` in the background, and a tool that knows nothing of it but its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import boto3
import pytest

from tests.support.stack import Json, eventually
from tocsin_local.emulator import interpreter
from tocsin_local.record import record_file
from tocsin_whatsapp_server.control_client import ControlClient

pytestmark = pytest.mark.e2e

NAME = "attached-to"
AYU = "6281511113333"


def local(*options: str) -> None:
    subprocess.run([sys.executable, "-m", "tocsin_local.trial", "--name", NAME, *options], check=True)


def tell_ayu(record: Json) -> None:
    detail = {
        "ticket": {"id": "TCK-7", "revision": 1, "subject": "No internet"},
        "customer": {"id": "C-1", "name": "Ayu", "phone": f"+{AYU}", "language": "en"},
        "created_by": {"role": "admin", "id": "U-1"},
    }
    entry = {
        "EventBusName": record["event_bus"],
        "Source": record["event_source"],
        "DetailType": "TicketCreated",
        "Detail": json.dumps(detail),
    }
    boto3.client("events", **record["aws"]).put_events(Entries=[entry])


@pytest.mark.skipif(not interpreter().exists(), reason="the emulator isn't installed: make setup")
def test_a_tool_attaches_by_the_record_alone() -> None:
    local("--background")
    try:
        record = json.loads(record_file(NAME).read_text())
        phones = ControlClient(record["whatsapp"]["control"])
        phones.add_phone(AYU, "Ayu")
        tell_ayu(record)
        [message] = eventually(lambda: phones.messages(AYU), "nothing arrived")
        assert "TCK-7" in message["text"]
        dynamodb = boto3.client("dynamodb", **record["aws"])
        assert dynamodb.scan(TableName=record["tables"]["notifications"])["Items"]
        sqs = boto3.client("sqs", **record["aws"])
        for queue in record["queues"].values():
            sqs.get_queue_attributes(QueueUrl=queue["url"])
        status = subprocess.run(
            [*record["console"], "status", "--json"],
            env=os.environ | record["environment"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "default" in status.stdout
    finally:
        local("--stop")
    assert not record_file(NAME).exists()
