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
    windows = (read.minute, read.hour, read.day, read.first_hour, read.first_day, read.week_answered)
    assert [window.total(NOW) for window in windows] == [1] * len(windows)


@pytest.mark.parametrize("odd", [None, "x", {"a": 1}, {"5": "x"}, {"5": -1}, {"5": True}])
def test_what_cannot_be_meant_counts_as_nothing(odd: object) -> None:
    assert Ledger.of_item({"hour": odd, "since": "yesterday"}).to_item() == Ledger().to_item()
