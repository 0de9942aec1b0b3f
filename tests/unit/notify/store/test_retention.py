"""How long things are kept is said in one place, and everything that is kept of a notification heeds it."""

from __future__ import annotations

import pytest

from tests.support.memory_aws import everything_in
from tests.support.notification_stores import GONE, USER
from tests.support.notifications import N
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.config import MIN_RETENTION_DAYS
from tocsin.notify.hold import MAX_LIFE_SECONDS
from tocsin.notify.notification import State
from tocsin.notify.store.recoveries import THEIRS, UnreadableMessage
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import notification_key, waiting_key

DAY = 86_400
NOW = N.created_at // 1000
"""Seconds."""


class House:
    """A table with one of everything that comes of a notification."""

    def __init__(self, days: int) -> None:
        self.table = MemoryTable()
        self.stores = stores = Stores(self.table, texts=TEXTS, retention_days=days)
        stores.notifications.put_new(N)
        stores.threads.follow(N)
        stores.replies.put("default", USER, "R1", {"text": "ok"}, N.created_at)
        stores.identity_changes.put("default", USER, 1, {}, "aa", N.created_at)
        about = UnreadableMessage(THEIRS, "default", USER, USER, N.id)
        stores.recoveries.asked(about, since=N.created_at, at=N.created_at, cause="bad-mac")
        stores.recoveries.failed(about, since=N.created_at, at=N.created_at, cause="bad-mac", failure="x")

    def expiry(self, key: tuple[str, str]) -> int:
        expire_at = (self.table.get(key) or {})["expire_at"]
        assert isinstance(expire_at, int)
        return expire_at


@pytest.mark.parametrize("days", [MIN_RETENTION_DAYS, 35, 365])
def test_everything_is_kept_for_as_many_days(days: int) -> None:
    kept = {item["pk"].partition("#")[0]: item.get("expire_at") for item in everything_in(House(days).table)}
    kinds = ("notification", "thread", "reply", "identity", "recoveries")
    assert kept == dict.fromkeys(kinds, NOW + days * DAY)


def test_a_failed_one_is_kept_from_its_failure_on() -> None:
    house = House(20)
    house.stores.notifications.fail(N.id, GONE, (NOW + DAY) * 1000)
    assert house.expiry(notification_key(N.id)) == NOW + 21 * DAY
    redriven_at = (NOW + 2 * DAY) * 1000
    house.stores.notifications.reset_for_redrive(N.id, at=redriven_at, expires_at=redriven_at + 1)
    assert house.expiry(notification_key(N.id)) == NOW + 22 * DAY


def test_what_waits_for_longer_than_records_are_kept_is_not_forgotten_before() -> None:
    house = House(MIN_RETENTION_DAYS)
    due_at = (NOW + MAX_LIFE_SECONDS) * 1000
    assert house.stores.parking.park(N, "locked", N.created_at, due_at=due_at).applied
    until = NOW + MAX_LIFE_SECONDS + MIN_RETENTION_DAYS * DAY
    assert house.expiry(notification_key(N.id)) == until
    assert house.expiry(waiting_key("default", N.turn)) == until
    assert house.stores.notifications.get(N.id).state is State.WAITING  # type: ignore[union-attr]
