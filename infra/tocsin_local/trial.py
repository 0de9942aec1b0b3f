"""`make local`: the whole stack on this machine, linked and left running, with what to type next.

Tools attach to it by `.run/local.json` (`record`). Several run side by side, each under a name of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tocsin_console import pair
from tocsin_console.connection import look
from tocsin_console.deployment import DOOR_URL, Deployment
from tocsin_console.errors import ConsoleError
from tocsin_console.output import end_after_closed_pipe, replace_unencodable
from tocsin_local.demo import BUDI, DESK, SITI
from tocsin_local.door import PARAMETERS, add_source, door_of
from tocsin_local.emulator import REGION, ROOT_USER
from tocsin_local.following import ACCOUNT
from tocsin_local.hook import PARAMETERS as HOOKS
from tocsin_local.paths import ROOT, RUNS
from tocsin_local.ports import Port, remembered_ports
from tocsin_local.processes import Child, ProcessFailed, exit_on_sigterm
from tocsin_local.record import RecordError, check_free, claimed, published, record_file, stop
from tocsin_local.speech import OutputClosed, say
from tocsin_local.stack import CommandFailed
from tocsin_local.world import World, world
from tocsin_whatsapp_server.control_client import ControlError

DEFAULT_NAME = "local"
BUCKET = "tocsin-local"
PHONES = (DESK, SITI, BUDI)
CONSOLE = Path(sys.executable).with_name("tocsin")
LOOK_SECONDS = 0.5

QUEUES = {
    "ticket_events": "TicketEventsQueueUrl",
    "ticket_events_dead": "TicketEventsDeadQueueUrl",
    "notifications": "NotificationsQueueUrl",
    "dead_letters": "DeadLettersQueueUrl",
    "stanzas": "StanzasQueueUrl",
    "stanzas_dead": "StanzasDeadQueueUrl",
    "receipts": "ReceiptsQueueUrl",
    "receipts_dead": "ReceiptsDeadQueueUrl",
    "outcomes_dead": "OutcomesDeadQueueUrl",
    "webhooks": "HooksQueueUrl",
    "webhooks_dead": "HooksDeadQueueUrl",
}
"""What the record calls a queue, and the output of the template that says where it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C, or do what the options say. Returns 1 if it did not start or a part ended, else 0."""
    options = parse_arguments(arguments)
    exit_on_sigterm()
    replace_unencodable()
    try:
        return _act(options)
    except OutputClosed:
        return end_after_closed_pipe()


def _act(options: argparse.Namespace) -> int:
    try:
        if options.stop:
            stop(options.name)
            say(f"stopped '{options.name}'; nothing of it is left running")
        elif options.background:
            return _start_in_background(options.name)
        else:
            _run(options.name, page=not options.pageless, browser=not options.no_browser)
    except KeyboardInterrupt:
        say("\nstopped; nothing is left running")
    except (ConsoleError, ControlError, ProcessFailed, CommandFailed, RecordError) as trouble:
        print(f"local: {trouble}", file=sys.stderr)
        return 1
    return 0


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make local",
        usage='make local ARGS="[--name NAME] [--background] [--no-browser]"',
        description=__doc__,
    )
    parser.add_argument(
        "--name",
        type=_name,
        default=DEFAULT_NAME,
        help="the stack's name: its record is .run/NAME.json (default: %(default)s)",
    )
    parser.add_argument(
        "--background", action="store_true", help="return when it is ready; make local-stop ends it"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the console's page, and leave the browser alone"
    )
    parser.add_argument("--pageless", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--stop", action="store_true", help="end the one of that name, as make local-stop does"
    )
    return parser.parse_args(arguments)


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", text):
        raise argparse.ArgumentTypeError(f"a name is made of small letters, digits and hyphens: {text!r}")
    return text


def _run(name: str, *, page: bool, browser: bool) -> None:
    """Run the stack until Ctrl-C, and serve the console's page. Raises the errors that `_act` prints."""
    with (
        claimed(name),
        _world(name, ports := remembered_ports(RUNS / f"{name}.ports")) as here,
        door_of(here, ports("door")) as door_url,
        contextlib.ExitStack() as connectors,
    ):
        here.stack.client("s3").create_bucket(Bucket=BUCKET)
        connector = connectors.enter_context(here.connector())
        _link(here, connector)
        door = Door(door_url, add_source(here, door_url, "trial", "api"))
        say(instructions(here, name, door))
        with published(name, record(here, door)), contextlib.ExitStack() as shown:
            if page:
                shown.enter_context(console_page(here.deployment, browser=browser))
            with stopping_told():
                _keep(here, connector, connectors)


