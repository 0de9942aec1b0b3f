"""Random lives of the key store, the same for each seed: no index twice, and everything readable is read.

More of them: TOCSIN_SIMULATIONS=5000 pytest tests/scenarios/test_key_store_simulation.py
"""

import os

import pytest

from tests.support.group_simulation import GroupSimulation
from tests.support.key_simulation import KeySimulation

LIVES = int(os.environ.get("TOCSIN_SIMULATIONS", "60"))
STEPS = 400


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_life_without_violation(seed: int) -> None:
    KeySimulation(seed).run(STEPS)


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_life_in_a_group_without_violation(seed: int) -> None:
    GroupSimulation(seed).run(STEPS)
