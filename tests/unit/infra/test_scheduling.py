"""Which tests of `make test` run in one worker, and what each worker takes next."""

from __future__ import annotations

from tests.scheduling import next_unit, unit_of

LEFT = ("tests/e2e/", "tests/faults/", "tests/proofs/test_network.py", "tests/unit/test_a.py")


def test_tests_that_share_a_stack_share_a_worker() -> None:
    assert unit_of("tests/faults/test_damage.py::test_a") == unit_of(
        "tests/faults/test_dead_letters.py::test_b"
    )


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
