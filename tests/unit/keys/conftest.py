"""Two ends that know nothing of each other yet."""

import pytest

from tests.unit.keys.world import Clock, End


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ann(clock: Clock) -> End:
    return End("100@lid", device=3, clock=clock)


@pytest.fixture
def bob(clock: Clock) -> End:
    return End("200@lid", clock=clock)
