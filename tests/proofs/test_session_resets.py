"""Official libsignal's session-reset property, for our implementation on both sides."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proofs.resets import EVENTS, MOST_EVENTS, MOST_SENT_AT_ONCE, OurEndpoint, Resets
from tests.proofs.scale import examples, scaled

events = st.lists(
    st.tuples(st.sampled_from(EVENTS), st.integers(0, 1), st.integers(0, MOST_SENT_AT_ONCE)),
    max_size=MOST_EVENTS,
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
    resets.live(MOST_EVENTS)
    resets.settle()
    resets.messages_to_agree()
    resets.assert_kept()
