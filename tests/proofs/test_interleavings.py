"""Every order of the requests of three Lambdas with two operations each, disturbed once; crashes included.

`make test` takes some of the sets of operations, `make proofs` all 35, and some of them disturbed twice.
"""

from itertools import combinations_with_replacement

import pytest

from tests.proofs.interleavings import OPERATIONS, explore
from tests.proofs.scale import FACTOR
from tests.unit.keys import test_keys_mutants as mutants
from tests.unit.keys.simulation import Violation
from tocsin.signal.errors import SignalError

AT_LENGTH = FACTOR > 1
Programs = tuple[tuple[str, str], ...]


def programs_of(first: str, second: str, third: str) -> Programs:
    """Three actors; each two of the operations follow each other once."""
    return (first, second), (second, third), (third, first)


ALL = [programs_of(*three) for three in combinations_with_replacement(OPERATIONS, 3)]


@pytest.mark.parametrize("programs", ALL if AT_LENGTH else ALL[1::7], ids=str)
def test_in_every_order_disturbed_once_all_is_well(programs: Programs) -> None:
    schedules = sum(1 for _ in explore(programs, disturbances=1))
    assert schedules > 50


@pytest.mark.skipif(not AT_LENGTH, reason="some minutes: make proofs")
@pytest.mark.parametrize("programs", [ALL[1], ALL[5], ALL[15]], ids=str)
def test_in_every_order_disturbed_twice_all_is_well(programs: Programs) -> None:
    schedules = sum(1 for _ in explore(programs, disturbances=2))
    assert schedules > 1000


@pytest.mark.parametrize(
    ("mutant", "programs"),
    [
        (mutants.no_fence, programs_of("send", "send", "archive")),
        (mutants.no_tags, programs_of("send", "receive", "archive")),
        (mutants.no_tags_on_the_receiving_half, programs_of("send", "receive", "archive")),
        (mutants.a_number_from_a_read, programs_of("send", "send", "send")),
        (mutants.used_indexes_forgotten, programs_of("send", "send", "archive")),
        (mutants.a_blind_checkpoint, programs_of("send", "send", "archive")),
        (mutants.the_text_not_stored, programs_of("send", "send", "receive")),
        (mutants.no_tombstone, programs_of("send", "send", "move")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_without_this_rule_some_order_goes_wrong(
    mutant: mutants.Patch, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other rules are missed in the random lives (tests/unit/keys/test_keys_mutants.py)."""
    mutant(monkeypatch.setattr)

    def explore_all() -> None:
        for _ in explore(programs, disturbances=1):
            pass

    with pytest.raises((Violation, SignalError)):
        explore_all()
