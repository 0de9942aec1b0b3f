"""What an order and its notification tell by themselves: pure answers, by which `delivery` decides."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tocsin.notify.content import Reaction
from tocsin.notify.dead_letters import EXPIRED
from tocsin.notify.failure import OUTCOME_UNKNOWN, Permanent, Recover, Retry
from tocsin.notify.hold import NUMBER_MOVED
from tocsin.notify.notification import SELF_TEST, Attempt, Notification, State, may_have_been_sent
from tocsin.notify.queues import Order
from tocsin.notify.texts.consent import CONFIRMATIONS
from tocsin.notify.transport import Sent
from tocsin.people.person import Person
from tocsin.settings.declared import DELIVERY_DEADLINE_SECONDS, NEW_NUMBER_SINCE
from tocsin.settings.values import Settings
from tocsin.timestamps import from_seconds

SPENDING = (Retry.kind, Recover.kind)


def wrong_place(order: Order, notification: Notification, lane: str | None) -> str:
    """Return what of an order's place isn't its notification's: the person, or the lane that it lay in."""
    if order.person != notification.person:
        return "person"
    own = Order.of(notification).group
    return "lane" if order.group != own or lane not in (None, own) else ""


def was_rerouted(notification: Notification, order: Order) -> bool:
    """Return whether an order is the one that sent its notification to another lane, come again."""
    return (
        notification.state is State.PLANNED
        and order.generation < notification.generation
        and order.group != Order.of(notification).group
    )


def reason_to_drop(notification: Notification, order: Order) -> str | None:
    """Return why this order has nothing to do any more, or `None` if it has.

    A queue delivers at least once. What is parked has a row that resumes it, under a generation of its own;
    whoever resumes or redrives sets the state back before enqueuing.
    """
    if notification.state is not State.PLANNED:
        return str(notification.state)
    if order.generation < notification.generation:
        return "superseded"
    return None


def earlier_codes(notification: Notification) -> Collection[str]:
    """Return the codes of the failures since the notification's retries began to count."""
    tries = [
        attempt for attempt in notification.attempts if attempt.class_ in SPENDING and not attempt.device
    ]
    recent = tries[-notification.retries_used :] if notification.retries_used else ()
    codes = {attempt.cause for attempt in recent}
    waited = notification.last_error
    if waited is not None and waited.class_ == "wait":
        codes.add(waited.code)
    if may_have_been_sent(notification):
        codes.add(OUTCOME_UNKNOWN)
    return frozenset(codes)


def expiry_of(notification: Notification) -> Permanent:
    """Return the failure of a notification that came too late, with what it had been waiting for."""
    cause = notification.last_error
    return Permanent(EXPIRED, f"last: {cause.code}" if cause else "")


def attempt_of_sent(sent: Sent, at: int) -> Attempt:
    """Return the entry in a notification's history for a message that the server accepted."""
    return Attempt("sent", at, "ok", f"{sent.devices} devices", sent.numbers, sent.copies, sent.left_out)


def receipt_deadline(notification: Notification, settings: Settings, at: int) -> int | None:
    """Return when (ms) it is to be told that no receipt came of what was sent `at`; `None`: never."""
    if notification.event_type == SELF_TEST:
        return None  # Who asked for one looks for its receipt.
    about = {"account": notification.account, "audience": notification.audience}
    return at + int(settings.value(DELIVERY_DEADLINE_SECONDS, **about)) * 1000


def is_unwanted(notification: Notification, person: Person) -> bool:
    """Return whether the person withdrew consent; that this was heard, they are told all the same."""
    return person.opted_out_at is not None and notification.event_type not in CONFIRMATIONS


def is_editable_by(edit: Notification, target: Notification, now: int, since: int = 0) -> bool:
    """Whether the edit reaches who got the message: a number's new owner has nothing that could change, and
    what was said before `since` (ms) was said from another number of ours."""
    from tocsin.notify.threads import is_editable

    is_same = None in (edit.recipient_lid, target.recipient_lid) or edit.recipient_lid == target.recipient_lid
    return is_same and is_editable(target, now, since)


def is_answer(notification: Notification) -> bool:
    """Return whether it says something to whoever wrote, not to whoever has a number."""
    return notification.event_type in CONFIRMATIONS or isinstance(notification.content, Reaction)


def waits_for_operator(notification: Notification) -> bool:
    """Return whether it waits because its number went to somebody else."""
    why = notification.last_error
    return notification.state is State.WAITING and why is not None and why.code == NUMBER_MOVED


class Acquaintance(NamedTuple):
    """`first_contact`: the person has nothing of us yet and never wrote, so WhatsApp may keep us from them.
    `known_at`: when they last did either (ms), by which the transport tells who knows its present number;
    `None` where that makes no difference."""

    first_contact: bool = False
    known_at: int | None = None


def acquaintance(notification: Notification, person: Person) -> Acquaintance:
    """Return how well the recipient knows us. A confirmation is itself an answer; we know ourselves."""
    if notification.event_type in {*CONFIRMATIONS, SELF_TEST} or notification.group is not None:
        return Acquaintance()
    return Acquaintance(person.known_at is None, person.known_at)


def number_since(settings: Settings, account: str) -> int:
    """Return when an account moved to the number that it has (ms), 0 if that is not known of."""
    return from_seconds(settings.value(NEW_NUMBER_SINCE, account=account))
