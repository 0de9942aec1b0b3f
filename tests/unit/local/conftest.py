import pytest

from tests.support.local_server import Town


@pytest.fixture
def town() -> Town:
    return Town()
