"""One running whole for all faults, with short patience, and connectors to be killed one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.faults.fleet import PARAMETERS, SETTINGS, UNLINKED, Connector, Fleet, Function
from tests.faults.processes import PROC
from tests.support.stack import Bus, DeployedStack, Notice, eventually
from tocsin_local.emulator import interpreter
from tocsin_local.world import World, world


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    if not PROC.is_dir():
        pytest.skip("processes are found by /proc, which this system doesn't have")
    with world("faults", parameters=PARAMETERS, settings=SETTINGS) as built:
        yield built


@pytest.fixture(scope="session")
def fleet(running_world: World) -> Iterator[Fleet]:
    with contextlib.ExitStack() as running:
        fleet = Fleet(running_world, running)
        fleet.start()
        DeployedStack(running_world).link()
        yield fleet


@pytest.fixture(scope="session")
def never_sent(fleet: Fleet) -> Notice:
    """A notification for the account that is never linked, put before everything else: its time runs."""
    deployed = DeployedStack(fleet.world)
    return deployed.tell(deployed.person("Nadia"), account=UNLINKED)


@pytest.fixture(scope="session")
def bus(running_world: World) -> Bus:
    return Bus.of(running_world.stack)


@pytest.fixture
def deployed(running_world: World, never_sent: Notice) -> Iterator[DeployedStack]:
    """Nothing is broken when a test begins and when it ends."""
    running_world.phones.clear_faults()
    yield DeployedStack(running_world)
    running_world.phones.clear_faults()


@pytest.fixture
def connector(deployed: DeployedStack, fleet: Fleet) -> Connector:
    """The only one that runs, connected: the last test's if nothing happened to it, or a fresh one."""
    before = fleet.running()
    if len(before) == 1 and _at_peace(deployed, before[0]):
        return before[0]
    fresh = fleet.start()
    for old in before:
        old.process.terminate()
    eventually(lambda: fresh.said("connected"), lambda: fresh.log.read_text())
    eventually(lambda: fleet.running() == [fresh], "another connector doesn't end")
    return fresh


def _at_peace(deployed: DeployedStack, connector: Connector) -> bool:
    """Whether it has held the account without a break, so that nothing is left of what a test did to it."""
    said = connector.log.read_text(encoding="utf-8")
    return said.count('"connected"') == 1 and deployed.lease().state == "connected"


@pytest.fixture
def sender(running_world: World) -> Function:
    return Function(running_world, "SendFunctionName")


@pytest.fixture
def planner(running_world: World) -> Function:
    return Function(running_world, "PlanFunctionName")


@pytest.fixture
def recorder(running_world: World) -> Iterator[Function]:
    function = Function(running_world, "RecordReceiptsFunctionName")
    yield function
    function.resume_intake()


@pytest.fixture
def receiver(running_world: World) -> Iterator[Function]:
    function = Function(running_world, "ReceiveFunctionName")
    yield function
    function.resume_intake()
