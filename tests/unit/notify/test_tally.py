"""Counts for pictures: what outcomes add to the hours they fell in, and how they go round through answers."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.notify.store.hours import LAST_RECEIPT
from tocsin.notify.tally import hours_in, merged, tally

HOUR = 3_600_000
NOON = 1_800_000_000_000 // HOUR * HOUR


def told(name: str, at: int = NOON, seconds: float | None = None, **detail: Any) -> Any:
    return name, {"account": "default", **detail}, at, seconds


def test_outcomes_are_counted_by_account_and_hour() -> None:
    counts = tally([told("NotificationSent"), told("NotificationSent", NOON + HOUR), told("ReplyReceived")])
    assert counts == {
        f"default {NOON}": {"Sent": 1, "ReplyReceived": 1},
        f"default {NOON + HOUR}": {"Sent": 1},
    }


def test_a_failure_is_counted_by_its_reason_and_a_delivery_by_its_time() -> None:
    counts = tally([told("NotificationFailed", reason="expired"), told("NotificationDelivered", seconds=2.5)])
    assert counts == {
        f"default {NOON}": {"Failed": 1, "dead#expired": 1, "Delivered": 1, "took#2": 1, LAST_RECEIPT: NOON}
    }


def test_a_change_of_identity_is_none_of_these_pictures() -> None:
    assert tally([told("IdentityChanged")]) == {}


def test_counts_of_a_window_add_up() -> None:
    assert merged({"default 1": {"Sent": 2}}, {"default 1": {"Sent": 1}, "b 2": {"Read": 1}}) == {
        "default 1": {"Sent": 3},
        "b 2": {"Read": 1},
    }


@pytest.mark.parametrize("before", [None, "x", [], {"default 1": None}, {"default 1": {"Sent": "two"}}])
def test_nonsense_of_an_earlier_answer_adds_nothing(before: object) -> None:
    both = merged(before, {"default 1": {"Sent": 1}})
    assert both == {"default 1": {"Sent": 1}}


def test_what_names_no_hour_is_left_out() -> None:
    assert list(hours_in({"default 3600000": {"Sent": 1}, "odd": {}, "default x": {}})) == [
        ("default", 3600000, {"Sent": 1})
    ]


def test_of_receipts_the_last_moment_is_kept_and_never_added_up() -> None:
    told = [("NotificationDelivered", {"account": "a"}, at, None) for at in (5, 9, 7)]
    first = merged(None, tally(told))
    assert first == {"a 0": {"Delivered": 3, LAST_RECEIPT: 9}}
    assert merged(first, tally(told[:1])) == {"a 0": {"Delivered": 4, LAST_RECEIPT: 9}}
    assert merged(first, {})["a 0"][LAST_RECEIPT] == 9
