"""A little of `make fuzz` in every run: the same targets and seed, some hundreds of executions each."""

from __future__ import annotations

import pytest

from tests.fuzz.engine import Fuzzed, Target, fuzz
from tests.fuzz.targets import targets

TARGETS = targets()


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_nothing_but_named_refusals_comes_of_any_bytes(target: Target) -> None:
    report = fuzz(target, seed=1, executions=600, seconds=20)
    assert report.executions >= len(target.seeds)
    assert len(report.outcomes) > 1


def test_a_finding_names_its_bytes() -> None:
    def breaks(data: bytes) -> str:
        raise IndexError("a fault of ours")

    with pytest.raises(Fuzzed, match="broken: IndexError: a fault of ours; input 6162"):
        fuzz(Target("broken", breaks, (b"ab",)), seed=1, executions=1)


def test_a_run_can_be_repeated() -> None:
    def fed(seed: int) -> list[bytes]:
        inputs: list[bytes] = []
        target = Target("noted", lambda data: inputs.append(data) or str(len(data)), (b"some bytes",))  # type: ignore[func-returns-value]
        fuzz(target, seed=seed, executions=50)
        return inputs

    assert fed(1) == fed(1) != fed(2)
