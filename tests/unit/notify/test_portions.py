"""How much of what waits for a budget goes with one sweep."""

from __future__ import annotations

import pytest

from tests.support.notifications import a_notification, an_id
from tests.support.paced_world import PacedWorld

MINUTE = 60
PER_MINUTE, USABLE = 30, 27
"""A tenth is kept for what is urgent."""


@pytest.fixture
def world() -> PacedWorld:
    world = PacedWorld()
    world.set(messages_per_minute=PER_MINUTE, typing_jitter_milliseconds=0)
    return world


def plan(world: PacedWorld, number: int) -> None:
    for one in range(number):
        recipient, at = f"62812{one:08d}", world.now_ms + one
        about = {"recipient": recipient, "created_at": at, "expires_at": at + 86_400_000}
        world.plan(a_notification(id=an_id(one, recipient), **about))
    world.carry_out()


def minute_of_sending(world: PacedWorld, seconds: float) -> int:
    """What lies in the queue goes, a message each `seconds`, in the minute from now on. Return how many."""
    began, before = world.now, len(world.sent)
    while world.orders and world.now + seconds < began + MINUTE:
        world.now += seconds
        world.carry_out(1)
    world.now = began + MINUTE
    return len(world.sent) - before


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_while_much_waits_no_minute_of_the_budget_goes_unused(world: PacedWorld, seconds: float) -> None:
    """Messages take their time, so those of one sweep arrive as those of the last one cease to count."""
    plan(world, 10 * PER_MINUTE)
    assert len(world.sent) == USABLE
    world.now += 2 * MINUTE
    sent: list[int] = []
    for _ in range(8):
        world.maintainer.resume("default", lambda: 300.0)
        sent.append(minute_of_sending(world, seconds))
    assert min(sent) > 0
    assert sum(sent) >= len(sent) * USABLE * 2 / 3


def test_a_full_hour_lets_nothing_go_however_empty_the_minute_is(world: PacedWorld) -> None:
    world.set(messages_per_hour=PER_MINUTE)
    plan(world, 2 * PER_MINUTE)
    assert len(world.sent) == USABLE
    world.now += 5 * MINUTE
    [report] = world.sweep("default")
    assert report.resumed == 0
