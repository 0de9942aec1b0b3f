"""Two to six devices, everything that can go wrong, and a specification that knows what must come out.

`tests.proofs.network` says what is checked at each step, and when a pair of devices counts as healed.
A life from a seed: TOCSIN_SEED=17 pytest tests/proofs/test_network.py -k random_life
"""

import os
import random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.proofs.network import EVENTS, SKIPS, WAITS, Network, live_up_to_all_limits
from tests.proofs.scale import examples, scaled
from tocsin.signal.ratchet import MAX_SKIP

# Devices of each user.
SHAPES = ((1, 1), (1, 2), (2, 2), (1, 1, 1), (1, 1, 1, 1), (3, 2), (3, 1, 2))
SEEDS = [int(os.environ["TOCSIN_SEED"])] if "TOCSIN_SEED" in os.environ else range(scaled(70))

choices = st.integers(0, 2**16 - 1)


class Devices(RuleBasedStateMachine):
    """Hypothesis chooses what happens, and shrinks what goes wrong."""

    network: Network

    @initialize(shape=st.sampled_from(SHAPES), seed=choices)
    def meet(self, shape: tuple[int, ...], seed: int) -> None:
        self.network = Network(shape, random.Random(seed))

    @rule(pair=choices)
    def write(self, pair: int) -> None:
        self.network.write(pair)

    @rule(which=st.lists(choices, min_size=1, max_size=8))
    def step(self, which: list[int]) -> None:
        for choice in which:
            self.network.step(choice)

    @rule(which=choices)
    def deliver(self, which: int) -> None:
        self.network.deliver(which)

    @rule()
    def quiet(self) -> None:
        self.network.settle()

    @rule(event=st.sampled_from(sorted(EVENTS)), choice=choices)
    def happen(self, event: str, choice: int) -> None:
        self.network.happen(event, choice)

    @rule(pair=choices, count=st.sampled_from(SKIPS))
    def skip(self, pair: int, count: int) -> None:
        self.network.skip(pair, count)

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: int) -> None:
        self.network.now += seconds

    def teardown(self) -> None:
        if hasattr(self, "network"):
            self.network.assert_all_heal()


TestDevices = Devices.TestCase
TestDevices.settings = examples(60, steps=60)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_life(seed: int) -> None:
    network = Network(SHAPES[seed % len(SHAPES)], random.Random(seed))
    network.live(600)
    network.assert_all_heal()


@pytest.mark.parametrize("seed", range(scaled(1)))
def test_a_life_long_enough_for_all_limits(seed: int) -> None:
    network = live_up_to_all_limits(seed)
    network.assert_all_heal()
    # One long jump at least. Whether a second one comes to the same record, up to 2,000, is up to the dice.
    assert network.most["skipped"] >= max(skip for skip in SKIPS if skip <= MAX_SKIP)
    assert (network.most["sessions"], network.most["evicted"], network.most["chains"]) == (41, 40, 5)
