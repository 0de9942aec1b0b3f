"""Write access to the keys table alone redirects nothing, yields nothing, and uses no key twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proofs.hostile_table import EVENTS, HostileTable, live
from tests.proofs.scale import examples, scaled
from tocsin.keys import profile, reserve, sessions
from tocsin.multidevice.account import Account

LIES = ["Eve lies", "Eve lies", "Eve copies"]


@examples(60)
@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=25), st.integers(0, 2**32 - 1))
def test_whatever_is_written_nobody_reads_what_is_anothers(events: list[str], seed: int) -> None:
    live(HostileTable(seed), events)


def long_life(seed: int) -> HostileTable:
    chance, stack = random.Random(seed), HostileTable(seed)
    live(stack, [chance.choice([*EVENTS, *LIES]) for _ in range(60)])
    return stack


@pytest.mark.parametrize("seed", range(scaled(12)))
def test_through_a_long_life_of_lies(seed: int) -> None:
    long_life(seed)


def test_in_such_lives_messages_go_on() -> None:
    """A life in which nothing goes any more would prove nothing."""
    assert sum(long_life(seed).went for seed in range(6)) > 60


def test_without_lies_everything_arrives() -> None:
    stack = HostileTable(0)
    assert all(stack.send(name) for name in ("Siti", "Budi", "Eve", "Siti", "Budi"))
    stack.assert_kept()


def breaks_within(lives: int, *, guarded: bool = True) -> bool:
    """Whether one of so many lives ends in what may never happen."""
    for seed in range(lives):
        chance, stack = random.Random(seed), HostileTable(seed)
        if not guarded:
            stack.used_keys = None
        try:
            live(stack, [chance.choice([*EVENTS, *LIES]) for _ in range(60)])
        except AssertionError:
            return True
    return False


def test_twin_whose_connector_remembers_nothing_uses_a_key_twice() -> None:
    assert breaks_within(40, guarded=False)


def test_twin_that_believes_plain_tombstones_tells_one_person_what_is_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for reader in (reserve, sessions):
        monkeypatch.setattr(reader, "read_signpost", lambda context, item: (item or {}).get("moved"))
    assert breaks_within(40)


def test_twin_that_believes_plain_names_of_ours_tells_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "BOUND", "nothing of that name")
    monkeypatch.setattr(Account, "is_forged", lambda *_: False)
    assert breaks_within(40)
