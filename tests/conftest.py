"""Which tests run side by side (tests/scheduling.py), and which show a cell of the matrix."""

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.interop.matrix import Recorder
from tests.scheduling import Scheduling
from tests.support.quick_moto import quick_moto

# What people read is in the zone of the machine; tests are the same on all.
os.environ["TZ"] = "UTC"
time.tzset()

# What is collected stays to the end: sixteen thousand tests, and all that they import. To look for garbage
# in it, again and again, takes an eighth of the time of the collection.
gc.disable()

QUICK_EXAMPLES = 15

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", settings(), deadline=None)
settings.register_profile("quick", settings(), deadline=None, max_examples=QUICK_EXAMPLES)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _quick_moto() -> Iterator[None]:
    with quick_moto():
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interop matrix")
    group.addoption("--matrix", type=Path, help="write what the run shows into this file (make interop)")
    group.addoption("--cells", action="store_true", help="list the cells of the tests that were collected")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that names its number of examples names that of `make test`; `make check` has fewer of all."""
    if config.getoption("--hypothesis-profile") != "quick":
        return
    for item in items:
        test = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None and own.max_examples > QUICK_EXAMPLES:
            test._hypothesis_internal_use_settings = settings(
                own, max_examples=QUICK_EXAMPLES, suppress_health_check=list(HealthCheck)
            )


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    target, is_worker = config.getoption("--matrix"), hasattr(config, "workerinput")
    config.pluginmanager.register(
        Recorder(None if is_worker else target, target is not None, config.getoption("--cells"))
    )
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Scheduling())
