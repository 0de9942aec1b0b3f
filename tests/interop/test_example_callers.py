"""The examples that tell Tocsin something, each run as a user runs it: what it says is on the bus, and what
fails it calls a failure."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from tests.interop.libsignal_peer import NODE
from tests.support.doors import Events, OpenDoor, door_on_loopback
from tests.support.example_callers import EXAMPLES, open_bus, php, program, run
from tests.support.sealed_texts import TEXTS
from tocsin.door.proofs import proven_item
from tocsin.door.sources import SECRET, Source
from tocsin.dynamo.writes import Put
from tocsin.notify.events.schema import parse_event
from tocsin.tables.notifications import source_key
from tocsin_local.door import open_door
from tocsin_local.trial import Door

pytestmark = pytest.mark.interop

ARRIVES, FAILS = "its example arrives", "its example says what failed"
KINDS = ("api", "evolution", "phpnuxbill")
WRONG = {"api": "api.wrong", "evolution": "evolution.wrong", "phpnuxbill": "phpnuxbill.wrong"}


@pytest.fixture
def door() -> Iterator[tuple[OpenDoor, str]]:
    with door_on_loopback(*KINDS) as opened:
        yield opened


@pytest.fixture
def bus() -> Iterator[tuple[Events, dict[str, str]]]:
    with open_bus() as opened:
        yield opened


def ticket_on(events: Events) -> Any:
    """The one event on the bus, as the planner reads it."""
    (entry,) = events.entries
    assert (entry["EventBusName"], entry["Source"]) in [
        ("tocsin-tickets", "ticketing"),
        ("tickets", "ticketing"),
    ]
    body = json.dumps({"detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])})
    return parse_event(body, default_region="ID", accounts=["default", "billing"])


def text_on(events: Events) -> str:
    """The text of the one message on the bus, which goes to Siti."""
    (detail,) = events.details
    assert detail["recipients"] == [{"phone": "+6281234567890"}]
    return str(detail["text"])


def placed(text: str, url: str, key: str) -> str:
    """An example's text, with what a user writes into it. Loopback has no TLS."""
    host = urlsplit(url).netloc
    text = text.replace("evolutions://", "evolution://")
    return text.replace("DOOR_URL", url).replace("DOOR_KEY", key).replace("DOOR_HOST", host)


# -- by EventBridge ----------------------------------------------------------------------------------------


