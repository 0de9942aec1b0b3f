"""A dead letter is redriven, dropped or kept, as its notification's record decides; nobody is told twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.memory_queue import MemoryQueue
from tests.support.notifications import a_notification
from tests.support.receipts import mark_receipt
from tests.support.sealed_texts import TEXTS
from tests.support.settings import chosen
from tocsin.notify.cold import MUST_WRITE_FIRST, ColdRecipients
from tocsin.notify.dead_letters import UNREADABLE_RECORD
from tocsin.notify.letters import Letter
from tocsin.notify.malformed import UnreadableRecord
from tocsin.notify.notification import Attempt, Notification, Problem, State
from tocsin.notify.queues import DeadLetter, Order
from tocsin.notify.redrive import Redriver, Selection
from tocsin.notify.store.notifications import Notifications
from tocsin.notify.store.stores import Stores

NOW = 1_800_000_000
"""Seconds."""

EXPIRY_SECONDS = 7200
SERVER_ERROR = Problem("server-error", "retry", "the server answered 500")


@dataclass
class FailedNotifications:
    """Notifications that failed, their letters, and what a redriver sends again."""

    stores: Stores
    letters: MemoryQueue = field(default_factory=MemoryQueue)
    sent: list[Notification] = field(default_factory=list)
    count: int = 0
    now: int = NOW

    @property
    def store(self) -> Notifications:
        return self.stores.notifications

    @property
    def redriver(self) -> Redriver:
        return Redriver(
            self.store,
            self.letters,
            self,
            settings=chosen(notification_expiry_seconds=EXPIRY_SECONDS),
            clock=lambda: float(self.now),
        )

    def send(self, notification: Notification) -> None:
        self.sent.append(notification)

    def planned(self, **changes: Any) -> Notification:
        self.count += 1
        notification = a_notification(
            id=f"{self.count:018}",
            recipient_name="",
            created_at=(NOW - 600) * 1000,
            expires_at=NOW * 1000,
        )
        notification = replace(notification, **changes)
        self.store.put_new(notification)
        return notification

    def failed(self, problem: Problem = SERVER_ERROR, **changes: Any) -> Notification:
        planned = self.planned(**changes)
        self.fail(planned, problem)
        return planned

    def fail(self, notification: Notification, problem: Problem = SERVER_ERROR) -> None:
        """It fails, and has a letter."""
        self.store.fail(notification.id, problem, NOW * 1000, Attempt(problem.code, NOW * 1000, "retry"))
        letter = DeadLetter(Order.of(self.stored(notification)), problem, (), NOW * 1000)
        named = {name: getattr(notification, name) for name in ("account", "recipient", "audience")}
        self.letters.put(json.dumps(letter.to_json() | named))

    def stored(self, notification: Notification) -> Notification:
        found = self.store.get(notification.id)
        assert found is not None
        return found

    def redrive(self, selection: Selection | None = None, *, dry_run: bool = False) -> list[tuple[str, str]]:
        """The result of each letter and why."""
        done = self.redriver.redrive(selection or Selection(), dry_run=dry_run)
        return [(one.result, one.why) for one in done]


@pytest.fixture
def dead() -> FailedNotifications:
    aws = MemoryAws()
    return FailedNotifications(Stores(aws.notifications_table, aws.keys_table, texts=TEXTS))


# -- redriving ---------------------------------------------------------------------------------------------


def test_a_redriven_notification_starts_anew_and_its_letter_is_gone(dead: FailedNotifications) -> None:
    failed = dead.failed()
    assert dead.redrive() == [("redriven", "")]
    stored = dead.stored(failed)
    assert (stored.state, stored.retries_used, stored.generation) == (State.PLANNED, 0, 1)
    assert stored.expires_at == (NOW + EXPIRY_SECONDS) * 1000
    assert dead.sent == [stored]
    assert dead.letters.count() == 0


def test_the_selection_decides_which_ones(dead: FailedNotifications) -> None:
    first, gone, third = dead.failed(), dead.failed(Problem("gone", "permanent")), dead.failed()
    dead.redrive(Selection(reason="gone"))
    dead.redrive(Selection(notification=third.id))
    assert [one.id for one in dead.sent] == [gone.id, third.id]
    assert [letter.notification for letter in dead.redriver.read()] == [first.id]


def test_a_letter_that_sqs_moved_after_crashes_is_redriven(dead: FailedNotifications) -> None:
    """It is the order as it was: without a reason, and its notification never became `failed`."""
    planned = dead.planned()
    dead.letters.put(json.dumps(Order.of(planned).to_json()))
    assert dead.redrive(Selection(reason="crashed")) == [("redriven", "")]


def test_a_redrive_that_crashed_before_the_letter_was_deleted_can_be_repeated(
    dead: FailedNotifications,
) -> None:
    failed = dead.failed()
    (letter,) = dead.letters.bodies
    dead.redrive()
    dead.letters.put(letter)
    assert dead.redrive() == [("redriven", "")]
    assert dead.stored(failed).generation == 2, "the older order is superseded, not sent"


def test_one_that_fails_again_at_once_is_redriven_once(dead: FailedNotifications) -> None:
    """Else `redrive --all` would never end with a number that is not on WhatsApp."""
    failed = dead.failed()
    for done in dead.redriver.redrive(Selection()):
        assert done.result == "redriven"
        dead.fail(failed)
    assert len(dead.sent) == 1
    assert dead.letters.count() == 1


def test_one_that_is_named_but_cannot_be_read_is_redriven_from_its_record(dead: FailedNotifications) -> None:
    dead.letters.readable = 1
    _, hidden = dead.failed(), dead.failed()
    assert dead.redrive(Selection(notification=hidden.id)) == [("redriven", "")]
    assert [one.id for one in dead.sent] == [hidden.id]
    assert dead.letters.count() == 2


def test_a_name_that_no_failed_notification_has_does_nothing(dead: FailedNotifications) -> None:
    planned = dead.planned()
    assert dead.redrive(Selection(notification=planned.id)) == []
    assert dead.redrive(Selection(notification="f" * 18)) == []


# -- dropping what is superfluous, keeping what can't be sent ------------------------------------------------


def test_what_arrived_meanwhile_is_not_sent_again(dead: FailedNotifications) -> None:
    failed = dead.failed()
    mark_receipt(dead.store, failed.id, State.DELIVERED, NOW * 1000)
    assert dead.redrive() == [("dropped", "it has arrived meanwhile (delivered)")]
    assert dead.sent == []
    assert dead.letters.count() == 0


def test_a_letter_whose_record_expired_is_dropped(dead: FailedNotifications) -> None:
    order = Order("0" * 18, "default", "6281234567890", "customer", 0)
    dead.letters.put(json.dumps(order.to_json()))
    assert dead.redrive() == [("dropped", "its record is gone (older than its time to live)")]


@pytest.mark.parametrize("name", ["account", "recipient", "audience"])
def test_a_letter_that_names_another_than_its_record_is_dropped(dead: FailedNotifications, name: str) -> None:
    failed = dead.planned()
    dead.fail(replace(failed, **{name: "another"}))
    assert dead.redrive() == [("dropped", f"it names another {name} than its notification")]
    assert dead.sent == []
    assert dead.stored(failed).state is State.FAILED


@pytest.mark.parametrize("dry_run", [False, True])
def test_one_without_a_usable_address_is_kept_and_says_what_to_do(
    dead: FailedNotifications, dry_run: bool
) -> None:
    dead.failed(recipient="", refused_address="0812 ask Budi")
    [(result, why)] = dead.redrive(dry_run=dry_run)
    assert result == "kept"
    assert "let that send the event again" in why


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_message_that_tocsin_did_not_write_is_kept(dead: FailedNotifications, dry_run: bool) -> None:
    dead.letters.put("hello?")
    (letter,) = dead.redriver.read()
    assert (letter.notification, letter.reason) == ("message-1", "unreadable")
    assert dead.redrive(dry_run=dry_run) == [("kept", letter.detail)]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_letter_whose_record_cannot_be_read_is_kept(dead: FailedNotifications, dry_run: bool) -> None:
    spoil(dead, dead.failed())
    assert dead.redrive(dry_run=dry_run) == [("kept", "its record can't be read")]


def test_a_hidden_one_whose_record_cannot_be_read_is_an_error(dead: FailedNotifications) -> None:
    failed = dead.failed()
    spoil(dead, failed)
    dead.letters.readable = 0
    with pytest.raises(UnreadableRecord, match=failed.id):
        dead.redrive(Selection(notification=failed.id))


def spoil(dead: FailedNotifications, notification: Notification) -> None:
    """Its record loses a field that every record has."""
    real = dead.store.get

    def get(notification_id: str) -> Notification | None:
        if notification_id == notification.id:
            raise KeyError("recipient")
        return real(notification_id)

    dead.store.get = get  # type: ignore[method-assign]


# -- letters and records that disagree ----------------------------------------------------------------------


Change = Callable[[FailedNotifications, Notification], object]


def _wrote_first(dead: FailedNotifications, failed: Notification) -> None:
    dead.stores.people.note_must_write_first("default", failed.person_name, failed.id, NOW * 1000)
    cold = ColdRecipients(dead.stores, dead, clock=lambda: float(NOW))
    assert cold.may_write_to("default", failed.person_name) == 1


def _sent(dead: FailedNotifications, failed: Notification) -> None:
    dead.store.mark_sent(failed.id, {}, at=NOW * 1000, account="default")


def _wrote_first_and_sent(dead: FailedNotifications, failed: Notification) -> None:
    _wrote_first(dead, failed)
    _sent(dead, failed)


def _wrote_first_and_cancelled(dead: FailedNotifications, failed: Notification) -> None:
    _wrote_first(dead, failed)
    dead.store.suppress(failed.id, Problem("cancelled", "operator"), NOW * 1000)


def _wrote_first_and_parked(dead: FailedNotifications, failed: Notification) -> None:
    _wrote_first(dead, failed)
    dead.stores.parking.park(dead.stored(failed), "paused", NOW * 1000)


def _delivered(dead: FailedNotifications, failed: Notification) -> None:
    mark_receipt(dead.store, failed.id, State.DELIVERED, NOW * 1000)


def _forgotten(dead: FailedNotifications, failed: Notification) -> None:
    assert dead.stores.belongings.erase_notification(failed.id, NOW * 1000)


MADE_NEEDLESS: dict[str, Change] = {
    "they wrote first, and it was sent": _wrote_first_and_sent,
    "they wrote first, and it was cancelled": _wrote_first_and_cancelled,
    "they wrote first, and it was parked": _wrote_first_and_parked,
    "a late receipt": _delivered,
    "the person was forgotten": _forgotten,
}

WROTE_FIRST = Problem(MUST_WRITE_FIRST, "permanent")


@pytest.mark.parametrize("change", MADE_NEEDLESS.values(), ids=MADE_NEEDLESS)
def test_a_letter_that_nobody_needs_is_not_open_and_goes_when_it_is_met(
    dead: FailedNotifications, change: Change
) -> None:
    other, failed = dead.failed(), dead.failed(WROTE_FIRST)
    change(dead, failed)
    box = dead.redriver.box(tidy=True)
    assert [letter.notification for letter in box.open] == [other.id]
    assert (box.passed, box.hidden) == (0, 0)
    assert len(dead.letters.bodies) == 1


@pytest.mark.parametrize("change", MADE_NEEDLESS.values(), ids=MADE_NEEDLESS)
def test_who_may_only_look_isn_t_shown_it_either(dead: FailedNotifications, change: Change) -> None:
    dead.letters.is_readonly = True
    change(dead, dead.failed(WROTE_FIRST))
    box = dead.redriver.box(tidy=True)
    assert (box.open, box.passed, len(dead.letters.bodies)) == ((), 1, 1)


def test_to_count_takes_nothing_away(dead: FailedNotifications) -> None:
    _delivered(dead, dead.failed())
    assert dead.redriver.count_open() == 0
    assert len(dead.letters.bodies) == 1


def test_twin_a_failed_one_stays_open_however_often_it_is_looked_at(dead: FailedNotifications) -> None:
    dead.failed(WROTE_FIRST)
    assert [dead.redriver.count_open() for _ in range(3)] == [1, 1, 1]


def test_what_is_on_its_way_again_is_not_open_and_its_letter_stays(dead: FailedNotifications) -> None:
    _wrote_first(dead, dead.failed(WROTE_FIRST))
    box = dead.redriver.box(tidy=True)
    assert (box.open, box.passed) == ((), 1)
    assert len(dead.letters.bodies) == 1


def test_what_nobody_brought_to_an_end_in_its_time_is_open_again(dead: FailedNotifications) -> None:
    """Whoever let it go was cut off before the queue had it: the letter is all that is left."""
    _wrote_first(dead, dead.failed(WROTE_FIRST))
    dead.now += 7 * 24 * 3600
    assert dead.redriver.count_open() == 1
    assert dead.redrive() == [("redriven", "")]


def test_of_two_letters_of_one_notification_the_later_one_is_open(dead: FailedNotifications) -> None:
    failed = dead.failed(WROTE_FIRST)
    _wrote_first(dead, failed)
    dead.fail(failed, SERVER_ERROR)
    assert [letter.reason for letter in dead.redriver.box(tidy=True).open] == ["server-error"]
    assert len(dead.letters.bodies) == 1


def test_what_goes_makes_room_for_those_behind_it(dead: FailedNotifications) -> None:
    dead.letters.readable = 10
    for _ in range(10):
        _delivered(dead, dead.failed())
    behind = dead.failed()
    assert [letter.notification for letter in dead.redriver.box(tidy=True).open] == [behind.id]


def test_what_was_tidied_away_is_not_taken_for_hidden(
    dead: FailedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS's count still holds for up to a minute what was deleted."""
    for _ in range(3):
        _delivered(dead, dead.failed())
    dead.failed()
    monkeypatch.setattr(dead.letters, "count", lambda: dead.letters.sent)
    box = dead.redriver.box(tidy=True)
    assert (len(box.open), box.passed, box.hidden) == (1, 0, 0)


