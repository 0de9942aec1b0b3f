"""A stack of its own for each test, in one account for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_cloud import MemoryCloud, memory_cloud
from tests.support.fake_deployment import FakeDeployment, Said


@pytest.fixture(scope="module")
def aws() -> Iterator[MemoryCloud]:
    with memory_cloud() as made:
        yield made


@pytest.fixture
def fake(aws: MemoryCloud) -> FakeDeployment:
    return FakeDeployment.on(aws)


@pytest.fixture
def said() -> Said:
    """What a person reads."""
    return Said()


@pytest.fixture
def told() -> Said:
    """What a program reads."""
    return Said(as_json=True)
