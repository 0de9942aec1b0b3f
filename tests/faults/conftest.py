"""One running whole for all faults, with short patience, and connectors to be killed one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.processes import PROC, Process, with_output, workers
from tests.support.stack import Bus, Notice, Stage, eventually
from tocsin_local.emulator import interpreter
from tocsin_local.world import World, world

PARAMETERS = {
    # What a crash left behind comes back after these, so the tests wait for them.
    "PlanTimeoutSeconds": "5",
    "TicketEventsVisibilitySeconds": "5",
    "SendTimeoutSeconds": "10",
    "NotificationsVisibilitySeconds": "10",
    "ReceiveTimeoutSeconds": "10",
    "StanzasVisibilitySeconds": "10",
    "CustomerRetryDelaySeconds": "1",
    "TechnicianRetryDelaySeconds": "1",
    "NotificationExpirySeconds": "60",
    # The second account is never linked: whatever is for it waits.
    "Accounts": "default,unlinked",
}
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

    def start(self) -> Connector:
        """One more; returns when it holds the account or stands by for it."""
        child = self._running.enter_context(self.world.connector())
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


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    if not PROC.is_dir():
        pytest.skip("processes are found by /proc, which this system doesn't have")
    with world("faults", parameters=PARAMETERS) as built:
        yield built


@pytest.fixture(scope="session")
def fleet(running_world: World) -> Iterator[Fleet]:
    with contextlib.ExitStack() as running:
        fleet = Fleet(running_world, running)
        fleet.start()
        Stage(running_world).link()
        yield fleet


@pytest.fixture(scope="session")
def never_sent(fleet: Fleet) -> Notice:
    """A notification for the account that is never linked, put before everything else: its time runs."""
    stage = Stage(fleet.world)
    return stage.tell(stage.person("Nadia"), account=UNLINKED)


@pytest.fixture(scope="session")
def bus(running_world: World) -> Bus:
    return Bus.of(running_world.stack)


@pytest.fixture
def stage(running_world: World, never_sent: Notice) -> Iterator[Stage]:
    """Nothing is broken when a test begins and when it ends."""
    running_world.phones.clear_faults()
    yield Stage(running_world)
    running_world.phones.clear_faults()


@pytest.fixture
def connector(stage: Stage, fleet: Fleet) -> Connector:
    """The only one that runs, connected: the last test's if nothing happened to it, or a fresh one."""
    before = fleet.running()
    if len(before) == 1 and _at_peace(stage, before[0]):
        return before[0]
    fresh = fleet.start()
    for old in before:
        old.process.terminate()
    eventually(lambda: fresh.said("connected"), lambda: fresh.log.read_text())
    eventually(lambda: fleet.running() == [fresh], "another connector doesn't end")
    return fresh


def _at_peace(stage: Stage, connector: Connector) -> bool:
    """Whether it has held the account without a break, so that nothing is left of what a test did to it."""
    said = connector.log.read_text(encoding="utf-8")
    return said.count('"connected"') == 1 and stage.lease().state == "connected"


@pytest.fixture
def sender(running_world: World) -> Function:
    return Function(running_world, "SendFunctionName")


@pytest.fixture
def planner(running_world: World) -> Function:
    return Function(running_world, "PlanFunctionName")


@pytest.fixture
def receiver(running_world: World) -> Iterator[Function]:
    function = Function(running_world, "ReceiveFunctionName")
    yield function
    function.resume_intake()