@pytest.mark.parametrize("minutes", [0, 9])
def test_the_letter_of_one_that_is_about_to_fail_stays(dead: FailedNotifications, minutes: int) -> None:
    """The letter comes before the state. Were it taken away between the two, the failure had none, and SQS
    would fold its repeat."""
    planned = dead.planned()
    _sent(dead, planned)
    dead.letters.put(json.dumps(DeadLetter(Order.of(planned), SERVER_ERROR, (), NOW * 1000).to_json()))
    dead.now += minutes * 60
    assert dead.redriver.count_open() == 0
    [(result, why)] = dead.redrive()
    assert (result, "arrived meanwhile (sent)" in why) == ("kept", True)
    dead.store.fail(planned.id, SERVER_ERROR, NOW * 1000)
    assert dead.redriver.count_open() == 1


def test_twin_after_ten_minutes_it_is_not_about_to_fail(dead: FailedNotifications) -> None:
    planned = dead.planned()
    _sent(dead, planned)
    dead.letters.put(json.dumps(DeadLetter(Order.of(planned), SERVER_ERROR, (), NOW * 1000).to_json()))
    dead.now += 10 * 60
    assert dead.redrive() == [("dropped", "it has arrived meanwhile (sent)")]


def _left_waiting(dead: FailedNotifications, **changes: Any) -> Notification:
    """When its wait was over, a version that couldn't read its record buried it, and its row went."""
    waits = dead.planned(**changes)
    dead.stores.parking.park(dead.stored(waits), "disconnected", NOW * 1000)
    [row] = dead.stores.parking.waiting("default")
    dead.stores.parking.drop_waiting(row)
    order = replace(Order.of(dead.stored(waits)), generation=0)
    dead.letters.put(json.dumps(DeadLetter(order, UNREADABLE_RECORD, (), NOW * 1000).to_json()))
    return waits


