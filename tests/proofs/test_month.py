"""The month of an internet provider, shortened, and twins in which each check finds what it looks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.month.checks import CHECKS, limits, locks, losses, nights, order, spaces
from tests.month.picture import svg
from tests.month.simulation import DAY, FIRST_STORM, LOCK, START, Month, Provider

DAYS = 14
"""With the first storm and the lock."""

EARLY_STORM = (1, *FIRST_STORM[1:])


@pytest.fixture(scope="module")
def month() -> Month:
    return Provider(1, DAYS, scale=0.5).run()


def test_the_month_has_the_storm_and_the_lock() -> None:
    assert max(FIRST_STORM[0], LOCK[0]) < DAYS


@pytest.mark.parametrize("name", CHECKS)
def test_in_a_month_there_is(month: Month, name: str) -> None:
    assert list(CHECKS[name](month)) == []


def test_something_was_held_back_for_each_reason(month: Month) -> None:
    parked = {verdict.cause for _, verdict in month.world.verdicts if verdict.outcome == "parked"}
    assert {"quiet-hours", "account-pace", "digest", "behind"} <= parked


def test_a_digest_went_out(month: Month) -> None:
    assert any(month.world.stored(gone.notification).digest_of for gone in month.gone)


def test_the_picture_names_the_storm_and_the_lock(month: Month) -> None:
    drawn = svg(month, "a & b")
    assert all(word in drawn for word in ("storm", "lock", "north", "a &amp; b"))


def test_after_an_early_storm_nothing_waits_that_no_rule_holds() -> None:
    """Most of it waits without a date: behind others, or for the next sweep that has room."""
    month = Provider(1, 3, scale=0.5, storms=[EARLY_STORM]).run()
    assert month.left == []
    assert list(losses(month)) == []


# -- the twins -----------------------------------------------------------------------------------------------


def without(scope: str = "*", **settings: Any) -> Month:
    """Two days in which Tocsin is told to do otherwise."""
    provider = Provider(1, 2, scale=0.5)
    provider.world.set(scope=scope, **settings)
    return provider.run()


def test_a_broken_limit_is_found(month: Month) -> None:
    crowd = [replace(month.gone[0], at=float(START)) for _ in range(31)]
    assert "31 messages-per-minute" in next(limits(_with_gone(month, crowd)))


def test_without_quiet_hours_somebody_is_woken() -> None:
    assert list(nights(without("audience=customer", quiet_hours=""))) != []


def test_without_space_messages_come_too_close() -> None:
    close = {"recipient_spacing_seconds": 0, "typing_jitter_milliseconds": 0}
    month = without(**close)
    first = month.gone[0]
    month.gone.insert(1, replace(first, at=first.at + 1))
    assert list(spaces(month)) != []


def test_a_lane_out_of_order_is_found(month: Month) -> None:
    lanes: dict[tuple[str, str], list[int]] = {}
    for place, gone in enumerate(month.gone):
        lanes.setdefault((gone.account, gone.recipient), []).append(place)
    one, other = next(places[:2] for places in lanes.values() if len(places) > 1)
    swapped = [*month.gone]
    swapped[one], swapped[other] = swapped[other], swapped[one]
    assert list(order(_with_gone(month, swapped))) != []


def test_a_lost_message_and_one_sent_twice_are_found(month: Month) -> None:
    assert len(list(losses(_with_gone(month, month.gone[1:])))) == 1
    assert len(list(losses(_with_gone(month, [*month.gone, month.gone[0]])))) == 2


def test_a_first_contact_during_the_lock_is_found(month: Month) -> None:
    [(account, begun, _)] = month.locked
    tried = replace(month.gone[0], account=account, first_contact=True, at=begun + 1)
    assert len(list(locks(_with_gone(month, [tried])))) == 1


def test_the_month_begins_at_midnight_where_it_is_told() -> None:
    assert (START + 7 * 3600) % DAY == 0


class _Changed(Month):
    """A month of which other messages left."""

    other: list[Any]

    @property
    def gone(self) -> list[Any]:
        return self.other


def _with_gone(month: Month, gone: list[Any]) -> Month:
    changed = _Changed(month.world, month.days, month.customers, month.planned, [1.0] * len(gone))
    changed.locked, changed.other = month.locked, gone
    return changed
