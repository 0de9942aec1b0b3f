"""A stack of its own for each test, in one account for all: making the account is what takes time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_deployment import REGION, FakeCloud, FakeDeployment, Said, fake_cloud
from tocsin_console import look
from tocsin_console.deployment import Deployment


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeCloud]:
    with fake_cloud() as made:
        yield made


@pytest.fixture
def fake(aws: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    # This SQS has one server, and says "empty" only when it is.
    monkeypatch.setattr(look, "WAIT_SECONDS", 0)
    stack = aws.deploy()
    return FakeDeployment(stack, Deployment.find(stack, region=REGION, endpoint_url=None))


@pytest.fixture
def said() -> Said:
    """What a person reads."""
    return Said()


@pytest.fixture
def told() -> Said:
    """What a program reads."""
    return Said(as_json=True)
