"""Official libsignal's session-reset property, for our implementation on both sides."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proofs.faulty import AdvancesBeforeTheMac
from tests.proofs.resets import EVENTS, MAX_EVENTS, MAX_SENT_AT_ONCE, OurEndpoint, Resets
from tests.proofs.scale import examples, scaled

events = st.lists(
    st.tuples(st.sampled_from(EVENTS), st.integers(0, 1), st.integers(0, MAX_SENT_AT_ONCE)),
    max_size=MAX_EVENTS,
)


@examples(200)
@given(events, st.integers(0, 2**32 - 1))
def test_both_sides_end_on_one_session(events: list[tuple[str, int, int]], seed: int) -> None:
    resets = Resets(OurEndpoint("ada"), OurEndpoint("ben"), random.Random(seed))
    for event, who, choice in events:
        resets.happen(event, who, choice)
    resets.settle()
    resets.messages_to_agree()
    resets.assert_kept()


@pytest.mark.parametrize("seed", range(scaled(40)))
def test_both_sides_end_on_one_session_after_forty_events(seed: int) -> None:
    resets = Resets(OurEndpoint("ada"), OurEndpoint("ben"), random.Random(seed))
    resets.live(MAX_EVENTS)
    resets.settle()
    resets.messages_to_agree()
    resets.assert_kept()


class Careless(OurEndpoint):
    """Takes the ratchet step before it checks the MAC."""

    person_type = AdvancesBeforeTheMac


class NeverArchives(OurEndpoint):
    """Sends again in the session that just failed."""

    def archive(self) -> None:
        return


def test_twin_that_sends_again_in_the_same_session_is_never_quiet() -> None:
    with pytest.raises(AssertionError, match="never quiet"):
        complaints(NeverArchives)


def test_twin_that_advances_before_the_mac_heals_too_but_is_ill_more_often() -> None:
    assert complaints(Careless) > complaints(OurEndpoint)


def complaints(kind: type[OurEndpoint]) -> int:
    """How many messages could not be read in twenty runs, of which each ends on one session."""
    total = 0
    for seed in range(20):
        resets = Resets(kind("ada"), kind("ben"), random.Random(seed))
        resets.live(MAX_EVENTS)
        resets.settle()
        resets.messages_to_agree()
        total += sum(side.complaints for side in resets.sides)
    return total
