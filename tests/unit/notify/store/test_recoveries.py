"""The ledger of recoveries: one entry for one device and message, from the first complaint to its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tocsin.notify.store.recoveries import OURS, THEIRS, Ledger, UnreadableMessage

DAY = 86_400_000
NOON = 1_800_014_400_000
ILL = UnreadableMessage(THEIRS, "default", "6281234567890@s.whatsapp.net", "1234:2@lid", "0123456789abcdef01")
UNREADABLE = UnreadableMessage(OURS, "default", "1234@lid", "1234@lid", "a stanza id of any kind # and form")


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def ledger(account: AwsAccount) -> Ledger:
    cloud = account.furnish()
    return Ledger(cloud.dynamodb, cloud.notifications)


def only(ledger: Ledger, days: int = 1, now: int = NOON):
    [episode] = ledger.episodes("default", days, now)
    return episode


def test_a_healed_one_says_cause_and_time(ledger):
    ledger.asked(ILL, since=NOON, at=NOON + 100, cause="bad-mac", rebuilt="bundle")
    assert ledger.healed(ILL, at=NOON + 900, since=NOON)
    episode = only(ledger)
    assert (episode.cause, episode.rebuilt, episode.requests) == ("bad-mac", "bundle", 1)
    assert (episode.healed, episode.failed, episode.seconds_to_heal) == (True, False, 0.9)


def test_many_requests_are_one_entry_that_keeps_the_first_cause(ledger):
    ledger.asked(ILL, since=NOON, at=NOON + 100, cause="no-session", rebuilt="bundle")
    ledger.asked(ILL, since=NOON, at=NOON + 5000, cause="bad-mac")
    episode = only(ledger)
    assert (episode.cause, episode.requests, episode.rebuilt) == ("no-session", 2, "bundle")
    assert (episode.first_at, episode.last_at) == (NOON, NOON + 5000)


def test_one_that_was_given_up_says_why(ledger):
    ledger.asked(ILL, since=NOON, at=NOON, cause="bad-mac")
    ledger.failed(ILL, since=NOON, at=NOON + 9000, cause="bad-mac", failure="exhausted")
    episode = only(ledger)
    assert (episode.failed, episode.failure, episode.seconds_to_heal) == (True, "exhausted", None)


def test_what_heals_after_all_has_not_failed(ledger):
    ledger.failed(ILL, since=NOON, at=NOON, cause="bad-mac", failure="over-budget")
    ledger.healed(ILL, at=NOON + 1000, since=NOON)
    assert (only(ledger).healed, only(ledger).failed) == (True, False)


def test_nothing_heals_that_nobody_complained_of(ledger):
    assert not ledger.healed(ILL, at=NOON)
    assert list(ledger.episodes("default", 2, NOON)) == []


def test_what_began_yesterday_is_found_without_its_date(ledger):
    ledger.asked(UNREADABLE, since=NOON - DAY, at=NOON - DAY, cause="BadMac")
    assert ledger.healed(UNREADABLE, at=NOON)
    assert only(ledger, days=2).seconds_to_heal == 86_400


def test_days_are_counted_back_from_today(ledger):
    for back in range(4):
        about = UnreadableMessage(THEIRS, "default", "u", "d", f"n{back}")
        ledger.asked(about, since=NOON - back * DAY, at=NOON, cause="bad-mac")
    assert [episode.about for episode in ledger.episodes("default", 3, NOON)] == ["n0", "n1", "n2"]


def test_accounts_are_kept_apart(ledger):
    ledger.asked(ILL, since=NOON, at=NOON, cause="bad-mac")
    assert list(ledger.episodes("other", 1, NOON)) == []


def test_their_troubles_and_ours_with_one_id_are_two(ledger):
    ledger.asked(ILL, since=NOON, at=NOON, cause="bad-mac")
    ours = UnreadableMessage(OURS, ILL.account, ILL.user, ILL.device, ILL.about)
    ledger.asked(ours, since=NOON, at=NOON, cause="BadMac")
    assert sorted(episode.side for episode in ledger.episodes("default", 1, NOON)) == [OURS, THEIRS]