@contextlib.contextmanager
def stopping_told() -> Iterator[None]:
    """Say at Ctrl-C that it was heard: everything is ended in its order, which takes a while."""
    try:
        yield
    except KeyboardInterrupt:
        say("\nstopping everything; this takes up to half a minute")
        raise


@contextlib.contextmanager
def console_page(deployment: Deployment, *, browser: bool) -> Iterator[None]:
    """Serve the console's page while the block lasts. `browser`: open it, if there is a screen."""
    from tocsin_console.page import opening, server

    with opening.private_folder() as folder, server.beside(deployment) as door:
        say(f"The console, on one page of this machine's browser. Open this once:\n{door.invitation()}")
        if browser and opening.can_show():
            opening.show(door.invitation(), folder)
        yield


def _world(name: str, ports: Port) -> contextlib.AbstractContextManager[World]:
    parameters = {"AttachmentsBucket": BUCKET, **PARAMETERS, **HOOKS}
    return world(name, parameters=parameters, ports=ports, progress=_tell)


def _keep(here: World, connector: Child, connectors: contextlib.ExitStack) -> None:
    """Replace the connector when it ends, as Fargate does, and say when the new one is connected. Raises
    ProcessFailed when anything else ends."""
    former: int | None = None
    while True:
        time.sleep(LOOK_SECONDS)
        here.check()
        if not connector.alive():
            _tell(f"{connector.name} ended, its log is {connector.log}; starting another one")
            former = _epoch(here.deployment)
            connector = connectors.enter_context(here.connector())
        elif (
            former is not None
            and _epoch(here.deployment) > former
            and pair.connected(here.deployment, ACCOUNT)
        ):
            _tell(f"{connector.name} is connected")
            former = None


def _epoch(deployment: Deployment) -> int:
    """How often the account changed hands: what the ended connector wrote last stands until it does."""
    lease = look(deployment.keys_table, ACCOUNT).lease
    return lease.epoch if lease is not None else 0


def _start_in_background(name: str) -> int:
    """Start a process that runs the stack, and print its output until it is ready. Returns the exit code."""
    check_free(name)
    RUNS.mkdir(exist_ok=True)
    log = RUNS / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tocsin_local.trial", "--name", name, "--pageless"],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with log.open(encoding="utf-8", errors="replace") as said:
            while True:
                ended, ready = process.poll() is not None, _is_ready(name, process.pid)
                for line in said:
                    say(line.rstrip("\n"))
                if ended or ready:
                    return 1 if ended else 0
                time.sleep(LOOK_SECONDS)
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _is_ready(name: str, pid: int) -> bool:
    try:
        found: int = json.loads(record_file(name).read_bytes())["pid"]
    except FileNotFoundError:
        return False
    return found == pid


def _link(here: World, connector: Child) -> None:
    """Three phones: the help desk's, linked to the account, a customer's and a technician's, who are those of
    the README's event. Returns when it is connected."""
    for person in PHONES:
        here.phones.add_phone(person.number, person.name, reads=person is not DESK)
    for code in pair.codes(here.deployment, ACCOUNT, wait_seconds=60):
        if isinstance(code, pair.Code):
            here.phones.link(DESK.number, code.text)
    connector.wait_until(lambda: pair.connected(here.deployment, ACCOUNT))
    _tell(f"linked to the phone of {DESK.name} ({DESK.number})")