@pytest.mark.parametrize("minutes", [0, 11])
@pytest.mark.parametrize("generation", [0, 2])
def test_what_could_not_be_read_when_its_wait_was_over_is_open_and_redriven(
    dead: FailedNotifications, minutes: int, generation: int
) -> None:
    waits = _left_waiting(dead, generation=generation)
    dead.now += minutes * 60
    assert len(dead.redriver.box(tidy=True).open) == 1
    assert dead.redrive() == [("redriven", "")]
    stored = dead.stored(waits)
    assert (stored.state, stored.waiting_since, len(dead.sent)) == (State.PLANNED, None, 1)


def test_twin_while_it_may_wait_its_row_looks_after_it(dead: FailedNotifications) -> None:
    _left_waiting(dead, expires_at=(NOW + 3600) * 1000)
    dead.now += 11 * 60
    assert dead.redrive() == [("dropped", "it is waiting")]


# -- without doing it, and giving up -------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(dead: FailedNotifications) -> None:
    failed, arrived = dead.failed(), dead.failed()
    mark_receipt(dead.store, arrived.id, State.DELIVERED, NOW * 1000)
    assert dead.redrive(dry_run=True) == [
        ("kept", "would be sent again"),
        ("kept", "would be dropped: it has arrived meanwhile (delivered)"),
    ]
    assert dead.stored(failed).state is State.FAILED
    assert dead.letters.count() == 2


