"""The self-test: a message of each account to its own chat, by the way that every other message goes.

    asked ── ticket events queue ── planned ── sent ── the account's own phone has it: arrived
      └──────────────── not in time, or failed: the last one failed, and the next comes soon

One is under way for each account at a time. It expires long before the next one, so nothing piles up.
Nobody's system is told of it, it is of no ticket, and no dead letter comes of it. Moments are milliseconds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from tocsin.notify.notification import SELF_TEST, Notification, State
from tocsin.tables.names import is_lid

SEND_WITHIN_MS: Final = 10 * 60_000
"""What isn't sent by then expires."""

ARRIVE_WITHIN_MS: Final = 30 * 60_000
"""A phone that sleeps at night wakes up within that time, as a rule."""

AGAIN_AFTER_MS: Final = 15 * 60_000
"""After one that failed the next one comes so soon, so that the alarm ends when the trouble does."""

PERIODS_MS: Final = {"hourly": 3_600_000, "daily": 86_400_000}
"""The parameter `SelfTest`: every how many ms one is made, counted from midnight UTC."""

SOURCE: Final = "tocsin"

SELF_TEST_TICKET: Final = "self-test"
"""What stands in the place of a ticket's id."""


_ID = re.compile(r"[0-9a-f]{18}")
_NEVER: Final = 10**13
"""The year 2286."""


class Result(StrEnum):
    """How a self-test ended. `SKIPPED`: the account isn't linked, so there was nothing to test."""

    OPEN = "open"
    ARRIVED = "arrived"
    FAILED = "failed"
    SKIPPED = "skipped"


NOT_PLANNED, NOT_SENT, NO_RECEIPT = "not-planned", "not-sent", "no-receipt"
"""Causes of a failure, beside the codes of failures and the states of an account that isn't connected."""


@dataclass(frozen=True)
class SelfTest:
    """The last self-test of an account. `notification`: its id, `None` if none was asked for, since the
    account isn't connected. `cause`: why it failed or was skipped. `arrived_at`: when the last one arrived
    that did. `failing`: none has arrived since one failed."""

    notification: str | None
    asked_at: int
    result: Result = Result.OPEN
    cause: str = ""
    ended_at: int | None = None
    arrived_at: int | None = None
    sent_at: int | None = None
    failing: bool = False

    def ended(self, result: Result, at: int, cause: str = "") -> SelfTest:
        arrived_at = at if result is Result.ARRIVED else self.arrived_at
        failing = result is Result.FAILED
        return replace(self, result=result, cause=cause, ended_at=at, arrived_at=arrived_at, failing=failing)


def judged(test: SelfTest, notification: Notification | None, now: int) -> SelfTest:
    """The self-test as its notification tells it at `now`. One that may still arrive stays open."""
    if test.result is not Result.OPEN:
        return test
    if notification is None:
        late = now > test.asked_at + SEND_WITHIN_MS
        return test.ended(Result.FAILED, now, NOT_PLANNED) if late else test
    test = replace(test, sent_at=notification.sent_at)
    problem = notification.last_error
    match notification.state:
        case State.DELIVERED | State.READ:
            return test.ended(Result.ARRIVED, notification.delivered_at or now)
        case State.FAILED | State.SUPPRESSED:
            return test.ended(Result.FAILED, now, problem.code if problem else str(notification.state))
        case State.SENT:
            late = now > test.asked_at + ARRIVE_WITHIN_MS
            return test.ended(Result.FAILED, now, NO_RECEIPT) if late else test
    late = now > test.asked_at + SEND_WITHIN_MS
    return test.ended(Result.FAILED, now, problem.code if problem else NOT_SENT) if late else test


def due_at(last: SelfTest | None, period: int) -> int:
    """From when on the next one is to be asked for. The first one: at once."""
    if last is None:
        return 0
    if last.result is Result.ARRIVED:
        return (last.asked_at // period + 1) * period
    return last.asked_at + AGAIN_AFTER_MS


@dataclass(frozen=True)
class SelfTestOrder:
    """What the planner is asked for. `notification`: the id that it gets; `recipient`: the account's own LID
    (a bare JID)."""

    account: str
    notification: str
    recipient: str
    asked_at: int

    def to_json(self) -> str:
        return json.dumps({"source": SOURCE, "detail-type": SELF_TEST, "detail": vars(self)})

    @classmethod
    def parse(cls, body: str) -> SelfTestOrder | None:
        """The order in a message of the ticket events queue; `None`: it is something else."""
        if SELF_TEST not in body:
            return None
        try:
            event = json.loads(body)
            if (event["source"], event["detail-type"]) != (SOURCE, SELF_TEST):
                return None
            detail: dict[str, Any] = event["detail"]
            order = cls(**detail)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return order if order._is_sound() else None

    def _is_sound(self) -> bool:
        texts = (self.account, self.notification, self.recipient)
        return (
            all(isinstance(one, str) for one in texts)
            and _ID.fullmatch(self.notification) is not None
            and is_lid(self.recipient)
            and isinstance(self.asked_at, int)
            and 0 <= self.asked_at < _NEVER
        )
