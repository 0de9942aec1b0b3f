"""The whole of Tocsin on one machine: emulator, deployed template, WhatsApp server, connector.

Everything ends with the block, on Ctrl-C, or when the program is killed. Logs stay in the run's folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from botocore.session import Session

from tocsin_console import settings as change_settings
from tocsin_console.deployment import Deployment
from tocsin_console.output import Output
from tocsin_local.emulator import REGION, ROOT_USER, interpreter
from tocsin_local.ports import Port, any_port
from tocsin_local.processes import Child, clean_environment, running
from tocsin_local.stack import Stack, deployed
from tocsin_whatsapp_server.control_client import ControlClient

Progress = Callable[[str], None]


@dataclass
class World:
    """Everything that runs. `deployment`: the stack, for the console; `phones`: the server's control."""

    stack: Stack
    deployment: Deployment
    whatsapp_url: str
    root_public_key: str
    phones: ControlClient
    media_certificate: str
    folder: Path
    # What runs beside the connectors.
    children: tuple[Child, ...]
    connectors: int = field(default=0)

    def check(self) -> None:
        """Raises `ProcessFailed` if the emulator or the WhatsApp server ended."""
        for child in self.children:
            child.check()

    @contextlib.contextmanager
    def connector(self, layer: Path | None = None) -> Iterator[Child]:
        """One more connector process while the block lasts. Only one at a time holds an account.

        `layer`: the built layer that it runs, as on AWS; without it the sources that we run ourselves.
        """
        self.connectors += 1
        name = f"connector-{self.connectors}"
        environment = self.stack.connector_environment(
            WHATSAPP_URL=self.whatsapp_url,
            WHATSAPP_ROOT_KEY=self.root_public_key,
            CONNECTOR_HOST="127.0.0.1",
            SSL_CERT_FILE=self.media_certificate,
        )
        command = [sys.executable, "-m", "tocsin.connector"]
        if layer is not None:
            command[0], environment["PYTHONPATH"] = str(interpreter()), str(layer / "python")
        with running(name, command, environment=environment, log=self.folder / f"{name}.log") as child:
            yield child


@contextlib.contextmanager
def world(
    name: str,
    *,
    iam: bool = False,
    parameters: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    ports: Port = any_port,
    progress: Progress = lambda text: None,
) -> Iterator[World]:
    """Emulator, template and WhatsApp server; connectors are started by the caller (`World.connector`).

    `settings`: as `tocsin settings set` takes them. Raises ProcessFailed, CommandFailed (their texts show the
    end of the log).
    """
    with deployed(name, iam=iam, parameters=parameters, ports=ports, progress=progress) as stack:
        if settings:
            changes = [change_settings.Change(*setting) for setting in settings.items()]
            change_settings.change(deployment_of(stack), changes, Output(stream=io.StringIO()))
        progress("starting the WhatsApp server")
        folder = stack.aws.folder
        with whatsapp_server(folder, ports) as (server, process):
            yield World(
                stack=stack,
                deployment=deployment_of(stack),
                whatsapp_url=server["url"],
                root_public_key=server["root_public_key"],
                phones=ControlClient(server["control"]),
                media_certificate=server["media_certificate"],
                folder=folder,
                children=(stack.aws.process, process),
            )


@contextlib.contextmanager
def whatsapp_server(folder: Path, ports: Port = any_port) -> Iterator[tuple[Mapping[str, str], Child]]:
    """A local WhatsApp server while the block lasts: what it says when ready, and its process.

    Raises ProcessFailed.
    """
    log = folder / "whatsapp.log"
    command = [
        sys.executable,
        "-m",
        "tocsin_whatsapp_server",
        "--root-key-file",
        str(folder / "whatsapp-root.key"),
        f"--port={ports('WhatsApp')}",
        f"--control-port={ports('phones')}",
    ]
    with running("WhatsApp server", command, environment=clean_environment(), log=log) as child:
        child.wait_until(lambda: _ready_line(log) is not None)
        ready = _ready_line(log)
        assert ready is not None  # noqa: S101  it was just there
        yield ready, child


def deployment_of(stack: Stack) -> Deployment:
    """The deployed stack as the console sees it, with the emulator's credentials."""
    return Deployment(stack.name, stack.outputs, emulator_session(), stack.aws.url)


def emulator_session() -> Session:
    """With the emulator's credentials and region, whatever our own environment says."""
    session = Session()
    session.set_credentials(ROOT_USER["AWS_ACCESS_KEY_ID"], ROOT_USER["AWS_SECRET_ACCESS_KEY"])
    session.set_config_variable("region", REGION)
    return session


def _ready_line(log: Path) -> Mapping[str, str] | None:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith('{"url"'):
            found: Mapping[str, str] = json.loads(line)
            return found
    return None
