"""The end of a notification that can't arrive: first the dead letter, then the state.

In this order, because a crash between the two then repeats the letter (its deduplication id folds the
repeat) instead of losing it.
"""

from __future__ import annotations

from dataclasses import replace

from tocsin.notify.failure import Failure
from tocsin.notify.notification import SELF_TEST, Attempt, Notification, Problem, State
from tocsin.notify.queues import DeadLetter, DeadLettersQueue, Order
from tocsin.notify.store.stores import Stores

CRASHED = "crashed"
EXPIRED = "expired"
RECOVERY_EXHAUSTED = "recovery-exhausted"
RECOVERY_BUDGET = "recovery-budget"
UNREADABLE_RECORD = Problem(
    "unreadable-record", "bug", "the notification's record has another form than this version writes"
)
MALFORMED_ORDER = "malformed-order"


class DeadLetters:
    """Where notifications end that nobody can deliver, each with its reason, attempts and history."""

    def __init__(self, stores: Stores, queue: DeadLettersQueue) -> None:
        self._stores = stores
        self._queue = queue

    def bury(self, notification: Notification, failure: Failure, at: int) -> bool:
        """Write the dead letter and set the state to `failed`. Return whether it failed by this.

        `at` is in milliseconds. Not applied to a notification that was acknowledged meanwhile: the letter
        then stands for nothing, and a redrive of it finds the notification sent.
        """
        attempt = attempt_of(failure, at)
        problem = problem_of(failure)
        buried = replace(notification, attempts=(*notification.attempts, attempt))
        if notification.event_type != SELF_TEST:  # nobody sends one again: the next is made anew
            self._queue.send(buried, problem, at)
        lid = notification.recipient_lid
        erase = notification.sensitive and failure.code == EXPIRED
        transition = self._stores.notifications.fail(
            notification.id, problem, at, attempt, recipient_lid=lid, erase=erase
        )
        return transition.applied or transition.notification.state is State.FAILED

    def bury_unread(self, order: Order, at: int) -> None:
        """Write the dead letter of an order whose notification can't be read, and so can't be changed. Once
        another version reads it, it is redriven as one that crashed its way here. `at`: ms."""
        self._queue.send_letter(DeadLetter(order, UNREADABLE_RECORD, (), at))

    def bury_malformed(self, body: str, lane: str | None, message_id: str) -> None:
        """Put aside what is no order, as it came."""
        self._queue.send_malformed(body, lane, message_id, MALFORMED_ORDER)


def attempt_of(failure: Failure, at: int) -> Attempt:
    """Return the entry in a notification's history for a failed try at `at` (milliseconds)."""
    return Attempt(failure.code, at, failure.kind, failure.detail, failure.numbers, failure.copies)


def problem_of(failure: Failure) -> Problem:
    """Return what a notification remembers as its last error."""
    return Problem(failure.code, failure.kind, failure.detail)
