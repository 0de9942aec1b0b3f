"""One running whole for all end-to-end tests: emulator, deployed template, WhatsApp server, a connector."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import BUCKET, Bus, DeployedStack
from tocsin_local.emulator import interpreter
from tocsin_local.world import World, world


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    parameters, settings = (
        {"AttachmentsBucket": BUCKET, "OutcomeHooks": "on"},
        {"read-receipts": "true", "outcome-events": "sent,delivered,read"},
    )
    with world("e2e", parameters=parameters, settings=settings) as built, built.connector():
        built.stack.client("s3").create_bucket(Bucket=BUCKET)
        DeployedStack(built).link()
        yield built


@pytest.fixture(scope="session")
def bus(running_world: World) -> Bus:
    return Bus.of(running_world.stack)


@pytest.fixture
def deployed(running_world: World) -> DeployedStack:
    running_world.phones.clear_faults()
    return DeployedStack(running_world)
