"""The examples that receive outcomes, run as a user runs them, and told by the code that tells others."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.interop.libsignal_peer import NODE
from tests.support.example_callers import EXAMPLES, php, program
from tests.support.memory_aws import MemoryAws
from tests.support.sealed_texts import TEXTS
from tocsin.guarded_http import Policy
from tocsin.hooks.deliver import Deliveries, Result, poster
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import HooksQueue, Order
from tocsin.hooks.store import HookStore
from tocsin.notify.cloud_events import TYPES
from tocsin.versions import hook_versions
from tocsin_local.door import open_door

pytestmark = pytest.mark.interop

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 32
VERIFIES = "it verifies what is posted"
ROTATES = "it verifies while the secret is changed"
REFUSES = "it refuses what another signed"
RECEIVERS = pytest.mark.parametrize("client", ["standardwebhooks (PyPI)", "standardwebhooks (npm)", "PHP"])
TEXT = "Terima kasih ☕, sudah bisa"


class Receiver:
    """The process of an example."""

    def __init__(self, client: str, folder: Path, secret: str = SECRET) -> None:
        self.lines: list[str] = []
        self._arrived = threading.Condition()
        command, environment = COMMANDS[client](folder)
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "WEBHOOK_SECRET": secret, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        port = re.search(r"(?:port |127\.0\.0\.1:)(\d+)", self.line(r"listening on port|Development Server"))
        assert port is not None
        self.url = f"http://127.0.0.1:{port[1]}/tocsin"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._arrived:
                self.lines.append(line)
                self._arrived.notify_all()

    def line(self, pattern: str) -> str:
        """The first line that it prints of this kind."""

        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._arrived:
            assert self._arrived.wait_for(found, timeout=60), self.lines
        return found() or ""

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)


def _python(folder: Path) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, str(EXAMPLES / "webhook-python" / "receiver.py")], {"PORT": "0"}


def _node(folder: Path) -> tuple[list[str], dict[str, str]]:
    if not (NODE / "node_modules" / "standardwebhooks").is_dir():
        pytest.skip("standardwebhooks of npm is not installed: make setup")
    (folder / "receiver.mjs").write_text((EXAMPLES / "webhook-node" / "receiver.mjs").read_text())
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    return [program("node"), "receiver.mjs"], {"PORT": "0"}


def _php(folder: Path) -> tuple[list[str], dict[str, str]]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    changed = folder / "receiver.php"
    code = changed if changed.exists() else EXAMPLES / "webhook-php" / "receiver.php"
    return [php(), "-S", f"127.0.0.1:{port}", str(code)], {}


COMMANDS: dict[str, Callable[[Path], tuple[list[str], dict[str, str]]]] = {
    "standardwebhooks (PyPI)": _python,
    "standardwebhooks (npm)": _node,
    "PHP": _php,
}


@pytest.fixture
def receiver(client: str, tmp_path: Path) -> Iterator[Receiver]:
    with closing(Receiver(client, tmp_path)) as started:
        yield started


def tell(url: str, secret: str, *, former: str = "") -> Result:
    """A customer's reply, told once by what `deliver_webhooks` tells with."""
    aws = MemoryAws()
    store = HookStore(aws.notifications_table, TEXTS, hook_versions(aws.keys_table))
    until = int(time.time() * 1000) + 60_000 if former else 0
    store.add(Endpoint("h-1", url, secret, former_secret=former, former_until=until))
    queue = HooksQueue(aws.sqs, aws.queues["hooks"])
    deliveries = Deliveries(store, queue, poster(Policy(loopback=True)))
    detail = {"id": "o-1", "account": "default", "ticket_id": "TCK-1042", "text": TEXT}
    return deliveries.carry_out(Order.of("h-1", Told.of("ReplyReceived", detail, int(time.time() * 1000))))


@RECEIVERS
@pytest.mark.cell(VERIFIES)
def test_what_is_posted_is_verified_and_told(receiver: Receiver) -> None:
    assert tell(receiver.url, SECRET) == Result("delivered", "204")
    assert f"reply.received TCK-1042 {TEXT}" in receiver.line("reply[.]received")


@RECEIVERS
@pytest.mark.cell(ROTATES)
def test_while_the_secret_is_changed_the_former_one_verifies(receiver: Receiver) -> None:
    assert tell(receiver.url, OTHER, former=SECRET) == Result("delivered", "204")


@RECEIVERS
@pytest.mark.cell(REFUSES)
def test_what_another_signed_is_refused_and_not_told(receiver: Receiver) -> None:
    result = tell(receiver.url, OTHER)
    assert (result.outcome, result.said) == ("waits", "401")
    assert not [line for line in receiver.lines if "reply" in line]


@pytest.mark.parametrize("client", ["standardwebhooks (PyPI)", "standardwebhooks (npm)"])
def test_what_is_told_twice_is_written_down_once(receiver: Receiver) -> None:
    for _ in range(2):
        assert tell(receiver.url, SECRET).outcome == "delivered"
    assert tell(receiver.url, OTHER).said == "401"
    assert len([line for line in receiver.lines if "reply.received" in line]) == 1


