"""The main job with IAM enforced: every role may do what its code does, and nothing was forgotten.

A missing right shows as an end that never comes, and as a refusal in a log; the logs are asked at the end.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.fake_deployment import Said
from tests.support.listener import listening
from tests.support.recorded_calls import Call, read, recording, without_right, write
from tests.support.rights import FUNCTIONS, PARAMETERS, POLICIES, RECORDED, rights, unused
from tests.support.stack import BUCKET, DESK, DeployedStack, Notice, Person, eventually, new_ticket
from tocsin.notify.notification import State
from tocsin_console import hooks
from tocsin_console.send import put_event
from tocsin_local.door import add_source, door_of
from tocsin_local.emulator import interpreter
from tocsin_local.paths import RUNS, SAM
from tocsin_local.stack import STACK_NAME, Stack
from tocsin_local.world import World, world

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.slow]

SETTINGS = {
    "retries": "1",
    "updates-as": "edit",
    "quote-first-message": "true",
    "acknowledge-replies": "👍",
}


# Where functions, connector and console note their calls.
CALLS = RUNS / "calls-of-rights.jsonl"


@pytest.fixture(scope="module")
def enforced() -> Iterator[World]:
    if not (interpreter().exists() and (SAM / "bin" / "sam").exists()):
        pytest.skip("the emulator or the SAM CLI isn't installed: make setup")
    CALLS.unlink(missing_ok=True)
    with (
        recording(CALLS),
        world("rights", iam=True, parameters=PARAMETERS, settings=SETTINGS) as built,
    ):
        built.stack.client("s3").create_bucket(Bucket=BUCKET)
        yield built


@pytest.fixture(scope="module")
def linked(enforced: World) -> DeployedStack:
    """The account is linked, and its connector gone again."""
    deployed = DeployedStack(enforced)
    with enforced.connector():
        deployed.link()
    return deployed


@pytest.fixture(scope="module")
def parked(linked: DeployedStack) -> Notice:
    """A notification that waits for a connector."""
    notice = linked.tell(linked.person())
    linked.until(notice, State.WAITING)
    return notice


@pytest.fixture(scope="module")
def deployed(linked: DeployedStack, parked: Notice) -> Iterator[DeployedStack]:
    with linked.world.connector():
        linked.wait_for_account("connected")
        yield linked


def test_what_waited_is_resumed(deployed: DeployedStack, parked: Notice) -> None:
    deployed.until(parked, State.READ)
    deployed.nothing_is_lost(parked)


def test_a_ticket_event_is_read_and_its_outcomes_are_told(deployed: DeployedStack) -> None:
    siti = deployed.person()
    first, second = deployed.tell(siti), deployed.tell(siti)
    deployed.all_until([first, second], State.READ)
    deployed.nothing_is_lost(first, second)


def test_a_broken_session_heals(deployed: DeployedStack) -> None:
    siti = deployed.person()
    deployed.until(deployed.tell(siti), State.READ)
    deployed.phones.break_phone(siti.number, "corrupt-session")
    healed = deployed.tell(siti)
    deployed.until(healed, State.READ)
    deployed.nothing_is_lost(healed)


def test_an_opt_out_is_obeyed_and_confirmed(deployed: DeployedStack) -> None:
    siti = deployed.person()
    deployed.until(deployed.tell(siti), State.READ)
    before = len(deployed.phones.messages(siti.number))
    deployed.phones.write(siti.number, DESK, "STOP")
    eventually(lambda: len(deployed.phones.messages(siti.number)) > before, "the opt-out is confirmed")
    deployed.until(deployed.tell(siti), State.SUPPRESSED)


def test_a_file_is_read_from_the_bucket_and_from_no_other_place(deployed: DeployedStack) -> None:
    siti = deployed.person()
    s3 = deployed.stack.client("s3")
    s3.put_object(Bucket=BUCKET, Key="plan.pdf", Body=b"%PDF-1.7 a plan")
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": "plan.pdf"}])
    file = deployed.file_of(text, "plan.pdf")
    deployed.until(file, State.READ)
    assert deployed.phones.file(siti.number, file.message_id) == b"%PDF-1.7 a plan"
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": "none.pdf"}])
    assert deployed.letter(deployed.file_of(text, "none.pdf")).reason == "attachment-missing"


def test_an_update_edits_and_an_answer_gets_its_reaction(deployed: DeployedStack) -> None:
    siti, ticket = deployed.person(), new_ticket()
    [created] = deployed.put("TicketCreated", ticket, customer=siti)
    deployed.until(created, State.READ)
    deployed.put("TicketUpdated", {**ticket, "revision": 2}, customer=siti)
    eventually(lambda: (deployed.shown(created) or {})["edited"], "the message is not edited")
    sent = deployed.phones.write(siti.number, DESK, "thank you")
    deployed.phones.wait_until(
        lambda: any(
            one["id"] == sent["id"] and one["reactions"]
            for one in deployed.phones.mailbox(siti.number)["sent"]
        ),
        "no reaction",
    )


def test_a_request_s_file_is_kept_and_a_sensitive_one_arrives(deployed: DeployedStack) -> None:
    siti = deployed.person()
    files = [{"name": "plan.pdf", "content": "JVBERi0xLjcKYSBwbGFu"}]
    recipients = [{"phone": f"+{siti.number}"}]
    detail = {"key": f"k-{siti.number}", "recipients": recipients, "text": "481-516", "sensitive": True}
    put_event(deployed.world.deployment, "MessageRequested", {**detail, "files": files})
    eventually(lambda: len(deployed.phones.messages(siti.number)) == 2, "text and file don't arrive")


def asked(url: str, token: str, body: Any = None, method: str = "POST") -> Any:
    """What the door answers to who has a key, as JSON."""
    request = urllib.request.Request(  # noqa: S310 - our own door
        url,
        None if body is None else json.dumps(body).encode(),
        {"authorization": f"Bearer {token}", "content-type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def test_the_door_tells_the_bus_and_says_how_far_a_message_got(deployed: DeployedStack) -> None:
    siti = deployed.person()
    with door_of(deployed.world) as url:
        token = add_source(deployed.world, url, "tool", "api")
        file = {"name": "plan.txt", "content": base64.b64encode(b"a plan\n" * 6000).decode()}
        message = {"to": f"+{siti.number}", "text": "481-516", "sensitive": True, "files": [file]}
        told = asked(f"{url}/v1/messages", token, message)
        eventually(lambda: len(deployed.phones.messages(siti.number)) == 2, "text and file don't arrive")

        def states() -> set[str]:
            shown = asked(f"{url}/v1/messages/{told['id']}", token, method="GET")
            return {one["state"] for one in shown["notifications"]}

        eventually(lambda: states() == {"read"}, "the door doesn't say that it was read")
        assert asked(f"{url}/v1/accounts", token, method="GET")["accounts"][0]["state"] == "connected"
        desk = add_source(deployed.world, url, "desk", "generic")
        assert asked(f"{url}/hooks/desk", desk, {"nothing": True})["refused"]


def test_a_webhook_is_told_and_one_that_fails_is_tried_again(deployed: DeployedStack) -> None:
    deployment = replace(deployed.world.deployment, parameters={"Timing": "trial"})
    told = Said(as_json=True)
    lambda_ = deployed.stack.client("lambda")
    with listening() as somebody:
        url = f"{somebody.url}/hook"
        hooks.add(deployment, url, events=(), accounts=(), form="standard", output=told.output)
        hook, somebody.secret = told.records[-1]["hook"], told.records[-1]["secret"]
        hooks.ping(deployment, hook, wait=30, output=told.output)
        somebody.statuses += [500, 500]
        siti = deployed.person()

        def is_told() -> bool:
            deployed.until(deployed.tell(siti), State.READ)
            return any(one["type"] == "notification.read" for one in somebody.heard)

        eventually(is_told, "the webhook hears of nothing", seconds=120)
        answer = lambda_.invoke(FunctionName=deployed.stack.outputs["HooksFunctionName"], Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()
        hooks.remove(deployment, hook, yes=True, output=told.output)


def test_nobody_on_whatsapp_is_a_dead_letter(deployed: DeployedStack) -> None:
    deployed.letter(deployed.tell(Person("6281999999999", "Nobody", "id")))


def test_what_breaks_the_contract_is_put_aside(deployed: DeployedStack) -> None:
    put_event(deployed.world.deployment, "TicketCreated", {"ticket": {"id": "no-subject"}})
    events = deployed.world.deployment.refused_events
    eventually(lambda: any(events.read()), "no refused event")
    wrong = Person("12", "Siti", "id")
    deployed.put("TicketCreated", new_ticket(), customer=wrong)
    letters = deployed.world.deployment.redriver()
    eventually(lambda: any(it.reason == "invalid-phone" for it in letters.read()), "no dead letter")


def test_upkeep_has_its_turn(deployed: DeployedStack) -> None:
    lambda_ = deployed.stack.client("lambda")
    for payload in ({}, {"upkeep": True, "force": True}):
        answer = lambda_.invoke(
            FunctionName=deployed.stack.outputs["MaintainFunctionName"], Payload=json.dumps(payload)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()


# -- people ------------------------------------------------------------------------------------------------


def credentials_of(stack: Stack, user: str) -> dict[str, str]:
    """A new user with managed policies of the stack."""
    iam = stack.client("iam")
    iam.create_user(UserName=user)
    for policy in POLICIES[user]:
        iam.attach_user_policy(UserName=user, PolicyArn=stack.outputs[f"{policy}Arn"])
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


Console = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module", params=["operator", "viewer"])
def console(request: pytest.FixtureRequest, deployed: DeployedStack) -> Console:
    """The command line of somebody who operates, or looks: exit code and what was printed."""
    credentials = credentials_of(deployed.stack, request.param)
    environment = deployed.stack.aws.environment(credentials) | {"AWS_CALLER": request.param}

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "tocsin_console.cli", "--stack", deployed.stack.name, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    run.who, run.environment = request.param, environment  # type: ignore[attr-defined]
    return run


# Each command, and whether a viewer may. What a command is about is filled in. Not `tail`: the emulator asks
# for the right on a stream, which it then finds in no policy.
COMMANDS: list[tuple[str, bool]] = [
    ("status", True),
    ("explain {notification}", True),
    ("explain {ticket}", True),
    ("explain {number}", True),
    ("recoveries", True),
    ("accounts list", True),
    ("settings list", True),
    ("settings history", True),
    ("audit", True),
    ("hooks list", True),
    ("sources list", True),
    ("settings undo", False),
    ("dead-letters list", True),
    ("dead-letters show {letter}", True),
    ("dead-letters redrive {letter} --dry-run", True),
    ("hooks add https://desk.example.org/hook", False),
    ("accounts add second", False),
    ("accounts remove second --yes", False),
    ("dead-letters list --queue events", False),
    ("dead-letters redrive {letter}", False),
    ("dead-letters redrive --all --queue events", False),
    ("dead-letters drop --all --yes", False),
    ("dead-letters drop --all --yes --queue events", False),
    ("send --to {number} --attach {file}", False),
    ("self-test --wait 10", False),
    ("groups", False),
    ("explain {notification} --reveal", False),
    ("sessions list", False),
    ("sessions show {number}", False),
    ("sessions clean {number}", False),
    ("people show {number}", False),
    ("people confirm {number} --yes", False),
    ("people opt-outs list", False),
    ("people opt-outs add {number}", False),
    ("people opt-outs remove {number} --yes", False),
    ("people forget {number} --yes", False),
    ("pair --wait 1", False),
]

# What only looks runs beside others: most of its time is the start of a process.
BESIDE = [command for command, viewer in COMMANDS if viewer and "{letter}" not in command]
IN_TURN = [command for command, _ in COMMANDS if command not in BESIDE]

# Exit codes of what could do all that it may, but found nothing to do, or the account linked already.
DONE = {
    "people confirm {number} --yes": (0, 3),
    "pair --wait 1": (1, 2, 4),
    "self-test --wait 10": (0, 4),
    # It fails again: nobody has this number.
    "dead-letters redrive {letter}": (0, 5),
}

NOT_ADDED = 3
"""Exit code of whoever removes the account that they weren't allowed to add."""

