"""Counts of an hour: added up, read back by time, and made into times that a share did not exceed."""

from __future__ import annotations

import pytest

from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.notify.store.hours import LAST_RECEIPT, Hour, percentile, took_class
from tocsin.notify.store.stores import Stores

HOUR = 3_600_000
NOON = 1_800_000_000_000 // HOUR * HOUR


def test_counts_of_one_hour_add_up(stores: Stores) -> None:
    stores.hours.add("default", NOON + 5, {"Sent": 2, "Read": 0})
    stores.hours.add("default", NOON + HOUR - 1, {"Sent": 3, "dead#expired": 1})
    (hour,) = stores.hours.since("default", 0)
    assert (hour.began_at, hour.of("Sent"), hour.of("Read"), hour.dead) == (NOON, 5, 0, {"expired": 1})


def test_hours_are_read_from_a_moment_on_and_by_account(stores: Stores) -> None:
    for back in range(3):
        stores.hours.add("default", NOON - back * HOUR, {"Sent": back + 1})
    stores.hours.add("other", NOON, {"Sent": 9})
    assert [hour.of("Sent") for hour in stores.hours.since("default", NOON - 1)] == [2, 1]
    assert [hour.of("Sent") for hour in stores.hours.since("nobody", 0)] == []


def test_nothing_to_count_writes_nothing(stores: Stores) -> None:
    stores.hours.add("default", NOON, {"Sent": 0})
    assert list(stores.hours.since("default", 0)) == []


def test_a_damaged_hour_is_left_out() -> None:
    table = MemoryTable()
    table.put(Put(("hours#default", "odd"), {"Sent": 1}))
    table.put(Put(("hours#default", "500000"), {"Sent": "many", "Read": 2}))
    (hour,) = Stores(table).hours.since("default", 0)
    assert dict(hour.counts) == {"Read": 2}


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 2.0), (0.9, 2.0), (0.95, 60.0), (1.0, 86400.0)])
def test_a_percentile_is_the_upper_end_of_its_class(share: float, seconds: float) -> None:
    counts = {took_class(1.5): 90, took_class(45): 8, took_class(1e9): 2}
    assert percentile([Hour(0, counts)], share) == seconds


def test_without_deliveries_there_is_no_percentile() -> None:
    assert percentile([Hour(0, {"Sent": 1})], 0.5) is None


def test_the_last_receipt_is_of_the_newest_hour_that_has_one(stores: Stores) -> None:
    assert stores.hours.last_receipt("default") is None
    stores.hours.add("default", NOON, {"Delivered": 1, LAST_RECEIPT: NOON + 7})
    stores.hours.add("default", NOON, {"Read": 1, LAST_RECEIPT: NOON + 9})
    stores.hours.add("default", NOON + HOUR, {"Sent": 1})
    assert stores.hours.last_receipt("default") == NOON + 9
    first, _ = stores.hours.since("default", 0)
    assert first.counts == {"Delivered": 1, "Read": 1}


@pytest.mark.parametrize("moment", [{}, {LAST_RECEIPT: 5}, {LAST_RECEIPT: 2 * NOON}])
def test_of_an_hour_without_a_moment_that_can_be_it_is_the_hour(
    stores: Stores, moment: dict[str, int]
) -> None:
    stores.hours.add("default", NOON + 5, {"Delivered": 1, **moment})
    assert stores.hours.last_receipt("default") == NOON
