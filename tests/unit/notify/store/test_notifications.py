"""Notifications in the table: forward only, one write each, and never a torso."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.notification_stores import GONE, USER, StoredNotification
from tests.support.notifications import N
from tests.support.receipts import mark_receipt
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.config import RETENTION_DAYS
from tocsin.notify.notification import Attempt, Problem, ReceiptNews, Recovery, State
from tocsin.notify.store.notifications import MAX_ATTEMPTS
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.tables.notifications import WATCH, WATCH_ENDED, notification_key

KEPT = RETENTION_DAYS * 86_400

# -- what was put is what is read ------------------------------------------------------------------------


def test_what_was_put_is_read(stores: Stores) -> None:
    assert stores.notifications.get(N.id) == N
    assert stores.notifications.get("0" * 18) is None


def test_a_second_put_is_refused_and_brings_the_stored_one(stored: StoredNotification) -> None:
    stored.bring_to(State.SENT)
    existing = stored.stores.notifications.put_new(replace(N, language="en"))
    assert existing is not None
    assert (existing.state, existing.language) == (State.SENT, "id")


def test_by_default_it_is_kept_longer_than_whatsapp_keeps_a_message(stored: StoredNotification) -> None:
    assert stored.item["expire_at"] == N.created_at // 1000 + KEPT
    assert RETENTION_DAYS > 30


# -- states ----------------------------------------------------------------------------------------------

STEPS: dict[str, Any] = {
    "sent": lambda stores: stores.notifications.mark_sent(N.id, {USER: 7}, at=5, account="default"),
    "delivered": lambda stores: mark_receipt(stores.notifications, N.id, State.DELIVERED, 5),
    "read": lambda stores: mark_receipt(stores.notifications, N.id, State.READ, 5),
    "failed": lambda stores: stores.notifications.fail(N.id, GONE, 5),
    "suppressed": lambda stores: stores.notifications.suppress(N.id, GONE, 5),
    "waiting": lambda stores: stores.parking.park(N, "away", 5),
    "requeue": lambda stores: stores.parking.requeue(N.id),
    "redrive": lambda stores: stores.notifications.reset_for_redrive(N.id, at=5, expires_at=9_000),
}
REFUSED = {
    "sent": {State.SENT, State.DELIVERED, State.READ, State.SUPPRESSED},
    "delivered": {State.DELIVERED, State.READ, State.SUPPRESSED},
    "read": {State.READ, State.SUPPRESSED},
    "failed": {State.FAILED, State.DELIVERED, State.READ, State.SUPPRESSED},
    "suppressed": {State.SENT, State.DELIVERED, State.READ, State.FAILED, State.SUPPRESSED},
    "waiting": {State.SENT, State.DELIVERED, State.READ, State.FAILED, State.SUPPRESSED},
    "requeue": {State.SENT, State.DELIVERED, State.READ, State.FAILED, State.SUPPRESSED},
    "redrive": {State.WAITING, State.SENT, State.DELIVERED, State.READ, State.SUPPRESSED},
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", State)
def test_a_step_is_made_or_refused_and_a_refusal_changes_nothing(
    stored: StoredNotification, before: State, step: str
) -> None:
    stored.bring_to(before)
    image = stored.item
    transition = STEPS[step](stored.stores)
    assert transition.applied is (before not in REFUSED[step])
    assert (stored.item == image) is (not transition.applied)
    assert transition.notification == stored.stores.notifications.get(N.id)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_founds_no_torso(step: str) -> None:
    table = MemoryTable()
    with pytest.raises(NotificationMissing):
        STEPS[step](Stores(table, texts=TEXTS))
    assert table.scan().items == []


def test_a_receipt_that_overtakes_its_send_counts_as_sent(stores: Stores) -> None:
    stored = mark_receipt(stores.notifications, N.id, State.READ, 7).notification
    assert (stored.sent_at, stored.delivered_at, stored.read_at) == (7, 7, 7)
    late = stores.notifications.mark_sent(N.id, {}, at=9, account="default")
    assert not late.applied
    assert late.notification.sent_at == 7


def test_times_are_as_first_seen(stores: Stores) -> None:
    stores.notifications.mark_sent(N.id, {}, at=1, account="default")
    mark_receipt(stores.notifications, N.id, State.DELIVERED, 2)
    stored = mark_receipt(stores.notifications, N.id, State.READ, 3).notification
    assert (stored.sent_at, stored.delivered_at, stored.read_at) == (1, 2, 3)


def test_sent_remembers_the_numbers_and_forgives_the_retries(stores: Stores) -> None:
    stores.notifications.record_attempt(N.id, Attempt("ack-timeout", 1, "retry"), spends_retry=True)
    stored = stores.notifications.mark_sent(N.id, {USER: 7}, at=2, account="default").notification
    assert stored.attempts[-1] == Attempt("sent", 2, "ok", "", {USER: 7})
    assert stored.retries_used == 0


def test_an_outcome_stands_on_the_item_only_as_long_as_nothing_else_is_written(
    stored: StoredNotification,
) -> None:
    """So a stream filter on the attribute sees each outcome once."""
    notifications = stored.stores.notifications
    assert "outcome" not in stored.item
    notifications.mark_sent(N.id, {}, at=5, account="default")
    assert (stored.item["outcome"], stored.item["outcome_at"]) == ("Sent", 5)
    notifications.record_recovery(N.id, USER, Recovery(1, 6, 8))
    assert "outcome" not in stored.item
    mark_receipt(notifications, N.id, State.DELIVERED, 7)
    assert stored.item["outcome"] == "Delivered"


def test_parking_takes_an_earlier_outcome_away(stored: StoredNotification) -> None:
    stored.stores.notifications.fail(N.id, GONE, 5)
    stored.stores.notifications.reset_for_redrive(N.id, at=6, expires_at=99_000)
    stored.stores.parking.park(N, "away", 7)
    assert "outcome" not in stored.item


def test_a_redrive_s_expiry_is_stored_in_seconds(stored: StoredNotification) -> None:
    stored.stores.notifications.fail(N.id, GONE, 2)
    stored.stores.notifications.reset_for_redrive(N.id, at=3_000, expires_at=99_000)
    assert (stored.item["expires_at"], stored.item["expire_at"]) == (99, 3 + KEPT)


def test_a_redrive_starts_anew_and_keeps_the_history(stores: Stores) -> None:
    stores.notifications.record_attempt(N.id, Attempt("ack-timeout", 1, "retry"), spends_retry=True)
    stores.notifications.fail(N.id, GONE, 2)
    stored = stores.notifications.reset_for_redrive(N.id, at=3000, expires_at=99_000).notification
    assert (stored.state, stored.generation, stored.retries_used) == (State.PLANNED, 1, 0)
    assert (stored.expires_at, stored.failed_at) == (99_000, None)
    assert [attempt.cause for attempt in stored.attempts] == ["ack-timeout", "redriven"]
    assert stored.redriven == 1


# -- attempts and recoveries -----------------------------------------------------------------------------


def test_attempts_are_kept_with_their_cause(stores: Stores) -> None:
    attempt = Attempt("server-error", 4, "retry", "the server answered 500", {USER: 3})
    stored = stores.notifications.record_attempt(
        N.id, attempt, problem=Problem("server-error", "retry"), spends_retry=True
    )
    assert stored.attempts == (attempt,)
    assert stored.retries_used == 1
    assert stored.last_error == Problem("server-error", "retry")


def test_an_attempt_that_spends_nothing_counts_nothing(stores: Stores) -> None:
    assert stores.notifications.record_attempt(N.id, Attempt("note", 1)).retries_used == 0


def test_attempts_never_outgrow_the_item(stores: Stores) -> None:
    long_ago = tuple(Attempt("again", at, "retry") for at in range(MAX_ATTEMPTS - 1))
    much_tried = replace(N, id="f" * 18, attempts=long_ago, retries_used=len(long_ago))
    stores.notifications.put_new(much_tried)
    for at in range(3):
        again = Attempt("again", at, "retry", "x" * 2000)
        stored = stores.notifications.record_attempt("f" * 18, again, spends_retry=True)
    assert (len(stored.attempts), stored.attempts_dropped) == (MAX_ATTEMPTS, 2)
    assert stored.retries_used == MAX_ATTEMPTS + 2
    assert len(stored.attempts[-1].detail) == 500


def test_a_recovery_is_kept_per_device(stores: Stores) -> None:
    stores.notifications.record_recovery(N.id, "628:1@s.whatsapp.net", Recovery(1, 5, 9))
    stored = stores.notifications.record_recovery(N.id, "628:2@s.whatsapp.net", Recovery(2, 6))
    assert dict(stored.recoveries) == {
        "628:1@s.whatsapp.net": Recovery(1, 5, 9),
        "628:2@s.whatsapp.net": Recovery(2, 6),
    }


@pytest.mark.parametrize("what", ["attempt", "recovery", "receipt"])
def test_nothing_is_noted_of_what_is_gone(what: str) -> None:
    table = MemoryTable()
    notifications = Stores(table, texts=TEXTS).notifications
    note: dict[str, Any] = {
        "attempt": lambda: notifications.record_attempt(N.id, Attempt("again", 1)),
        "recovery": lambda: notifications.record_recovery(N.id, USER, Recovery(1, 5), Attempt("again", 1)),
        "receipt": lambda: notifications.mark_receipts(N.id, ReceiptNews({f"{USER} read": 1})),
    }
    with pytest.raises(NotificationMissing):
        note[what]()
    assert table.scan().items == []


# -- the deadline for receipts ---------------------------------------------------------------------------


def test_what_got_no_receipt_is_found_by_its_deadline_and_reported_once(stored: StoredNotification) -> None:
    notifications = stored.stores.notifications
    notifications.mark_sent(N.id, {}, at=5, account="default", receipt_deadline=100)
    assert list(stored.stores.watches.overdue("default", 99)) == []
    assert list(stored.stores.watches.overdue("other", 100)) == []
    assert list(stored.stores.watches.overdue("default", 100)) == [N.id]
    assert notifications.mark_overdue(N.id, 101).applied
    assert stored.item["outcome"] == "Overdue"
    assert list(stored.stores.watches.overdue("default", 200)) == []
    assert not notifications.mark_overdue(N.id, 201).applied


@pytest.mark.parametrize("receipt", [State.DELIVERED, State.READ])
def test_a_receipt_ends_the_watch(stores: Stores, receipt: State) -> None:
    stores.notifications.mark_sent(N.id, {}, at=5, account="default", receipt_deadline=100)
    mark_receipt(stores.notifications, N.id, receipt, 50)
    assert list(stores.watches.overdue("default", 200)) == []
    assert not stores.notifications.mark_overdue(N.id, 201).applied


def test_a_late_receipt_still_counts(stores: Stores) -> None:
    stores.notifications.mark_sent(N.id, {}, at=5, account="default", receipt_deadline=100)
    stores.notifications.mark_overdue(N.id, 101)
    assert mark_receipt(stores.notifications, N.id, State.DELIVERED, 500).applied


# -- for the operator ------------------------------------------------------------------------------------


def test_the_notifications_of_a_ticket_are_found_without_its_replies(stores: Stores) -> None:
    stores.notifications.put_new(replace(N, id="f" * 18, ticket_id="TCK-2"))
    stores.replies.put("default", USER, "ABC", {"ticket_id": "TCK-1"}, 5)
    assert stores.notifications.of_ticket("TCK-1") == [N.id]


@pytest.mark.parametrize("end", ["fail", "suppress"])
def test_what_ends_without_being_sent_is_found_by_its_time(stored: StoredNotification, end: str) -> None:
    problem = Problem("opted-out", "permanent")
    getattr(stored.stores.notifications, end)(N.id, problem, 77)
    assert stored.table.newest(WATCH, WATCH_ENDED, 99, 9) == [(77, notification_key(N.id))]
