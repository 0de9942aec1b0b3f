"""Tools that nobody here wrote call the door as they call the program that they were written for."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.doors import OpenDoor, door_on_loopback
from tocsin.accounts.state import AccountState
from tocsin_local.paths import DEPLOYED

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
NODE = HERE / "node"
PDF = b"%PDF-1.4 an invoice"
SECONDS = 60


@pytest.fixture
def door() -> Iterator[tuple[OpenDoor, str]]:
    with door_on_loopback("evolution", "gowa") as (made, url):
        yield made, url


def sent(door: OpenDoor) -> dict[str, Any]:
    (detail,) = door.events.details
    return detail


# -- Apprise -----------------------------------------------------------------------------------------------


def apprise(url: str, key: str, *targets: str, text: str = "Halo") -> int:
    """The exit code of its command."""
    if importlib.util.find_spec("apprise") is None:
        pytest.skip("Apprise is not installed: make setup")
    host = url.removeprefix("http://")
    to = f"evolution://{key}@{host}/default/{'/'.join(targets or ('+6281234567890',))}"
    command = [str(Path(sys.executable).with_name("apprise")), "-b", text, to]
    return subprocess.run(command, timeout=SECONDS, capture_output=True, check=False).returncode


@pytest.mark.cell("Apprise", "it sends a text")
def test_apprise_sends_a_text_to_each_of_its_targets(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    text = "*Awas* – 3 Ω, satu, dua"
    assert apprise(url, made.tokens["evolution"], "+6281234567890", "5511999999999", text=text) == 0
    told = made.events.details
    assert {one["recipients"][0]["phone"] for one in told} == {"+6281234567890", "+5511999999999"}
    assert {one["text"] for one in told} == {text}


@pytest.mark.cell("Apprise", "it has a wrong key")
def test_apprise_fails_with_a_wrong_key(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert apprise(url, "evolution.wrong") == 1
    assert made.events.entries == []


# -- gowa --------------------------------------------------------------------------------------------------


def gowa(url: str, user: str, password: str, what: str) -> dict[str, Any]:
    python = Path(sys.executable) if sys.version_info >= (3, 12) else DEPLOYED / "bin" / "python"
    seen = (
        subprocess.run([str(python), "-c", "import gowa_sdk"], capture_output=True, check=False)
        if python.exists()
        else None
    )
    if seen is None or seen.returncode:
        pytest.skip("gowa needs Python 3.12 or newer: make setup installs it where there is the deployed one")
    command = [str(python), str(HERE / "gowa_caller.py"), url, user, password, what]
    done = subprocess.run(command, timeout=SECONDS, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.cell("gowa", "it sends a text")
def test_gowa_sends_a_text(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    told = gowa(url, "gowa", made.tokens["gowa"], "text")
    assert (told["code"], told["results"]["message_id"]) == ("SUCCESS", sent(made)["key"])
    assert sent(made)["text"] == "Halo dari gowa"


@pytest.mark.cell("gowa", "it sends a file")
def test_gowa_sends_a_file_as_a_part_of_a_form(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert gowa(url, "gowa", made.tokens["gowa"], "file")["code"] == "SUCCESS"
    (file,) = sent(made)["files"]
    assert (file["name"], base64.b64decode(file["content"])) == ("invoice.pdf", PDF)
    assert sent(made)["text"] == "Tagihan"


@pytest.mark.cell("gowa", "it has a wrong key")
def test_gowa_fails_with_a_wrong_key(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    assert "failed" in gowa(url, "gowa", "wrong", "text")
    assert made.events.entries == []


@pytest.mark.cell("gowa", "it asks for the state")
def test_gowa_is_told_whether_the_account_is_connected(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    made.facts.known["default"] = AccountState.LOGGED_OUT
    told = gowa(url, "gowa", made.tokens["gowa"], "state")
    assert (told["results"]["is_connected"], told["results"]["is_logged_in"]) == (False, False)


# -- n8n ---------------------------------------------------------------------------------------------------


def n8n(url: str, key: str, operation: str, **parameters: Any) -> Any:
    """What the node returns."""
    if shutil.which("node") is None or not (NODE / "node_modules" / "n8n-nodes-evolution-api").is_dir():
        pytest.skip("the node of n8n is not installed: make setup")
    told = {"operation": operation, "url": url, "key": key, "parameters": parameters}
    command = ["node", "n8n-evolution.mjs", json.dumps(told)]
    done = subprocess.run(command, cwd=NODE, timeout=SECONDS, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


TO = {"instanceName": "default", "remoteJid": "6281234567890@s.whatsapp.net"}


@pytest.mark.cell("n8n", "it sends a text")
def test_n8n_sends_a_text(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    told = n8n(url, made.tokens["evolution"], "messages/sendText", **TO, messageText="Halo dari n8n")
    assert sent(made)["text"] == "Halo dari n8n"
    assert sent(made)["recipients"] == [{"phone": "+6281234567890"}]
    assert sent(made)["key"] in json.dumps(told)
    assert "failed" not in json.dumps(told)


@pytest.mark.cell("n8n", "it sends a file")
def test_n8n_sends_a_file_in_base64(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    parameters = {**TO, "media": base64.b64encode(PDF).decode(), "fileName": "invoice.pdf", "caption": ""}
    n8n(url, made.tokens["evolution"], "messages/sendDocument", **parameters)
    (file,) = sent(made)["files"]
    assert (file["name"], file["mime"]) == ("invoice.pdf", "application/pdf")
    assert base64.b64decode(file["content"]) == PDF


@pytest.mark.cell("n8n", "it has a wrong key")
def test_n8n_fails_with_a_wrong_key(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    told = json.dumps(n8n(url, "evolution.wrong", "messages/sendText", **TO, messageText="Halo"))
    assert "failed" in told
    assert made.events.entries == []


@pytest.mark.cell("n8n", "it asks for the state")
def test_n8n_is_told_which_instances_there_are(door: tuple[OpenDoor, str]) -> None:
    made, url = door
    made.facts.known["billing"] = AccountState.PAIRING
    told = json.dumps(n8n(url, made.tokens["evolution"], "instance/fetchInstances", instanceName=""))
    assert '"connectionStatus": "open"' in told
    assert '"connectionStatus": "connecting"' in told
