"""A dead letter as it is read, and what it asks for.

A letter is written before the state and taken away after it, so both can disagree. Then the record is right:

    failed · planned, and the queue gave it up                  open: somebody must decide
    waits, and couldn't be read when its wait was over          open: nothing else looks after it
    planned again, and not too late yet                         on its way: the letter stays until it ended
    arrived · suppressed · waits · erased · gone                settled: nobody is asked, and the letter goes
    two letters of one                                          the later one is open, the other is settled

Whoever makes a letter needless (a person who wrote first, a late receipt, `waiting cancel`, `people forget`)
has neither its receipt handle nor a right on its queue. So it goes where it is met: by `dead-letters list`
and `redrive`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tocsin.notify.dead_letters import CRASHED, UNREADABLE_RECORD
from tocsin.notify.malformed import MALFORMED, UnreadableRecord, read_json
from tocsin.notify.notification import Notification, State, was_erased
from tocsin.timestamps import from_seconds, iso

UNREADABLE = "unreadable"
"""The reason of a message that Tocsin did not write."""

MAY_FAIL_MS = 10 * 60_000
"""For so long after its letter a notification that is sent, or waits, may be about to fail: its state is
written after the letter. Twice as long as SQS folds a repeat of the letter, which might be taken for one that
is gone."""

_ARRIVED = frozenset({State.SENT, State.DELIVERED, State.READ})
_ID = re.compile(r"[0-9a-f]{18}")


@dataclass(frozen=True)
class Letter:
    """One dead letter. `failed_at`: ISO 8601, "-" if unknown; `message_id`: SQS's, empty if the letter was
    made from the notification's record; `generation`: the notification's when it was given up, None if the
    letter doesn't say."""

    notification: str
    account: str
    recipient: str
    audience: str
    reason: str
    class_: str
    detail: str
    failed_at: str
    attempts: tuple[dict[str, Any], ...]
    message_id: str = field(default="", repr=False)
    generation: int | None = None

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> Letter:
        """Read a message as SQS returns it. One that Tocsin did not write becomes an `UNREADABLE` letter."""
        try:
            body = read_json(message["Body"])
            return cls(
                notification=_id(body["notification"]),
                account=str(body["account"]),
                recipient=str(body["recipient"]),
                audience=str(body["audience"]),
                reason=str(body.get("reason", CRASHED)),
                class_=str(body.get("class", "bug")),
                detail=str(body.get("detail", "send_notification crashed on it again and again")),
                failed_at=str(body.get("failed_at", "-")),
                attempts=tuple(_attempt(one) for one in body.get("attempts", ())),
                message_id=message["MessageId"],
                generation=int(body["generation"]) if "generation" in body else None,
            )
        except MALFORMED:
            return cls(
                notification=message["MessageId"],
                account="-",
                recipient="-",
                audience="-",
                reason=UNREADABLE,
                class_="bug",
                detail="Tocsin did not write this message: it can only be dropped",
                failed_at="-",
                attempts=(),
                message_id=message["MessageId"],
            )

    @classmethod
    def of(cls, notification: Notification) -> Letter:
        """Make the letter of a failed notification from its record."""
        problem = notification.last_error
        return cls(
            notification=notification.id,
            account=notification.account,
            recipient=notification.recipient,
            audience=notification.audience,
            reason=problem.code if problem else CRASHED,
            class_=problem.class_ if problem else "bug",
            detail=problem.detail if problem else "",
            failed_at=iso(notification.failed_at) if notification.failed_at else "-",
            attempts=tuple(attempt.to_json() for attempt in notification.attempts),
            generation=notification.generation,
        )

    @property
    def was_unread(self) -> bool:
        """Whether it was written because the notification's record couldn't be read."""
        return self.reason == UNREADABLE_RECORD.code

    @property
    def failed_at_ms(self) -> int | None:
        return _ms_of(self.failed_at)


def is_within(moment: str, since: int | None, until: int | None) -> bool:
    """Whether an ISO moment lies from `since` on and before `until` (ms); of what is none only if neither
    is asked for."""
    if since is None and until is None:
        return True
    ms = _ms_of(moment)
    if ms is None:
        return False
    return (since is None or ms >= since) and (until is None or ms < until)


def _ms_of(moment: str) -> int | None:
    """An ISO moment in ms; None for what is none."""
    try:
        at = datetime.fromisoformat(moment)
        # Whoever writes one without a zone means UTC: ours have one.
        return from_seconds((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


class Standing(StrEnum):
    """What a letter asks for, as its notification's record says."""

    OPEN = "open"
    ON_ITS_WAY = "on its way"
    SETTLED = "settled"


Record = Notification | UnreadableRecord | None
"""Of a letter: None if there is none."""


def superfluous(notification: Notification | None) -> str:
    """Return why the letter of a notification need not be redriven any more; empty if it should be."""
    if notification is None:
        return "its record is gone (older than its time to live)"
    if notification.state in _ARRIVED:
        return f"it has arrived meanwhile ({notification.state})"
    if notification.state in (State.WAITING, State.SUPPRESSED):
        return f"it is {notification.state}"
    return ""


def standing(letter: Letter, record: Record, now: int) -> Standing:
    """Return what a letter asks for: where that can't be told, that somebody looks. `now`: ms."""
    if letter.reason == UNREADABLE or isinstance(record, UnreadableRecord):
        return Standing.OPEN
    try:
        return _standing(letter, record, now)
    except MALFORMED:
        return Standing.OPEN


def _standing(letter: Letter, record: Notification | None, now: int) -> Standing:
    if record is not None and was_left_waiting(letter, record, now):
        return Standing.OPEN
    if record is not None and may_fail_yet(letter, record, now):
        return Standing.ON_ITS_WAY
    if superfluous(record) or (record is not None and was_erased(record)):
        return Standing.SETTLED
    if record is None or record.state is not State.PLANNED or not _is_later(record, letter):
        return Standing.OPEN
    # Past its time, nobody brought it to an end: whoever let it go was cut off before the queue had it.
    return Standing.OPEN if record.expired(now) else Standing.ON_ITS_WAY


def was_left_waiting(letter: Letter, record: Notification, now: int) -> bool:
    """Whether nothing looks after it but its letter: when its wait was over, the record couldn't be read, and
    its place among those that wait went. `now`: ms."""
    return letter.was_unread and record.state is State.WAITING and record.expired(now)


def may_fail_yet(letter: Letter, record: Notification, now: int) -> bool:
    """Whether the letter may be one whose state is yet to be written. `now`: ms."""
    failed_at = letter.failed_at_ms
    return (
        record.state in (State.SENT, State.WAITING)
        and not _is_later(record, letter)
        and failed_at is not None
        and now < failed_at + MAY_FAIL_MS
    )


def _is_later(record: Notification, letter: Letter) -> bool:
    """Whether the notification was let go again since the letter."""
    return letter.generation is not None and letter.generation < record.generation


def _id(value: object) -> str:
    """Raises ValueError for what can't be a notification's id."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("not the id of a notification")
    return value


def _attempt(value: Any) -> dict[str, Any]:
    """One entry of a letter's history; a malformed one becomes an `UNREADABLE` one."""
    if not isinstance(value, dict) or not isinstance(value.get("numbers", {}), dict):
        return {"cause": UNREADABLE}
    return value
