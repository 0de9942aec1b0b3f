"""An emulator for each module, a connector's surroundings for each test, and the deployed template, once for
all tests that only need it to be there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from tests.support.connector_processes import OWN, SITI, RunningConnectors, world
from tocsin_local.emulator import Emulator, emulator, interpreter, run_folder
from tocsin_local.paths import SAM
from tocsin_local.stack import Stack, deployed
from tocsin_whatsapp_server.control_client import LocalWhatsApp

T = TypeVar("T")


@pytest.fixture(scope="module")
def aws(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    name = request.path.stem.removeprefix("test_").replace("_", "-")
    with run_folder(name) as folder, emulator(folder) as running:
        yield running


@pytest.fixture
def connectors(aws: Emulator) -> Iterator[RunningConnectors]:
    """Two phones, ours and a customer's, and no connector yet."""
    with LocalWhatsApp.start(log_file=aws.folder / "whatsapp.log", log_level="info") as whatsapp:
        whatsapp.control.add_phone(OWN, "Support")
        whatsapp.control.add_phone(SITI, "Siti")
        with world(aws, whatsapp, aws.folder) as built:
            yield built


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`template.yaml`, built by the SAM CLI and deployed to an emulator. Shared: put in, don't take away."""
    if not (interpreter().exists() and (SAM / "bin" / "sam").exists()):
        pytest.skip("the emulator or the SAM CLI isn't installed: make setup")
    with deployed("integration") as running:
        yield running


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Waits for another process: `eventually(look, "what it waits for")` returns the first true look."""

    def wait(look: Callable[[], T], what: str, seconds: float = 60) -> T:
        end = time.monotonic() + seconds
        while True:
            if seen := look():
                return seen
            if time.monotonic() > end:
                pytest.fail(f"after {seconds:g} s still not: {what}")
            time.sleep(0.05)

    return wait