def by_eventbridge(client: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    if client == "boto3":
        return run(sys.executable, str(EXAMPLES / "boto3" / "tell_ticket.py"), environment=environment)
    found = shutil.which("aws")
    if found is None or run(found, "--version").returncode:
        pytest.skip("aws is not on this machine")
    return run(str(EXAMPLES / "aws-cli" / "tell-ticket.sh"), environment=environment)


BY_EVENTBRIDGE = {"boto3": "told: event-1\n", "AWS CLI": "told\n"}
"""What each says that has put a ticket on the bus."""
COMPLAINTS = {"boto3": r"(?s).*ThrottlingException.*", "AWS CLI": r"the bus refused it\n"}


@pytest.mark.cell(ARRIVES)
@pytest.mark.parametrize("client", BY_EVENTBRIDGE)
def test_a_ticket_is_put_on_the_bus(bus: tuple[Events, dict[str, str]], client: str) -> None:
    events, environment = bus
    done = by_eventbridge(client, environment)
    assert (done.returncode, done.stdout) == (0, BY_EVENTBRIDGE[client]), done.stderr
    assert ticket_on(events).ticket.id == "TCK-1042"


@pytest.mark.cell(FAILS)
@pytest.mark.parametrize("client", COMPLAINTS)
def test_a_refused_entry_is_taken_for_a_failure(bus: tuple[Events, dict[str, str]], client: str) -> None:
    events, environment = bus
    events.refusals = [1]
    done = by_eventbridge(client, environment)
    assert done.returncode == 1
    assert re.fullmatch(COMPLAINTS[client], done.stderr), done.stderr


def test_the_entries_of_the_aws_cli_are_what_putevents_takes() -> None:
    """Also on a machine without the program."""
    entries = json.loads((EXAMPLES / "aws-cli" / "ticket.json").read_text())
    shape = get_session().get_service_model("events").operation_model("PutEvents").input_shape
    assert not ParamValidator().validate({"Entries": entries}, shape).has_errors()


# -- by the door's own calls -------------------------------------------------------------------------------


def by_itself(language: str, url: str, key: str) -> subprocess.CompletedProcess[str]:
    commands = {
        "Python": lambda: [sys.executable, str(EXAMPLES / "python" / "tell_ticket.py")],
        "Node": lambda: [program("node"), str(EXAMPLES / "node" / "send-message.mjs")],
        "PHP": lambda: [php(), str(EXAMPLES / "php" / "tell_ticket.php")],
    }
    return run(*commands[language](), environment={"DOOR_URL": url, "DOOR_KEY": key})


def is_told(language: str, events: Events) -> bool:
    if language == "Node":
        return text_on(events) == "Your order 7001 is on its way."
    return bool(ticket_on(events).ticket.id == "TCK-1042")


LANGUAGES = pytest.mark.parametrize("client", ["Python", "Node", "PHP"])


@LANGUAGES
@pytest.mark.cell(ARRIVES)
def test_what_it_says_is_on_the_bus(door: tuple[OpenDoor, str], client: str) -> None:
    made, url = door
    done = by_itself(client, url + "/", made.tokens["api"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "accepted" in done.stdout
    assert is_told(client, made.events)


@LANGUAGES
@pytest.mark.cell(FAILS)
def test_a_wrong_key_is_a_failure_that_is_not_tried_again(door: tuple[OpenDoor, str], client: str) -> None:
    made, url = door
    done = by_itself(client, url, WRONG["api"])
    assert done.returncode == 1
    assert "401" in done.stderr
    assert made.events.entries == []


@LANGUAGES
@pytest.mark.cell(ARRIVES)
def test_what_may_pass_is_tried_again(door: tuple[OpenDoor, str], client: str) -> None:
    made, url = door
    answers: list[dict[str, Any]] = [
        {"statusCode": 503, "headers": {"retry-after": "0"}, "body": "later"}
    ] * 2

    def answer(event: dict[str, Any]) -> dict[str, Any]:
        return answers.pop() if answers else _handed_on(url, event)

    with open_door(answer) as busy:
        done = by_itself(client, busy, made.tokens["api"])
    assert (done.returncode, done.stderr) == (0, "")
    assert is_told(client, made.events)


def _handed_on(url: str, event: dict[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", event["rawPath"], event["body"], event["headers"])
    answer = connection.getresponse()
    return {"statusCode": answer.status, "body": answer.read().decode()}


@LANGUAGES
def test_what_it_says_is_one_event_however_often_it_runs(door: tuple[OpenDoor, str], client: str) -> None:
    made, url = door
    told = [by_itself(client, url, made.tokens["api"]) for _ in range(2)]
    assert [done.returncode for done in told] == [0, 0]
    assert "repeated" in told[1].stdout
    assert len(made.events.entries) == 1


def curl(url: str, key: str, *words: str) -> subprocess.CompletedProcess[str]:
    program("curl")
    return run(
        str(EXAMPLES / "curl" / "send-message.sh"), *words, environment={"DOOR_URL": url, "DOOR_KEY": key}
    )


@pytest.mark.cell("curl", ARRIVES)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("The backup failed.", id="plain"),
        pytest.param('It said: "no space left on C:\\backup", 3 Ω', id="signs"),
        pytest.param("two\nlines", id="lines"),
    ],
)
def test_curl_sends_a_text_whatever_is_in_it(door: tuple[OpenDoor, str], text: str) -> None:
    made, url = door
    done = curl(url, made.tokens["api"], "+6281234567890", text)
    assert (done.returncode, done.stderr) == (0, "")
    assert text_on(made.events) == text


@pytest.mark.cell("curl", ARRIVES)
def test_curl_sends_what_bears_the_same_key_once(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    for _ in range(2):
        assert curl(url, made.tokens["api"], "+6281234567890", "Once", "backup-1").returncode == 0
    assert text_on(made.events) == "Once"


def test_the_key_is_no_word_of_curl_s_command(door: tuple[OpenDoor, str], tmp_path: Path) -> None:
    made, url = door
    words = tmp_path / "words"
    spy = tmp_path / "curl"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{words}"\nexec "{program("curl")}" "$@"\n')
    spy.chmod(0o700)
    path = f"{tmp_path}:{os.environ['PATH']}"
    script, key = str(EXAMPLES / "curl" / "send-message.sh"), made.tokens["api"]
    environment = {"DOOR_URL": url, "DOOR_KEY": key, "PATH": path}
    assert run(script, "+6281234567890", "hi", environment=environment).returncode == 0
    assert "/v1/messages" in words.read_text()
    assert key not in words.read_text()


def test_curl_writes_to_nobody_whom_a_number_smuggles_in(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    before = len(made.events.entries)
    assert curl(url, made.tokens["api"], '+6281234567890", "+6281311112222', "hi").returncode != 0
    assert len(made.events.entries) == before


@pytest.mark.cell("curl", FAILS)
def test_curl_fails_with_a_wrong_key_and_shows_why(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    done = curl(url, WRONG["api"], "+6281234567890", "Halo")
    assert done.returncode == 22
    assert "urn:tocsin:problem:" in done.stdout
    assert made.events.entries == []


def test_the_line_that_make_local_prints_arrives(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    program("curl")
    done = run("/bin/sh", "-c", Door(url, made.tokens["api"]).curl("6281234567890"))
    assert done.returncode == 0, done.stderr
    assert text_on(made.events) == "Halo dari pintu"


# -- by the calls of other programs ------------------------------------------------------------------------


def apprise(folder: Path, url: str, key: str) -> int:
    text = (EXAMPLES / "apprise" / "apprise.yml").read_text()
    config = folder / "apprise.yml"
    config.write_text(placed(text, url, key))
    command = re.search(r"^# +(apprise .+)$", text, re.M)
    assert command is not None
    assert command[1] == 'apprise --config apprise.yml --body "The backup failed."'
    words = (program("apprise"), "--config", str(config), "--body", "The backup failed.")
    return run(*words, cwd=folder).returncode


@pytest.mark.cell("Apprise", ARRIVES)
def test_apprise_reads_its_file_and_sends(door: tuple[OpenDoor, str], tmp_path: Path) -> None:
    made, url = door
    assert apprise(tmp_path, url, made.tokens["evolution"]) == 0
    assert text_on(made.events) == "The backup failed."


@pytest.mark.cell("Apprise", FAILS)
def test_apprise_fails_with_the_example_and_a_wrong_key(door: tuple[OpenDoor, str], tmp_path: Path) -> None:
    made, url = door
    assert apprise(tmp_path, url, WRONG["evolution"]) == 1
    assert made.events.entries == []


def n8n(url: str, key: str) -> dict[str, Any]:
    if not (NODE / "node_modules" / "n8n-nodes-evolution-api").is_dir():
        pytest.skip("the node of n8n is not installed: make setup")
    item = {"body": {"phone": "6281234567890", "name": "Siti", "ticket": "TCK-1042"}}
    told = {"workflow": workflow(), "node": "Tocsin", "item": item, "url": url, "key": key}
    done = run(program("node"), "n8n-workflow-example.mjs", json.dumps(told), cwd=NODE)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def workflow() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((EXAMPLES / "n8n" / "workflow.json").read_text())
    return read


@pytest.mark.cell("n8n", ARRIVES)
def test_n8n_s_workflow_fits_its_node_and_sends(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    result = n8n(url, made.tokens["evolution"])
    assert result["problems"] == []
    assert "failed" not in result
    assert text_on(made.events) == "Hello Siti, your ticket TCK-1042 is resolved."


@pytest.mark.cell("n8n", FAILS)
def test_n8n_s_workflow_stops_at_a_wrong_key(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert "failed" in n8n(url, WRONG["evolution"])
    assert made.events.entries == []


def test_n8n_s_workflow_hears_nobody_whom_it_does_not_know() -> None:
    (trigger,) = (node for node in workflow()["nodes"] if node["name"] == "Webhook")
    assert trigger["parameters"]["authentication"] == "headerAuth"
    assert set(trigger["credentials"]) == {"httpHeaderAuth"}


def test_n8n_s_workflow_leads_from_its_trigger_to_its_node() -> None:
    told = workflow()
    assert {node["name"] for node in told["nodes"]} == {"Webhook", "Tocsin"}
    assert told["connections"] == {"Webhook": {"main": [[{"node": "Tocsin", "type": "main", "index": 0}]]}}


def uptime_kuma(url: str, key: str, text: str) -> int:
    """The status that Uptime Kuma gets with the note's fields, asking as its provider Evolution does."""
    note = placed((EXAMPLES / "uptime-kuma" / "notification.txt").read_text(), url, key)
    fields = dict(re.findall(r"^(\w[\w ]*?) {2,}(\S.*)$", note, re.M))
    assert fields["Notification Type"] == "Evolution API"
    assert re.fullmatch(r"[\d-]{10,31}(@[\w.]+)?", fields["Recipient"]), "its form takes nothing else"
    place = urlsplit(fields["API URL"])
    connection = http.client.HTTPConnection(place.netloc, timeout=10)
    connection.request(
        "POST",
        f"{place.path.rstrip('/')}/message/sendText/{quote(fields['Instance Name'], safe='')}",
        json.dumps({"number": fields["Recipient"], "text": text}),
        {"accept": "application/json", "content-type": "application/json", "apikey": fields["Token"]},
    )
    return connection.getresponse().status


@pytest.mark.cell("Uptime Kuma", ARRIVES)
def test_uptime_kuma_s_note_leads_to_the_door(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert uptime_kuma(url, made.tokens["evolution"], "[modem] [🔴 Down] timeout") == 201
    assert text_on(made.events) == "[modem] [🔴 Down] timeout"


@pytest.mark.cell("Uptime Kuma", FAILS)
def test_uptime_kuma_is_refused_with_a_wrong_key(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert uptime_kuma(url, WRONG["evolution"], "down") == 401
    assert made.events.entries == []


AS_PHPNUXBILL = """
$url = str_replace(['[number]', '[text]'], [urlencode($argv[1]), urlencode($argv[2])], $argv[3]);
$context = stream_context_create(['http' => ['ignore_errors' => true, 'follow_location' => 0]]);
echo file_get_contents($url, false, $context);
"""


def phpnuxbill(url: str, key: str, text: str) -> str:
    """The body that PHPNuxBill gets, which is all that it looks at."""
    line = placed((EXAMPLES / "phpnuxbill" / "wa_url.txt").read_text().strip(), url, key)
    return run(php(), "-r", AS_PHPNUXBILL, "6281234567890", text, line).stdout


@pytest.mark.cell("PHPNuxBill", ARRIVES)
def test_phpnuxbill_s_url_sends(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    made.add("phpnuxbill", options={"sensitive": "off"})
    text = "Tagihan: Rp 150.000, jatuh tempo 5/12\nPembayaran + info & bantuan"
    assert phpnuxbill(url, made.tokens["phpnuxbill"], text) not in ("", "0")
    assert text_on(made.events) == text


@pytest.mark.cell("PHPNuxBill", FAILS)
def test_phpnuxbill_gets_an_empty_body_with_a_wrong_key(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert phpnuxbill(url, WRONG["phpnuxbill"], "Tagihan") == ""
    assert made.events.entries == []


# -- a help desk's trigger ---------------------------------------------------------------------------------


def zammad(made: OpenDoor, url: str, secret: str) -> int:
    """The status that Zammad gets for the example's webhook, signed as Zammad signs."""
    stored = TEXTS.seal({"secret": "s3cret"}, source_key("zammad"), SECRET)
    source = Source("zammad", "zammad", ("default",), secret=stored)
    made.table.put(Put(source_key("zammad"), proven_item(source, made.texts)))
    webhook = (EXAMPLES / "desks" / "zammad" / "webhook.json").read_text()
    told = json.loads(placed(webhook, url, "").replace("SECRET", secret))
    body = (EXAMPLES / "desks" / "zammad" / "sample.json").read_bytes()
    signature = hmac.new(told["signature_token"].encode(), body, hashlib.sha1).hexdigest()
    place = urlsplit(told["endpoint"])
    connection = http.client.HTTPConnection(place.netloc, timeout=10)
    headers = {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "Zammad User Agent",
        "x-hub-signature": f"sha1={signature}",
        "x-zammad-delivery": "8cdcd2a9-6c2f-4e4a-9a51-1f6e6ab2a3a6",
        "x-zammad-trigger": "Tell by WhatsApp: resolved",
    }
    connection.request("POST", f"{place.path}?{place.query}", body, headers)
    return connection.getresponse().status


@pytest.mark.cell("Zammad", ARRIVES)
def test_zammad_s_webhook_tells_that_the_ticket_is_resolved(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert zammad(made, url, "s3cret") == 200
    (entry,) = made.events.entries
    assert entry["DetailType"] == "TicketResolved"
    assert ticket_on(made.events).customer is not None


@pytest.mark.cell("Zammad", FAILS)
def test_zammad_is_refused_with_another_secret(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert zammad(made, url, "another") == 401
    assert made.events.entries == []
