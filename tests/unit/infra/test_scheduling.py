"""Which tests of `make test` run in one worker, and what each worker takes next."""

from __future__ import annotations

import re

from tests.scheduling import OF_EVERY_DEPLOYMENT, leads_to_waiting, next_unit, unit_of
from tocsin_local.paths import ROOT

LEFT = ("tests/e2e/", "tests/faults/", "tests/proofs/test_network.py", "tests/unit/test_a.py")


def test_tests_that_share_a_stack_share_a_worker() -> None:
    assert unit_of("tests/faults/test_damage.py::test_a") == unit_of(
        "tests/faults/test_dead_letters.py::test_b"
    )


def test_those_that_ask_for_every_deployment_share_a_worker_and_there_are_no_others() -> None:
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests" / "unit").rglob("test_*.py")
        if re.search(
            r"^from .* import .*\bevery_deployment\b", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert asking == OF_EVERY_DEPLOYMENT
    assert len({unit_of(f"{file}::test_a") for file in asking}) == 1


def test_a_file_with_a_stack_of_its_own_is_a_unit_of_its_own() -> None:
    assert unit_of("tests/e2e/test_message_kinds.py::test_a") != unit_of("tests/e2e/test_groups.py::test_b")


def test_other_files_are_units() -> None:
    assert unit_of("tests/unit/test_a.py::test_one[x::y]") == "tests/unit/test_a.py"


def test_a_waiting_worker_takes_the_longest_that_waits() -> None:
    assert next_unit(LEFT, computing=False) == "tests/faults/"


def test_a_computing_worker_takes_the_longest_that_computes() -> None:
    assert next_unit(LEFT, computing=True) == "tests/proofs/test_network.py"


def test_a_worker_with_nothing_left_of_its_kind_takes_the_other() -> None:
    assert next_unit(LEFT[:2], computing=True) == "tests/faults/"
    assert next_unit(LEFT[2:], computing=False) == "tests/proofs/test_network.py"


def test_where_all_are_collected_what_leads_to_what_waits_is() -> None:
    for path in (".", "tests", "tests/upgrade", "tests/e2e", "tests/e2e/test_groups.py"):
        assert leads_to_waiting(path)
    for path in ("tests/unit", "tests/unit/test_arrows.py", "tests/upgrade/test_other.py", "tests/proofs"):
        assert not leads_to_waiting(path)
