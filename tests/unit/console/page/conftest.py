"""The page of a stack of its own for each test, and a browser that came in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.console_page import Browser, served
from tests.support.fake_deployment import NOW, FakeDeployment


@pytest.fixture
def stranger(fake: FakeDeployment) -> Iterator[Browser]:
    """A browser without a session."""
    with served(fake.deployment, clock=lambda: NOW) as browser:
        yield browser


@pytest.fixture
def browser(stranger: Browser) -> Browser:
    return stranger.comes_in()
