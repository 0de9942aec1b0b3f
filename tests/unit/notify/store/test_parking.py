"""What waits has a state, a row and a turn, all or none of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.notification_stores import USER, StoredNotification
from tests.support.notifications import N
from tocsin.notify.notification import Problem, State
from tocsin.notify.store.stores import Stores


def test_a_parked_notification_has_state_row_and_turn(stores: Stores) -> None:
    stored = stores.parking.park(N, "rate-limited", 7, due_at=9, detail="15 min").notification
    assert (stored.state, stored.waiting_since, stored.due_at) == (State.WAITING, 7, 9)
    assert stored.last_error == Problem("rate-limited", "wait", "15 min")
    (row,) = stores.parking.waiting("default")
    assert (row.notification, row.cause, row.due_at, row.expires_at) == (
        N.id,
        "rate-limited",
        9,
        N.expires_at,
    )
    assert stores.people.find("default", USER).parked == {N.turn}


def test_what_was_sent_meanwhile_gets_neither_row_nor_turn(stores: Stores) -> None:
    stores.notifications.mark_sent(N.id, {}, at=1, account="default")
    refused = stores.parking.park(N, "away", 2)
    assert (refused.applied, refused.notification.state) == (False, State.SENT)
    assert list(stores.parking.waiting("default")) == []
    assert stores.people.find("default", USER).parked == frozenset()


def test_without_a_date_an_earlier_one_goes(stores: Stores) -> None:
    stores.parking.park(N, "rate-limited", 7, due_at=9)
    assert stores.parking.park(N, "away", 8).notification.due_at is None
    (row,) = stores.parking.waiting("default")
    assert row.due_at is None


def test_its_first_time_is_history_enough(stores: Stores) -> None:
    stored = stores.parking.park(N, "away", 1).notification
    stored = stores.parking.park(stored, "away", 2).notification
    stored = stores.parking.park(stored, "rate-limited", 3).notification
    assert [(attempt.cause, attempt.at) for attempt in stored.attempts] == [("away", 1), ("rate-limited", 3)]
    assert (stored.parkings, stored.waiting_since) == (3, 1)


def test_waiting_is_read_oldest_first_and_per_account(stores: Stores) -> None:
    for number, created_at in enumerate([5_000_000, 20, 999_999_999_999]):
        one = replace(N, id=f"{number:018}", created_at=created_at)
        stores.notifications.put_new(one)
        stores.parking.park(one, "away", 1)
    assert [row.planned_at for row in stores.parking.waiting("default")] == [20, 5_000_000, 999_999_999_999]
    assert list(stores.parking.waiting("other")) == []


def test_a_row_parked_anew_outlives_the_deletion_of_the_old_one(stores: Stores) -> None:
    stores.parking.park(N, "away", 1)
    (old,) = stores.parking.waiting("default")
    stores.parking.requeue(N.id)
    stores.parking.park(N, "away again", 2)
    assert stores.parking.drop_waiting(old) is False
    (row,) = stores.parking.waiting("default")
    assert row.cause == "away again"
    assert stores.parking.drop_waiting(row) is True
    assert list(stores.parking.waiting("default")) == []


def test_each_requeue_is_another_generation(stores: Stores) -> None:
    stores.parking.park(N, "away", 1)
    assert stores.parking.requeue(N.id).notification.generation == 1
    assert stores.parking.requeue(N.id).notification.generation == 2


def test_an_expiry_that_moved_is_stored_in_seconds(stored: StoredNotification) -> None:
    stored.stores.parking.park(N, "rate-limited", 1, due_at=9)
    requeued = stored.stores.parking.requeue(N.id, expires_at=99_999).notification
    assert (stored.item["expires_at"], requeued.expires_at) == (99, 99_000)


def test_a_requeue_leaves_an_expiry_that_did_not_move(stored: StoredNotification) -> None:
    stored.stores.parking.park(N, "away", 1)
    stored.stores.parking.requeue(N.id)
    assert stored.item["expires_at"] == N.expires_at // 1000


def test_who_came_to_an_end_holds_up_nobody(stores: Stores) -> None:
    stores.parking.park(N, "away", 1)
    stores.people.leave_line("default", USER, N.turn)
    assert stores.people.find("default", USER).parked == frozenset()


@pytest.mark.parametrize("known", [True, False])
def test_leaving_a_line_that_is_not_there_changes_nothing(stores: Stores, known: bool) -> None:
    if known:
        stores.people.note_heard("default", USER, 5)
    before = stores.people.find("default", USER)
    stores.people.leave_line("default", USER, N.turn)
    assert replace(stores.people.find("default", USER), revision=before.revision) == before