REFUSED = "Your AWS permissions must allow what this command does"


@pytest.fixture
def about(deployed: DeployedStack, tmp_path: Path) -> dict[str, str]:
    """What commands are about: a notification that was read, and a dead letter."""
    siti = deployed.person()
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    nobody = deployed.tell(Person("6281999999998", "Nobody", "id"))
    file = tmp_path / "plan.txt"
    file.write_text("a plan")
    deployed.letter(nobody)
    return {
        "notification": notice.id,
        "ticket": notice.ticket_id,
        "number": siti.number,
        "letter": nobody.id,
        "file": str(file),
    }


def test_who_operates_may_run_every_command_and_who_looks_only_those_that_look(
    console: Console, about: dict[str, str]
) -> None:
    # Those that look come first: they find what the others take away.
    with ThreadPoolExecutor(3) as pool:
        beside = pool.map(lambda command: console(*command.format(**about).split()), BESIDE)
    said = dict(zip(BESIDE, beside, strict=True))
    said |= {command: console(*command.format(**about).split()) for command in IN_TURN}
    done = {
        command
        for command, (code, text) in said.items()
        if code in DONE.get(command, (0,)) and REFUSED not in text
    }
    looks = console.who == "viewer"  # type: ignore[attr-defined]
    expected = {command for command, viewer in COMMANDS if viewer or not looks}
    assert {command: said[command] for command in expected ^ done} == {}
    unclear = {
        command: it
        for command, it in said.items()
        if command not in done and it[0] != NOT_ADDED and REFUSED not in it[1]
    }
    assert unclear == {}


