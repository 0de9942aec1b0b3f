import pytest

from tests.unit.local.town import Town


@pytest.fixture
def town() -> Town:
    return Town()
