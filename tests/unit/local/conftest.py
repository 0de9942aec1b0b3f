import pytest

from tests.support.local_server import LocalServer


@pytest.fixture
def local() -> LocalServer:
    return LocalServer()
