"""Who serves how many accounts: fair, settled in the fewest moves, nothing taken back."""

from __future__ import annotations

import random

import pytest

from tocsin.connector.share import Loads


@pytest.mark.parametrize(
    ("accounts", "mine", "others", "takes"),
    [
        (1, 0, [], True),
        (5, 4, [], True),
        (5, 2, [0], False),  # the other is entitled to them
        (5, 1, [2], True),
        (5, 2, [2], True),  # one is left over
        (2, 0, [1], True),
        (1, 0, [0], True),
        (3, 1, [1, 0], False),
    ],
)
def test_what_is_free_is_taken_by_whoever_has_too_little(
    accounts: int, mine: int, others: list[int], takes: bool
) -> None:
    assert Loads(accounts, mine, others).may_take() is takes


@pytest.mark.parametrize(
    ("accounts", "mine", "others", "gives"),
    [
        (1, 1, [0], False),
        (2, 2, [0], True),
        (5, 3, [2], False),
        (5, 5, [0], True),
        (7, 3, [3, 1], True),
        (31, 3, [9, 9, 9, 1], False),  # less than a share itself
        (4, 3, [0], False),  # one is on its way already
        (3, 3, [], False),
    ],
)
def test_whoever_has_two_more_than_another_gives_one(
    accounts: int, mine: int, others: list[int], gives: bool
) -> None:
    assert Loads(accounts, mine, others).should_give() is gives


def settle(accounts: int, held: list[int], dice: random.Random) -> tuple[list[int], int]:
    """Let connectors look in any order until nothing changes; how it ended, and how many accounts moved."""
    moves, quiet = 0, 0
    while quiet < 10 * len(held):
        me = dice.randrange(len(held))
        loads = Loads(accounts, held[me], [load for other, load in enumerate(held) if other != me])
        quiet += 1
        if loads.unheld and loads.may_take():
            held[me] += 1
            quiet = 0
        elif loads.should_give():
            held[me] -= 1
            moves += 1
            quiet = 0
        assert moves <= accounts, "an account wanders"
    return held, moves


@pytest.mark.parametrize("seed", range(50))
def test_it_settles_evenly_whoever_looks_when(seed: int) -> None:
    dice = random.Random(seed)
    accounts, connectors = dice.randint(1, 60), dice.randint(1, 6)
    held, moves = settle(accounts, [0] * connectors, dice)
    assert sum(held) == accounts
    assert max(held) - min(held) <= 1
    assert moves == 0, "from nothing nobody has to give"


@pytest.mark.parametrize(("accounts", "before", "moved"), [(9, [9, 0], 4), (300, [100, 100, 100, 0], 75)])
def test_a_new_connector_gets_its_share_and_nothing_else_moves(
    accounts: int, before: list[int], moved: int
) -> None:
    held, moves = settle(accounts, list(before), random.Random(1))
    assert max(held) - min(held) <= 1
    assert moves == moved


def test_a_dead_ones_accounts_are_shared_by_the_others_and_nothing_else_moves() -> None:
    held, moves = settle(30, [10, 10], random.Random(1))
    assert (sorted(held), moves) == ([15, 15], 0)