def test_a_dropped_letter_is_gone_and_its_notification_stays_failed(dead: FailedNotifications) -> None:
    failed, other = dead.failed(), dead.failed()
    (done,) = dead.redriver.drop(Selection(notification=failed.id))
    assert (done.result, done.why) == ("dropped", "")
    assert dead.stored(failed).state is State.FAILED
    assert [letter.notification for letter in dead.redriver.read()] == [other.id]


def test_a_dry_run_drops_nothing(dead: FailedNotifications) -> None:
    dead.failed()
    (done,) = dead.redriver.drop(Selection(), dry_run=True)
    assert (done.result, done.why) == ("kept", "would be dropped")
    assert dead.letters.count() == 1


def test_what_is_on_its_way_again_keeps_its_letter_unless_it_is_named(dead: FailedNotifications) -> None:
    """Nobody was shown it. Should whoever let it go have been cut off, the letter is all that is left."""
    failed = dead.failed(WROTE_FIRST)
    _wrote_first(dead, failed)
    for dry_run in (True, False):
        (done,) = dead.redriver.drop(Selection(among=[failed.id]), dry_run=dry_run)
        assert (done.result, done.why) == ("kept", "it is on its way")
    assert dead.letters.count() == 1
    (done,) = dead.redriver.drop(Selection(notification=failed.id))
    assert (done.result, dead.letters.count()) == ("dropped", 0)


def test_twin_what_is_at_its_end_is_dropped_with_all_others(dead: FailedNotifications) -> None:
    _delivered(dead, dead.failed())
    dead.failed()
    assert [done.result for done in dead.redriver.drop(Selection())] == ["dropped", "dropped"]


def test_the_letter_of_a_record_says_what_the_one_in_the_queue_says(dead: FailedNotifications) -> None:
    failed = dead.failed()
    (letter,) = dead.redriver.read()
    of_record = Letter.of(dead.stored(failed))
    assert replace(of_record, attempts=(), message_id=letter.message_id) == letter
