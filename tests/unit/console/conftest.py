"""A stack of its own for each test, in one account for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.fake_cloud import MemoryCloud, memory_cloud
from tests.support.fake_deployment import FakeDeployment, Said
from tests.support.json_times import odd_times
from tocsin_console.output import Output


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


@pytest.fixture(autouse=True)
def _programs_read_times_in_iso(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of every document that any of these tests has a command record."""
    recorded, odd = Output.record, list[str]()

    def record(self: Output, value: Mapping[str, Any]) -> None:
        odd.extend(odd_times(value))
        recorded(self, value)

    monkeypatch.setattr(Output, "record", record)
    yield
    assert odd == []
