"""Connectors to be killed one by one, and functions to be broken, on the running stack."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.processes import Process, with_output, workers
from tests.support.stack import eventually
from tocsin_local.world import World

PARAMETERS = {
    # The second account is never linked: whatever is for it waits.
    "Accounts": "default,unlinked",
}

SETTINGS = {"retry-delay-seconds": "1", "notification-expiry-seconds": "60"}


UNLINKED = "unlinked"


@dataclass(frozen=True)
class Connector:
    """One connector process."""

    process: Process
    log: Path

    def said(self, message: str) -> bool:
        return f'"{message}"' in self.log.read_text(encoding="utf-8")


@dataclass
class Fleet:
    """The connectors of a world, oldest first. All end with the test session."""

    world: World
    _running: contextlib.ExitStack
    started: list[Connector] = field(default_factory=list)

    def start(self, layer: Path | None = None) -> Connector:
        """One more; returns when it holds the account or stands by for it. `layer`: see `World.connector`."""
        child = self._running.enter_context(self.world.connector(layer))
        process = eventually(lambda: with_output(child.log, "tocsin.connector"), "no connector process")
        connector = Connector(process, child.log)
        self.started.append(connector)
        child.wait_until(lambda: connector.said("lease taken") or connector.said("standing by"))
        return connector

    def running(self) -> list[Connector]:
        return [connector for connector in self.started if connector.process.alive()]


@dataclass(frozen=True)
class Function:
    """A deployed function whose processes can be killed. `output`: that of the stack which names it."""

    world: World
    output: str

    @property
    def processes(self) -> list[Process]:
        return workers(self.world.folder / "tmp", self.world.stack.outputs[self.output])

    def kill(self) -> None:
        """SIGKILL to all of them, at work or idle."""
        for process in self.processes:
            process.kill()

    def pause_intake(self) -> None:
        """Its queue keeps what comes."""
        self._switch(on=False)

    def resume_intake(self) -> None:
        self._switch(on=True)

    def _switch(self, *, on: bool) -> None:
        functions = self.world.stack.client("lambda")
        name = self.world.stack.outputs[self.output]
        for mapping in functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)
