"""Recoveries: one record for one device and message, from the first complaint to its end."""

from __future__ import annotations

import pytest

from tocsin.notify.store.recoveries import OURS, THEIRS, Recoveries, RecoveryRecord, UnreadableMessage
from tocsin.notify.store.stores import Stores

DAY = 86_400_000
NOON = 1_800_014_400_000
ILL = UnreadableMessage(THEIRS, "default", "6281234567890@s.whatsapp.net", "1234:2@lid", "0123456789abcdef01")
UNREADABLE = UnreadableMessage(OURS, "default", "1234@lid", "1234@lid", "a stanza id of any kind # and form")


@pytest.fixture
def recoveries(stores: Stores) -> Recoveries:
    return stores.recoveries


def only(recoveries: Recoveries, days: int = 1, now: int = NOON) -> RecoveryRecord:
    [record] = recoveries.of_days("default", days, now)
    return record


def test_a_healed_one_says_cause_and_time(recoveries: Recoveries) -> None:
    recoveries.asked(ILL, since=NOON, at=NOON + 100, cause="bad-mac", rebuilt="bundle")
    assert recoveries.healed(ILL, at=NOON + 900, since=NOON)
    record = only(recoveries)
    assert (record.cause, record.rebuilt, record.requests) == ("bad-mac", "bundle", 1)
    assert (record.healed, record.failed, record.seconds_to_heal) == (True, False, 0.9)


def test_many_requests_are_one_entry_that_keeps_the_first_cause(recoveries: Recoveries) -> None:
    recoveries.asked(ILL, since=NOON, at=NOON + 100, cause="no-session", rebuilt="bundle")
    recoveries.asked(ILL, since=NOON, at=NOON + 5000, cause="bad-mac")
    record = only(recoveries)
    assert (record.cause, record.requests, record.rebuilt) == ("no-session", 2, "bundle")
    assert (record.first_at, record.last_at) == (NOON, NOON + 5000)


def test_one_that_was_given_up_says_why(recoveries: Recoveries) -> None:
    recoveries.asked(ILL, since=NOON, at=NOON, cause="bad-mac")
    recoveries.failed(ILL, since=NOON, at=NOON + 9000, cause="bad-mac", failure="exhausted")
    record = only(recoveries)
    assert (record.failed, record.failure, record.seconds_to_heal) == (True, "exhausted", None)


def test_what_heals_after_all_has_not_failed(recoveries: Recoveries) -> None:
    recoveries.failed(ILL, since=NOON, at=NOON, cause="bad-mac", failure="over-budget")
    recoveries.healed(ILL, at=NOON + 1000, since=NOON)
    assert (only(recoveries).healed, only(recoveries).failed) == (True, False)


def test_nothing_heals_that_nobody_complained_of(recoveries: Recoveries) -> None:
    assert not recoveries.healed(ILL, at=NOON)
    assert list(recoveries.of_days("default", 2, NOON)) == []


def test_what_began_yesterday_is_found_without_its_date(recoveries: Recoveries) -> None:
    recoveries.asked(UNREADABLE, since=NOON - DAY, at=NOON - DAY, cause="BadMac")
    assert recoveries.healed(UNREADABLE, at=NOON)
    assert only(recoveries, days=2).seconds_to_heal == 86_400


def test_days_are_counted_back_from_today(recoveries: Recoveries) -> None:
    for back in range(4):
        about = UnreadableMessage(THEIRS, "default", "u", "d", f"n{back}")
        recoveries.asked(about, since=NOON - back * DAY, at=NOON, cause="bad-mac")
    assert [record.about for record in recoveries.of_days("default", 3, NOON)] == ["n0", "n1", "n2"]


def test_accounts_are_kept_apart(recoveries: Recoveries) -> None:
    recoveries.asked(ILL, since=NOON, at=NOON, cause="bad-mac")
    assert list(recoveries.of_days("other", 1, NOON)) == []


def test_their_troubles_and_ours_with_one_id_are_two(recoveries: Recoveries) -> None:
    recoveries.asked(ILL, since=NOON, at=NOON, cause="bad-mac")
    ours = UnreadableMessage(OURS, ILL.account, ILL.user, ILL.device, ILL.about)
    recoveries.asked(ours, since=NOON, at=NOON, cause="BadMac")
    assert sorted(record.side for record in recoveries.of_days("default", 1, NOON)) == [OURS, THEIRS]