@pytest.mark.parametrize("client", ["standardwebhooks (PyPI)", "standardwebhooks (npm)"])
def test_who_is_not_known_gets_no_more_room_than_an_outcome_takes(receiver: Receiver, client: str) -> None:
    too_long = b"0" * 1_000_001
    with closing(http.client.HTTPConnection(urlsplit(receiver.url).netloc, timeout=60)) as connection:
        connection.putrequest("POST", "/tocsin")
        connection.putheader("Content-Length", str(len(too_long)))
        # The one in Python believes what it is told of the length, the other one counts.
        connection.endheaders(too_long if "npm" in client else None)
        assert connection.getresponse().status == 413


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_without_its_secret_the_program_in_php_believes_nobody(tmp_path: Path, secret: str) -> None:
    with closing(Receiver("PHP", tmp_path, secret=secret)) as started:
        body, now = '{"type": "x", "data": {"ticket_id": "forged"}}', str(int(time.time()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.digest(key, f"o-1.{now}.{body}".encode(), "sha256")
        signed = {"webhook-id": "o-1", "webhook-timestamp": now}
        signed["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
        with closing(http.client.HTTPConnection(urlsplit(started.url).netloc, timeout=60)) as connection:
            connection.request("POST", "/tocsin", body, signed)
            assert connection.getresponse().status == 500


def test_a_program_in_php_that_breaks_off_is_told_again(tmp_path: Path) -> None:
    code = (EXAMPLES / "webhook-php" / "receiver.php").read_text()
    (tmp_path / "receiver.php").write_text(code.replace("    error_log(", "    no_such_function("))
    with closing(Receiver("PHP", tmp_path)) as broken:
        assert tell(broken.url, SECRET).said == "500"


# -- by a rule of EventBridge ------------------------------------------------------------------------------


def function() -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms as their words."""

    Loader.add_multi_constructor("!", lambda loader, tag, node: f"{tag} {node.value}")
    text = (EXAMPLES / "eventbridge-lambda" / "template.yaml").read_text()
    template: dict[str, Any] = yaml.load(text, Loader)  # noqa: S506 - a safe one
    properties: dict[str, Any] = template["Resources"]["NotesFunction"]["Properties"]
    return properties


def test_the_rule_hears_outcomes_that_there_are() -> None:
    pattern = function()["Events"]["Outcome"]["Properties"]["Pattern"]
    assert pattern["source"] == ["tocsin"]
    assert set(pattern["detail-type"]) <= set(TYPES)


@pytest.mark.parametrize(
    ("kind", "detail", "note"),
    [
        ("NotificationRead", {}, "WhatsApp: read by 6281234567890."),
        (
            "NotificationFailed",
            {"reason": "not-on-whatsapp"},
            "WhatsApp: not delivered to 6281234567890 (not-on-whatsapp).",
        ),
        ("ReplyReceived", {"text": "{oops}", "recipient": None}, "WhatsApp from somebody: {oops}"),
    ],
)
def test_the_function_writes_what_became_of_it_into_the_ticket(
    kind: str, detail: dict[str, Any], note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[dict[str, Any]] = []

    def desk(event: dict[str, Any]) -> dict[str, Any]:
        posted.append(event)
        return {"statusCode": 201}

    told = {"id": "o-1", "ticket_id": "TCK-1042", "recipient": "6281234567890", **detail}
    with open_door(desk) as url:
        monkeypatch.setenv("DESK_URL", url)
        monkeypatch.setenv("DESK_TOKEN", "token")
        code = (EXAMPLES / "eventbridge-lambda" / "app.py").read_text()
        module: dict[str, Any] = {}
        exec(compile(code, "app.py", "exec"), module)  # noqa: S102 - the example itself
        name = function()["Handler"].removeprefix("app.")
        module[name]({"source": "tocsin", "detail-type": kind, "detail": told}, None)
    (one,) = posted
    assert one["rawPath"] == "/api/tickets/TCK-1042/notes"
    assert one["headers"]["idempotency-key"] == "o-1"
    assert json.loads(one["body"])["text"] == note


def test_an_id_leads_to_no_other_place_of_the_help_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[dict[str, Any]] = []

    def desk(event: dict[str, Any]) -> dict[str, Any]:
        posted.append(event)
        return {"statusCode": 201}

    with open_door(desk) as url:
        monkeypatch.setenv("DESK_URL", url)
        monkeypatch.setenv("DESK_TOKEN", "token")
        module: dict[str, Any] = {}
        exec(compile((EXAMPLES / "eventbridge-lambda" / "app.py").read_text(), "app.py", "exec"), module)  # noqa: S102
        module["note"]("../users/1?x=", "o-1", "hi")
    assert posted[0]["rawPath"] == "/api/tickets/..%2Fusers%2F1%3Fx%3D/notes"


def test_the_function_writes_nothing_about_what_is_of_no_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_URL", "http://127.0.0.1:9")
    module: dict[str, Any] = {}
    exec(compile((EXAMPLES / "eventbridge-lambda" / "app.py").read_text(), "app.py", "exec"), module)  # noqa: S102
    module["lambda_handler"](
        {"detail-type": "ReplyReceived", "detail": {"id": "o-1", "ticket_id": None}}, None
    )
