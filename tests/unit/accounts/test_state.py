"""Which states an account may have, what is allowed in each, and which may follow which."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tocsin.accounts.state import (
    CAN_SEND,
    HEALTHY,
    LINK_LOST,
    LOGGED_IN,
    PAIRED,
    PENDING,
    TRANSITIONS,
    UNLINKED,
    AccountState,
    may_follow,
    may_send,
)
from tocsin.whatsapp import reaction
from tocsin.whatsapp.reaction import FAILURES, STREAM_ERRORS, Reaction

SETS = {
    "unpaired": {"UNLINKED"},
    "pairing": {"PENDING"},
    "connecting": {"PENDING", "PAIRED"},
    "resuming": {"LOGGED_IN", "HEALTHY", "PAIRED"},
    "connected": {"LOGGED_IN", "CAN_SEND", "HEALTHY", "PAIRED"},
    "restricted": {"LOGGED_IN", "CAN_SEND", "PAIRED"},
    "logged_out": {"UNLINKED", "LINK_LOST"},
    "replaced": {"LINK_LOST"},
    "stopped": set(),
}
ALL = {
    "CAN_SEND": CAN_SEND,
    "HEALTHY": HEALTHY,
    "LINK_LOST": LINK_LOST,
    "LOGGED_IN": LOGGED_IN,
    "PAIRED": PAIRED,
    "PENDING": PENDING,
    "UNLINKED": UNLINKED,
}


@pytest.mark.parametrize("state", AccountState)
def test_what_is_allowed_in_a_state(state: AccountState) -> None:
    assert {name for name, states in ALL.items() if state in states} == SETS[state]


@pytest.mark.parametrize("stored", ["", "from-a-later-version", None, 7, b"connected"])
def test_a_stored_state_that_is_none_counts_as_stopped(stored: object) -> None:
    assert AccountState.read(stored) is AccountState.STOPPED


@pytest.mark.parametrize("state", AccountState)
def test_a_stored_state_is_read_as_it_was_written(state: AccountState) -> None:
    assert AccountState.read(state.value) is state


@pytest.mark.parametrize(
    ("state", "fresh", "parked"),
    [
        ("connected", True, True),
        ("restricted", True, True),
        ("resuming", False, True),
        ("connecting", False, False),
        ("stopped", False, False),
    ],
)
def test_parked_notifications_may_be_sent_before_fresh_ones(state: str, fresh: bool, parked: bool) -> None:
    read = AccountState(state)
    assert (may_send(read, resumed=False), may_send(read, resumed=True)) == (fresh, parked)


@pytest.mark.parametrize(
    "life",
    [
        "connecting unpaired pairing unpaired pairing connecting resuming connected",
        "connecting resuming connected restricted connected restricted connecting",
        "connecting resuming connected logged_out unpaired",
        "resuming logged_out pairing connecting",
        "connected replaced connecting",
        "connecting stopped connecting",
        "connecting restricted pairing",
        "restricted unpaired",
        "connected connected",
    ],
)
def test_a_life_that_an_account_may_have(life: str) -> None:
    assert all(may_follow(before, after) for before, after in pairwise(map(AccountState, life.split())))


@pytest.mark.parametrize(
    "step",
    [
        "unpaired connected",
        "pairing resuming",
        "connecting connected",
        "replaced resuming",
        "connected pairing",
    ],
)
def test_a_step_that_no_account_takes(step: str) -> None:
    before, after = map(AccountState, step.split())
    assert not may_follow(before, after)


def test_every_state_can_be_left_and_reached() -> None:
    assert set(TRANSITIONS) == set(AccountState)
    assert set().union(*TRANSITIONS.values()) == set(AccountState)


ENDS = [
    *STREAM_ERRORS.values(),
    *FAILURES.values(),
    *(one for one in vars(reaction).values() if isinstance(one, Reaction)),
]


@pytest.mark.parametrize("ended", ENDS, ids=lambda ended: ended.reason)
def test_every_end_of_a_connection_leads_to_a_state(ended: Reaction) -> None:
    assert ended.state in set(AccountState)
