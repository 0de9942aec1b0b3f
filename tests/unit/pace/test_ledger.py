"""What is stored of an account's counts, and read again."""

from __future__ import annotations

import pytest

from tocsin.pace.ledger import Ledger

NOW = 1_800_000_000


def test_what_is_stored_counts_on() -> None:
    ledger = Ledger(since=NOW - 5)
    ledger.sent(NOW, first_contact=True)
    ledger.answered(NOW)
    read = Ledger.of_item(ledger.to_item())
    assert (read.since, read.age(NOW)) == (NOW - 5, 5)
    totals = [window.total(NOW) for window in (read.hour, read.day, read.first_hour, read.week_answered)]
    assert totals == [1, 1, 1, 1]


def test_the_minute_is_not_stored() -> None:
    ledger = Ledger()
    ledger.sent(NOW, first_contact=False)
    assert Ledger.of_item(ledger.to_item()).minute.total(NOW) == 0


@pytest.mark.parametrize("odd", [None, "x", {"a": 1}, {"5": "x"}, {"5": -1}, {"5": True}])
def test_what_cannot_be_meant_counts_as_nothing(odd: object) -> None:
    assert Ledger.of_item({"hour": odd, "since": "yesterday"}).to_item() == Ledger().to_item()