class Door(NamedTuple):
    """The HTTP door, and the key of a source of kind `api`."""

    url: str
    key: str

    def curl(self, number: str) -> str:
        """A command that brings a message to a phone."""
        body = json.dumps({"to": f"+{number}", "text": "Halo dari pintu"})
        return (
            f"curl {self.url}/v1/messages \\\n"
            f"  -H 'Authorization: Bearer {self.key}' \\\n"
            f"  -H 'Content-Type: application/json' \\\n"
            f"  -d '{body}'"
        )


def record(here: World, door: Door) -> dict[str, Any]:
    """What tools need to attach, as JSON: addresses, credentials, names, phones, and the process id."""
    settings = {**_settings(here), DOOR_URL: door.url}
    queues = {name: here.stack.outputs[output] for name, output in QUEUES.items()}
    return {
        "pid": os.getpid(),
        "folder": str(here.folder),
        # As arguments of boto3.client; `environment` has the same for any program.
        "aws": {
            "endpoint_url": here.stack.aws.url,
            "region_name": REGION,
            "aws_access_key_id": ROOT_USER["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": ROOT_USER["AWS_SECRET_ACCESS_KEY"],
        },
        "environment": settings,
        "stack": here.stack.name,
        "event_bus": here.stack.outputs["EventBusName"],
        "event_source": here.stack.outputs["EventSource"],
        "tables": {
            "keys": here.stack.outputs["KeysTable"],
            "notifications": here.stack.outputs["NotificationsTable"],
        },
        "queues": {name: {"name": url.rpartition("/")[2], "url": url} for name, url in queues.items()},
        "whatsapp": {
            "url": here.whatsapp_url,
            "control": here.phones.url,
            "root_public_key": here.root_public_key,
            "media_certificate": here.media_certificate,
        },
        "bucket": BUCKET,
        "accounts": {ACCOUNT: {"phone": DESK.number}},
        "door": {"url": door.url, "key": door.key},
        "console": [str(CONSOLE)],
    }


def instructions(here: World, name: str, door: Door) -> str:
    """What to type next, to be pasted into another terminal."""
    settings = {**_settings(here), DOOR_URL: door.url}
    exports = "\n".join(f"  export {variable}={value}" for variable, value in settings.items())
    arguments = "" if name == DEFAULT_NAME else f' ARGS="--name {name}"'
    phone = f"{here.phones.url}/phones/{SITI.number}"
    return f"""
Running. In another terminal, so that the AWS CLI, boto3 and the console mean
this machine:

{exports}
  export PATH="{CONSOLE.parent}:$PATH"

Then:

  tocsin console         everything on one page, in the browser
  tocsin status
  tocsin send --to +{SITI.number} --name {SITI.name} --language en
  tocsin explain +{SITI.number}
  tocsin tail            a line for each change; Ctrl-C ends it
  tocsin doctor

Tickets and messages by HTTP, as help desks and tools send them (DOOR.md):

  tocsin sources add zammad --kind zammad
  {door.curl(SITI.number)}

Outcomes by webhook, to a URL of yours on this machine (HOOKS.md):

  tocsin hooks add http://127.0.0.1:8080/tocsin

Phones are scripted over HTTP (infra/tocsin_whatsapp_server/README.md):

  curl {phone}/messages
  curl {phone}/faults \\
  -d '{{"kind": "corrupt-session"}}'
  curl {here.phones.url}/phones \\
  -d '{{"number": "6285700000001", "name": "Dewi", "reads": true}}'

Ticket events go on the bus {here.stack.outputs["EventBusName"]}, source {here.stack.outputs["EventSource"]}.
Files go from the bucket {BUCKET}: tocsin send --attach FILE
For programs, all of this is in {record_file(name)}
Logs: {here.folder}
make local-stop{arguments} stops everything{", and so does Ctrl-C here" if sys.stdin.isatty() else ""}.
"""


def _settings(here: World) -> dict[str, str]:
    """The environment variables by which AWS is this stack's emulator."""
    return {"AWS_ENDPOINT_URL": here.stack.aws.url, "AWS_DEFAULT_REGION": REGION, **ROOT_USER}


def _tell(text: str) -> None:
    say(f"   {text}")


if __name__ == "__main__":
    sys.exit(main())
