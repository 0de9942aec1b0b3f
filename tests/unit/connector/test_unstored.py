"""An account whose stanzas the queue doesn't take stays away for a while, and no longer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tocsin.connector import unstored
from tocsin.connector.forwarding.forwarder import Counters
from tocsin.connector.unstored import until_stored


@dataclass
class Backlog:
    """Stanzas that are under way until the queue opens, and the operator's requests."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    waiting: int = 3

    async def drained(self) -> None:
        await self.open.wait()

    async def next(self) -> Any:
        if not self.requests:
            await asyncio.Event().wait()
        return SimpleNamespace(request=self.requests.pop())

    def put_back(self, asked: Any) -> None:
        self.back.append(asked.request)

    async def wait(self) -> None:
        await until_stored("default", self, self, self.counters)  # type: ignore[arg-type]


async def test_it_stays_away_until_the_queue_has_what_is_under_way() -> None:
    backlog = Backlog()
    asyncio.get_running_loop().call_soon(backlog.open.set)
    await backlog.wait()
    assert backlog.counters.unstored == 0


async def test_a_queue_that_never_takes_it_keeps_nobody_away_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unstored, "STORED_SECONDS", 0.01)
    backlog = Backlog()
    await backlog.wait()
    assert backlog.counters.unstored == 1
    assert "connecting though stanzas can't be stored" in caplog.text


@pytest.mark.parametrize(("request_", "back"), [("reconnect", []), ("unpair", ["unpair"])])
async def test_the_operator_can_end_the_wait(request_: str, back: list[str]) -> None:
    backlog = Backlog(requests=[request_])
    await backlog.wait()
    assert (backlog.back, backlog.counters.unstored) == (back, 1)