PAGES = ("/", "/feed", "/letters", "/people", "/link", "/texts", "/settings")

VISIT = """
import sys
from tests.support.console_page import served
from tocsin_console.deployment import Deployment

with served(Deployment.find(sys.argv[1], region=None, endpoint_url=None)) as browser:
    browser.comes_in()
    for path in sys.argv[2:]:
        answer = browser.get(path)
        print(path, answer.status, "may not" in answer.text)
    links = browser.get("/feed").raw.split('"')
    one = next(link for link in links if link.startswith("/notification/"))
    print("one", browser.get(one).status)
"""


def test_every_page_is_drawn_with_these_rights(console: Console) -> None:
    """Calls that have no right are asked for below, as those of the commands."""
    environment = console.environment  # type: ignore[attr-defined]
    path = os.pathsep.join([*sys.path, environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", VISIT, STACK_NAME, *PAGES],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["200"] * (len(PAGES) + 1), done


def test_the_doctor_looks_at_everything(console: Console) -> None:
    """Whether it may is asked below, of the calls that it made here."""
    code, text = console("doctor")
    assert code in (0, 1, 5), text
    assert "fault of the console" not in text


def test_no_log_tells_of_a_refusal(deployed: DeployedStack) -> None:
    refused = {
        function: [
            line for line in deployed.stack.function_logs(function).splitlines() if "AccessDenied" in line
        ]
        for function in FUNCTIONS
    }
    logs = sorted(deployed.world.folder.glob("connector-*.log"))
    refused |= {
        log.name: [line for line in log.read_text().splitlines() if "AccessDenied" in line] for log in logs
    }
    assert refused == {name: [] for name in refused}


def test_rights_are_really_asked_for(enforced: World) -> None:
    environment = enforced.stack.connector_environment()
    connector = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    sqs = connector.client("sqs", endpoint_url=enforced.stack.aws.url)
    with pytest.raises(ClientError, match="not authorized"):
        sqs.receive_message(QueueUrl=enforced.stack.outputs["NotificationsQueueUrl"])


# -- calls and rights --------------------------------------------------------------------------------------


def made_by(caller: str) -> set[Call]:
    return {call for call in read(CALLS) if call.caller == caller}


@pytest.mark.parametrize("caller", [*FUNCTIONS, "connector", "operator"])
def test_every_call_has_its_right(enforced: World, caller: str) -> None:
    assert made_by(caller)
    assert without_right(made_by(caller), rights(caller)) == []


@pytest.mark.parametrize("caller", [*FUNCTIONS, "connector", "operator", "viewer"])
def test_every_right_has_its_call(enforced: World, caller: str) -> None:
    assert unused(caller, made_by(caller)) == set()


@pytest.mark.skipif("RECORD" not in os.environ, reason="make deployment RECORD=1 writes them down")
def test_the_calls_are_written_down_for_the_unit_tests(enforced: World) -> None:
    write(RECORDED, read(CALLS))
