"""Which tests `make test` runs side by side.

Half of the time of all tests a process waits: for a lease to end, a queue to hand out again, a container of
the emulator to start. So every other worker takes what waits, the longest first, and the rest compute. Those
that compute are nicer: who means the seconds that it names gets a processor when it wants one.

To collect all tests takes each worker as long as thousands of them. So where all are run, those that take
what waits collect only that, and end when nothing of it is left; those that compute can help with everything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
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
# What they have in common takes a process ten seconds to make: every deployment that the template allows.
OF_EVERY_DEPLOYMENT = frozenset(
    f"tests/unit/infra/test_{name}.py" for name in ("iam", "intrinsics", "quotas")
)
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
    if file in OF_EVERY_DEPLOYMENT:
        return "tests/unit/infra/ (every deployment)"
    folder = next((folder for folder in SHARED if file.startswith(folder)), None)
    return file if folder is None or file in OWN_STACK else folder


def waits(unit: str) -> bool:
    return unit.startswith(WAITING)


def leads_to_waiting(path: str) -> bool:
    """Whether a file or folder, as seen from the root, is one of those that wait, or above one."""
    above = "" if path == "." else path + "/"
    return waits(path) or any(unit.startswith(above) for unit in WAITING)


def next_unit(units: Iterable[str], *, computing: bool) -> str:
    """What a worker takes of the units that are left: of its own kind while there are any."""
    return min(units, key=lambda unit: (waits(unit) == computing, _place(unit)))


def _place(unit: str) -> int:
    return next((place for place, name in enumerate(LONGEST) if unit.startswith(name)), len(LONGEST))


class Scheduling:
    """Registered only where pytest-xdist is there to ask."""

    def __init__(self) -> None:
        self._is_nice = False

    def pytest_configure_node(self, node: Any) -> None:
        workers = node.config.option.numprocesses or 0
        whole = node.config.args_source is pytest.Config.ArgsSource.TESTPATHS and workers > 1
        # One that comes in place of one that died takes whatever is left.
        node.workerinput["only_waits"] = whole and _number(node) < workers and not _computes(node)

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        if not getattr(config, "workerinput", {}).get("only_waits"):
            return None
        path = collection_path.relative_to(config.rootpath).as_posix()
        return None if leads_to_waiting(path) else True

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        class ByKind(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                return unit_of(nodeid)

            def _check_nodes_have_same_collection(self) -> bool:
                whole, parts = _by(_collects_all, self.registered_collections)
                # The base class takes the first one for the collection of all.
                self.registered_collections = whole
                try:
                    return bool(super()._check_nodes_have_same_collection())
                finally:
                    self.registered_collections = whole | parts

            def _assign_work_unit(self, node: Any) -> None:
                units = self._for(node)
                if not units:
                    return
                self.workqueue.move_to_end(next_unit(units, computing=_computes(node)), last=False)
                super()._assign_work_unit(node)

            def _reschedule(self, node: Any) -> None:
                if node.shutting_down or self._for(node):
                    super()._reschedule(node)
                else:
                    node.shutdown()

            def _for(self, node: Any) -> list[str]:
                return [unit for unit in self.workqueue if _collects_all(node) or waits(unit)]

        return ByKind(config, log)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if not self._is_nice and hasattr(item.config, "workerinput") and not waits(item.nodeid):
            self._is_nice = True
            os.nice(NICER)


def _collects_all(node: Any) -> bool:
    return not node.workerinput["only_waits"]


def _computes(node: Any) -> bool:
    return _number(node) % 2 == 1


def _number(node: Any) -> int:
    """Of a worker, which xdist calls gw0, gw1, …"""
    return int(node.gateway.id.removeprefix("gw"))


def _by(has: Any, some: dict[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Those that have it, and the others."""
    return {k: v for k, v in some.items() if has(k)}, {k: v for k, v in some.items() if not has(k)}
