"""The notifications table: forward only, one write each, and never a torso."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fake_aws import KEYS, NOTIFICATIONS, Cloud, cloud
from tocsin.notify.notification import Attempt, Notification, Problem, Recovery, State
from tocsin.notify.store.notifications import (
    KEPT_SECONDS,
    MAX_ATTEMPTS,
    NotificationMissing,
    NotificationStore,
    ReadIncomplete,
)

USER = "6281234567890@s.whatsapp.net"
N = Notification(
    id="0123456789abcdef01",
    account="default",
    ticket_id="TCK-1",
    event_type="TicketCreated",
    revision=1,
    audience="customer",
    recipient="6281234567890",
    recipient_name="Siti",
    language="id",
    text="Halo",
    created_at=1_000_000,
    expires_at=2_000,
)
GONE = Problem("gone", "permanent", "left WhatsApp")


@pytest.fixture(scope="module")
def aws() -> Iterator[Cloud]:
    with cloud() as furnished:
        yield furnished


@pytest.fixture
def store(aws: Cloud) -> NotificationStore:
    wipe(aws)
    fresh = NotificationStore(aws.dynamodb, NOTIFICATIONS, KEYS)
    assert fresh.put_new(N) is None
    return fresh


def wipe(aws: Cloud) -> None:
    for table in (NOTIFICATIONS, KEYS):
        for item in aws.dynamodb.scan(TableName=table)["Items"]:
            aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def raw(aws: Cloud) -> dict[str, Any]:
    key = {"pk": {"S": f"notification#{N.id}"}, "sk": {"S": "state"}}
    item: dict[str, Any] = aws.dynamodb.get_item(TableName=NOTIFICATIONS, Key=key)["Item"]
    return item


def bring_to(store: NotificationStore, state: State) -> None:
    steps = {
        State.PLANNED: lambda: None,
        State.WAITING: lambda: store.park(N, "away", 1),
        State.SENT: lambda: store.mark_sent(N.id, {}, at=1, account="default"),
        State.DELIVERED: lambda: store.mark_receipt(N.id, State.DELIVERED, 1),
        State.READ: lambda: store.mark_receipt(N.id, State.READ, 1),
        State.FAILED: lambda: store.fail(N.id, GONE, 1),
        State.SUPPRESSED: lambda: store.suppress(N.id, GONE, 1),
    }
    steps[state]()
    stored = store.get(N.id)
    assert stored is not None
    assert stored.state is state


# -- what was put is what is read ------------------------------------------------------------------------


def test_what_was_put_is_read(store: NotificationStore) -> None:
    assert store.get(N.id) == N
    assert store.get("0" * 18) is None


def test_a_second_put_is_refused_and_brings_the_stored_one(store: NotificationStore) -> None:
    bring_to(store, State.SENT)
    existing = store.put_new(replace(N, text="another"))
    assert existing is not None
    assert (existing.state, existing.text) == (State.SENT, "Halo")


def test_it_is_kept_at_least_thirty_days(aws: Cloud, store: NotificationStore) -> None:
    assert int(raw(aws)["expire_at"]["N"]) == N.created_at // 1000 + KEPT_SECONDS
    assert KEPT_SECONDS >= 30 * 86400


# -- states ----------------------------------------------------------------------------------------------

STEPS: dict[str, Any] = {
    "sent": lambda store: store.mark_sent(N.id, {USER: 7}, at=5, account="default"),
    "delivered": lambda store: store.mark_receipt(N.id, State.DELIVERED, 5),
    "read": lambda store: store.mark_receipt(N.id, State.READ, 5),
    "failed": lambda store: store.fail(N.id, GONE, 5),
    "suppressed": lambda store: store.suppress(N.id, GONE, 5),
    "waiting": lambda store: store.park(N, "away", 5),
    "requeue": lambda store: store.requeue(N.id),
    "redrive": lambda store: store.reset_for_redrive(N.id, at=5, expires_at=9),
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
    aws: Cloud, store: NotificationStore, before: State, step: str
) -> None:
    bring_to(store, before)
    image = raw(aws)
    transition = STEPS[step](store)
    assert transition.applied is (before not in REFUSED[step])
    if not transition.applied:
        assert raw(aws) == image
    stored = store.get(N.id)
    assert transition.notification == stored


@pytest.mark.parametrize("step", STEPS)
def test_a_step_founds_no_torso(aws: Cloud, step: str) -> None:
    wipe(aws)
    store = NotificationStore(aws.dynamodb, NOTIFICATIONS, KEYS)
    with pytest.raises(NotificationMissing):
        STEPS[step](store)
    assert aws.dynamodb.scan(TableName=NOTIFICATIONS)["Items"] == []


def test_a_receipt_that_overtakes_its_send_counts_as_sent(store: NotificationStore) -> None:
    stored = store.mark_receipt(N.id, State.READ, 7).notification
    assert (stored.sent_at, stored.delivered_at, stored.read_at) == (7, 7, 7)
    late = store.mark_sent(N.id, {}, at=9, account="default")
    assert not late.applied
    assert late.notification.sent_at == 7


def test_times_are_as_first_seen(store: NotificationStore) -> None:
    store.mark_sent(N.id, {}, at=1, account="default")
    store.mark_receipt(N.id, State.DELIVERED, 2)
    stored = store.mark_receipt(N.id, State.READ, 3).notification
    assert (stored.sent_at, stored.delivered_at, stored.read_at) == (1, 2, 3)


def test_sent_remembers_the_numbers_and_forgives_the_retries(store: NotificationStore) -> None:
    store.record_attempt(N.id, Attempt("ack-timeout", 1, "retry"), spends_retry=True)
    stored = store.mark_sent(N.id, {USER: 7}, at=2, account="default").notification
    assert stored.attempts[-1] == Attempt("sent", 2, "ok", "", {USER: 7})
    assert stored.retries_used == 0


def test_an_outcome_stands_on_the_item_only_as_long_as_nothing_else_is_written(
    aws: Cloud, store: NotificationStore
) -> None:
    """So a stream filter on the attribute sees each outcome once."""
    assert "outcome" not in raw(aws)
    store.mark_sent(N.id, {}, at=5, account="default")
    assert (raw(aws)["outcome"], raw(aws)["outcome_at"]) == ({"S": "Sent"}, {"N": "5"})
    store.record_recovery(N.id, USER, Recovery(1, 6, 8))
    assert "outcome" not in raw(aws)
    store.mark_receipt(N.id, State.DELIVERED, 7)
    assert raw(aws)["outcome"] == {"S": "Delivered"}


def test_a_redrive_starts_anew_and_keeps_the_history(store: NotificationStore) -> None:
    store.record_attempt(N.id, Attempt("ack-timeout", 1, "retry"), spends_retry=True)
    store.fail(N.id, GONE, 2)
    stored = store.reset_for_redrive(N.id, at=3000, expires_at=99).notification
    assert (stored.state, stored.generation, stored.retries_used) == (State.PLANNED, 1, 0)
    assert (stored.expires_at, stored.failed_at) == (99, None)
    assert [attempt.cause for attempt in stored.attempts] == ["ack-timeout", "redriven"]
    assert stored.redriven == 1


# -- attempts and recoveries -----------------------------------------------------------------------------


def test_attempts_are_kept_with_their_cause(store: NotificationStore) -> None:
    attempt = Attempt("server-error", 4, "retry", "the server answered 500", {USER: 3})
    stored = store.record_attempt(N.id, attempt, problem=Problem("server-error", "retry"), spends_retry=True)
    assert stored.attempts == (attempt,)
    assert stored.retries_used == 1
    assert stored.last_error == Problem("server-error", "retry")


def test_an_attempt_that_spends_nothing_counts_nothing(store: NotificationStore) -> None:
    assert store.record_attempt(N.id, Attempt("note", 1)).retries_used == 0


def test_attempts_never_outgrow_the_item(store: NotificationStore) -> None:
    long_ago = tuple(Attempt("again", at, "retry") for at in range(MAX_ATTEMPTS - 1))
    much_tried = replace(N, id="f" * 18, attempts=long_ago, retries_used=len(long_ago))
    store.put_new(much_tried)
    for at in range(3):
        stored = store.record_attempt("f" * 18, Attempt("again", at, "retry", "x" * 2000), spends_retry=True)
    assert len(stored.attempts) == MAX_ATTEMPTS
    assert stored.retries_used == MAX_ATTEMPTS + 2
    assert len(stored.attempts[-1].detail) == 500


def test_a_recovery_is_kept_per_device(store: NotificationStore) -> None:
    store.record_recovery(N.id, "628:1@s.whatsapp.net", Recovery(1, 5, 9))
    stored = store.record_recovery(N.id, "628:2@s.whatsapp.net", Recovery(2, 6))
    assert dict(stored.recoveries) == {
        "628:1@s.whatsapp.net": Recovery(1, 5, 9),
        "628:2@s.whatsapp.net": Recovery(2, 6),
    }


# -- waiting ---------------------------------------------------------------------------------------------


def test_a_parked_notification_has_state_and_row(store: NotificationStore) -> None:
    stored = store.park(N, "rate-limited", 7, due_at=9, detail="15 min").notification
    assert (stored.state, stored.waiting_since, stored.due_at) == (State.WAITING, 7, 9)
    assert stored.last_error == Problem("rate-limited", "wait", "15 min")
    (row,) = store.waiting("default")
    assert (row.notification, row.cause, row.due_at, row.expires_at) == (N.id, "rate-limited", 9, 2_000)


def test_waiting_is_read_oldest_first_and_per_account(store: NotificationStore) -> None:
    for number, created_at in enumerate([5_000_000, 20, 999_999_999_999]):
        one = replace(N, id=f"{number:018}", created_at=created_at)
        store.put_new(one)
        store.park(one, "away", 1)
    assert [row.planned_at for row in store.waiting("default")] == [20, 5_000_000, 999_999_999_999]
    assert list(store.waiting("other")) == []


def test_a_row_parked_anew_outlives_the_deletion_of_the_old_one(store: NotificationStore) -> None:
    store.park(N, "away", 1)
    (old,) = store.waiting("default")
    store.requeue(N.id)
    store.park(N, "away again", 2)
    assert store.drop_waiting(old) is False
    (row,) = store.waiting("default")
    assert row.cause == "away again"
    assert store.drop_waiting(row) is True
    assert list(store.waiting("default")) == []


def test_each_requeue_is_another_generation(store: NotificationStore) -> None:
    store.park(N, "away", 1)
    assert store.requeue(N.id).notification.generation == 1
    assert store.requeue(N.id).notification.generation == 2


# -- the deadline for receipts ---------------------------------------------------------------------------


def test_what_got_no_receipt_is_found_by_its_deadline_and_reported_once(
    aws: Cloud, store: NotificationStore
) -> None:
    store.mark_sent(N.id, {}, at=5, account="default", receipt_deadline=100)
    assert store.overdue("default", 99) == []
    assert store.overdue("default", 100) == [N.id]
    assert store.overdue("other", 100) == []
    assert store.mark_overdue(N.id, 101).applied
    assert raw(aws)["outcome"] == {"S": "Overdue"}
    assert store.overdue("default", 200) == []
    assert not store.mark_overdue(N.id, 201).applied


@pytest.mark.parametrize("receipt", [State.DELIVERED, State.READ])
def test_a_receipt_ends_the_watch(store: NotificationStore, receipt: State) -> None:
    store.mark_sent(N.id, {}, at=5, account="default", receipt_deadline=100)
    store.mark_receipt(N.id, receipt, 50)
    assert store.overdue("default", 200) == []
    assert not store.mark_overdue(N.id, 201).applied


def test_a_late_receipt_still_counts(store: NotificationStore) -> None:
    store.mark_sent(N.id, {}, at=5, account="default", receipt_deadline=100)
    store.mark_overdue(N.id, 101)
    assert store.mark_receipt(N.id, State.DELIVERED, 500).applied


# -- one read for a send ---------------------------------------------------------------------------------


def test_all_that_a_send_must_know_is_one_read(aws: Cloud, store: NotificationStore) -> None:
    address = {
        "pk": {"S": f"user#default#{USER}"},
        "sk": {"S": "address"},
        "lid": {"S": "99@lid"},
    }
    aws.dynamodb.put_item(TableName=KEYS, Item=address)
    store.opt_out("default", USER, "STOP", 5)
    counted = Counting(aws.dynamodb)
    view = NotificationStore(counted, NOTIFICATIONS, KEYS).batch_get_for_send(N.id, "default", USER)
    assert view.notification == N
    assert view.conduct.opted_out_at == 5
    assert view.address == {"lid": "99@lid"}
    assert counted.calls == ["batch_get_item"]


def test_what_is_not_there_is_none(store: NotificationStore) -> None:
    view = store.batch_get_for_send("f" * 18, "default", "nobody@s.whatsapp.net")
    assert (view.notification, view.address) == (None, None)
    assert view.conduct.opted_out_at is None


def test_unread_keys_are_read_again(aws: Cloud, store: NotificationStore) -> None:
    stingy = Stingy(aws.dynamodb, refusals=3)
    patient = NotificationStore(stingy, NOTIFICATIONS, KEYS, sleep=lambda _: None)
    assert patient.batch_get_for_send(N.id, "default", USER).notification == N
    assert stingy.asked == 4


def test_a_table_that_never_answers_is_an_error_and_no_empty_answer(
    aws: Cloud, store: NotificationStore
) -> None:
    patient = NotificationStore(Stingy(aws.dynamodb, refusals=99), NOTIFICATIONS, KEYS, sleep=lambda _: None)
    with pytest.raises(ReadIncomplete):
        patient.batch_get_for_send(N.id, "default", USER)


# -- conflicts -------------------------------------------------------------------------------------------


def test_a_transaction_in_flight_is_waited_out(aws: Cloud, store: NotificationStore) -> None:
    busy = Busy(aws.dynamodb, conflicts=3)
    patient = NotificationStore(busy, NOTIFICATIONS, KEYS, sleep=lambda _: None)
    assert patient.mark_sent(N.id, {}, at=5, account="default").applied
    assert busy.calls == 4


# -- conduct and replies ---------------------------------------------------------------------------------


def test_an_opt_out_is_news_once_and_confirmed_once(store: NotificationStore) -> None:
    assert store.opt_out("default", USER, "BERHENTI", 5)
    assert not store.opt_out("default", USER, "BERHENTI", 6)
    assert store.confirm_opt_out("default", USER, 7)
    assert not store.confirm_opt_out("default", USER, 8)
    conduct = store.conduct("default", USER)
    assert (conduct.opted_out_at, conduct.opt_out_word, conduct.confirmed_at) == (5, "BERHENTI", 7)


def test_an_opt_in_takes_it_back(store: NotificationStore) -> None:
    assert not store.opt_in("default", USER)
    store.opt_out("default", USER, "STOP", 5)
    assert store.opt_in("default", USER)
    assert store.conduct("default", USER).opted_out_at is None
    assert not store.confirm_opt_out("default", USER, 8)


def test_recoveries_count_until_a_success(store: NotificationStore) -> None:
    assert [store.count_recovery("default", USER) for _ in range(3)] == [1, 2, 3]
    store.clear_recoveries("default", USER)
    assert store.count_recovery("default", USER) == 1


def test_a_reply_is_kept_once(aws: Cloud, store: NotificationStore) -> None:
    assert store.put_reply("default", USER, "ABC", {"text": "thanks", "ticket_id": None}, 5)
    assert not store.put_reply("default", USER, "ABC", {"text": "thanks"}, 6)
    key = {"pk": {"S": f"reply#default#{USER}"}, "sk": {"S": "ABC"}}
    item = aws.dynamodb.get_item(TableName=NOTIFICATIONS, Key=key)["Item"]
    assert item["outcome"] == {"S": "ReplyReceived"}
    assert "ticket_id" not in item


# -- clients that misbehave ------------------------------------------------------------------------------


class Counting:
    """Notes the name of every call."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._client, name)


class Stingy:
    """Leaves all keys of a batch unread, as under throttling, `refusals` times."""

    def __init__(self, client: Any, refusals: int) -> None:
        self._client = client
        self._refusals = refusals
        self.asked = 0

    def batch_get_item(self, **arguments: Any) -> Any:
        self.asked += 1
        if self.asked <= self._refusals:
            return {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}
        return self._client.batch_get_item(**arguments)


class Busy:
    """Has a transaction in flight for the first `conflicts` updates."""

    def __init__(self, client: Any, conflicts: int) -> None:
        self._client = client
        self._conflicts = conflicts
        self.calls = 0

    def update_item(self, **arguments: Any) -> Any:
        self.calls += 1
        if self.calls <= self._conflicts:
            raise ClientError({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")
        return self._client.update_item(**arguments)
