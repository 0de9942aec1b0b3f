"""Which tests may run side by side (`make test` runs two at a time), and which show a cell of the matrix."""

from pathlib import Path
from typing import Any

import pytest

from tests.interop.matrix import Recorder

# Their tests start processes, wait for them, and mean the seconds they name: one by one, in one worker.
ONE_BY_ONE = ("tests/e2e/", "tests/faults/", "tests/integration/", "tests/interop/")
# But for these, which wait minutes for what takes its time, and need next to nothing of the machine.
PATIENT = ("tests/integration/test_connector_life.py",)


class Scheduling:
    """Registered only where pytest-xdist is there to ask."""

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        class ByFile(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                one_by_one = nodeid.startswith(ONE_BY_ONE) and not nodeid.startswith(PATIENT)
                return "processes" if one_by_one else nodeid.split("::", 1)[0]

        return ByFile(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interop matrix")
    group.addoption("--matrix", type=Path, help="write what the run shows into this file (make interop)")
    group.addoption("--cells", action="store_true", help="list the cells of the tests that were collected")


def pytest_configure(config: pytest.Config) -> None:
    target, is_worker = config.getoption("--matrix"), hasattr(config, "workerinput")
    config.pluginmanager.register(
        Recorder(None if is_worker else target, target is not None, config.getoption("--cells"))
    )
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Scheduling())
