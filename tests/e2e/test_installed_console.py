"""The console as the README has it installed: from the wheel, with what it declares, used from anywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import DeployedStack
from tests.support.wheel import build
from tocsin_console import accounts, unpair
from tocsin_console.output import Output
from tocsin_local.bootstrap import quiet_environment
from tocsin_local.emulator import REGION, ROOT_USER
from tocsin_local.paths import REQUIREMENTS, ROOT
from tocsin_local.processes import clean_environment
from tocsin_local.world import World

pytestmark = pytest.mark.e2e

FRONT_DESK = "6281100000003"


@dataclass(frozen=True)
class Console:
    """`program`: the installed command; `folder`: where it is used; `environment`: all it sees of ours."""

    program: Path
    folder: Path
    environment: dict[str, str]

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [str(self.program), *words]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )

    def run(self, *words: str) -> str:
        """What it says. It must end well."""
        command = [str(self.program), *words]
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended
        return ended.stdout


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel and what it declares, in the versions that are pinned."""
    folder = tmp_path_factory.mktemp("installed")
    pins = folder / "versions.txt"
    # Without the hashes: pip can't check that of a wheel that was just built.
    pinned = re.findall(r"^[\w.-]+==[^ ]+", (REQUIREMENTS / "run.txt").read_text(encoding="utf-8"), re.M)
    pins.write_text("\n".join(pinned))
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    options = ("--quiet", "--no-compile", "--constraint", str(pins))
    wheel = build(ROOT, folder / "wheels")
    subprocess.run([*pip, "install", *options, str(wheel)], check=True, env=quiet_environment())
    return environment


@pytest.fixture
def console(installation: Path, running_world: World, tmp_path: Path) -> Console:
    aws = {"AWS_ENDPOINT_URL": running_world.stack.aws.url, "AWS_DEFAULT_REGION": REGION, **ROOT_USER}
    home = {"HOME": str(tmp_path), "TOCSIN_STACK": running_world.stack.name}
    return Console(installation / "bin" / "tocsin", tmp_path, clean_environment(**aws, **home))


@pytest.fixture
def front_desk(console: Console, deployed: DeployedStack) -> Iterator[str]:
    """An account without a phone; gone afterwards, for others share the stack."""
    name, output = "front-desk", Output(as_json=True)
    console.run("accounts", "add", name)
    deployed.phones.add_phone(FRONT_DESK, "Front desk")
    yield name
    unpair.unpair(deployed.world.deployment, name, wait_seconds=60, output=output, yes=True)
    accounts.remove(deployed.world.deployment, name, output, yes=True)


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_status_tells_how_the_account_is(console: Console, deployed: DeployedStack) -> None:
    (told,) = records(console.run("status", "--json"))
    assert ("default", "connected") in [(one["account"], one["state"]) for one in told["accounts"]]


def test_send_brings_a_test_notification_to_a_phone(console: Console, deployed: DeployedStack) -> None:
    siti = deployed.person()
    told = records(console.run("send", "--to", f"+{siti.number}", "--subject", "Installed", "--json"))
    assert told[-1]["state"] in ("sent", "delivered", "read")
    (shown,) = deployed.phones.messages(siti.number)
    assert "Installed" in shown["text"]


def test_pair_links_an_account(console: Console, deployed: DeployedStack, front_desk: str) -> None:
    with console.start("pair", "--account", front_desk, "--json") as pairing:
        assert pairing.stdout is not None
        offer = json.loads(pairing.stdout.readline())
        deployed.phones.link(FRONT_DESK, offer["qr"])
        told = records(pairing.stdout.read())
    assert pairing.returncode == 0
    assert told[-1] == {
        "account": front_desk,
        "state": "connected",
        "number": FRONT_DESK,
        "number_before": None,
    }


def test_the_version_is_the_one_that_is_deployed(console: Console, deployed: DeployedStack) -> None:
    assert console.run("--version").split() == ["tocsin", deployed.stack.outputs["Version"]]
