"""Which tests `make test` runs side by side.

Half of the time of all tests a process waits: for a lease to end, a queue to hand out again, a container of
the emulator to start. So every other worker takes what waits, the longest first, and the rest compute. Those
that compute are nicer: who means the seconds that it names gets a processor when it wants one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

# Their tests start processes and wait for them.
WAITING = (
    "tests/e2e/",
    "tests/faults/",
    "tests/integration/",
    "tests/interop/",
    "tests/deployment/",
    "tests/upgrade/test_rolling.py",
)
# One stack for all tests of the folder, so one worker for them, but for these.
SHARED = ("tests/e2e/", "tests/faults/")
OWN_STACK = ("tests/e2e/test_message_kinds.py",)
# Of each kind; what isn't named here takes a minute at most.
LONGEST = (
    "tests/faults/",
    "tests/integration/test_connector_life.py",
    "tests/interop/test_matrix.py",
    "tests/e2e/",
    "tests/interop/test_bad_days.py",
    "tests/upgrade/test_rolling.py",
    "tests/integration/test_connector_accounts.py",
    "tests/integration/test_connector_failover.py",
    "tests/runtime/",
    "tests/proofs/",
)
NICER = 10
"""Added to the niceness of a worker that computes; a process can't take it back."""


def unit_of(nodeid: str) -> str:
    """Tests with the same unit run in one worker, in their order."""
    file = nodeid.split("::", 1)[0]
    folder = next((folder for folder in SHARED if file.startswith(folder)), None)
    return file if folder is None or file in OWN_STACK else folder


def waits(unit: str) -> bool:
    return unit.startswith(WAITING)


def next_unit(units: Iterable[str], *, computing: bool) -> str:
    """What a worker takes of the units that are left: of its own kind while there are any."""
    return min(units, key=lambda unit: (waits(unit) == computing, _place(unit)))


def _place(unit: str) -> int:
    return next((place for place, name in enumerate(LONGEST) if unit.startswith(name)), len(LONGEST))


class Scheduling:
    """Registered only where pytest-xdist is there to ask."""

    def __init__(self) -> None:
        self._is_nice = False

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        class ByKind(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                return unit_of(nodeid)

            def _assign_work_unit(self, node: Any) -> None:
                unit = next_unit(self.workqueue, computing=_number(node.gateway.id) % 2 == 1)
                self.workqueue.move_to_end(unit, last=False)
                super()._assign_work_unit(node)

        return ByKind(config, log)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if not self._is_nice and hasattr(item.config, "workerinput") and not waits(item.nodeid):
            self._is_nice = True
            os.nice(NICER)


def _number(worker: str) -> int:
    """Of a worker that is called as xdist calls them: gw0, gw1, …"""
    return int(worker.removeprefix("gw"))
