"""What waits, as an operator sees it: who is at the head of each line, until when, and what can be done.

    release   it is due now: the next sweep, within a minute, puts it back into the queue
    cancel    it ends as `suppressed`, reason `cancelled`, without a dead letter; what is behind it goes on

What we ourselves hold back by a setting goes as if it were urgent: past quiet hours, digest and spacing, and
within the whole of a budget; a pause holds it all the same. Only the head of a line can be released:
whatever is behind it would park behind it again. A limit of WhatsApp's on the whole account isn't lifted by a
release: what is held by one parks again while it lasts, and nothing is sent against it. Printing, and asking
the operator, is the part of whoever calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from tocsin.notify.hold import ACCOUNT_LIMITS
from tocsin.notify.notification import Notification, Problem, State, mismatch
from tocsin.notify.store.parking import WaitingRow
from tocsin.notify.store.stores import Stores
from tocsin.pace.causes import HURRIED, PAUSED, RELEASED_BY_BUDGET, WORDS
from tocsin.people.person import Person
from tocsin.timestamps import from_seconds

CANCELLED = "cancelled"
BY_OPERATOR = Problem(CANCELLED, "operator", "an operator cancelled it while it waited")

NO_SUCH = "there is no such notification (any more)"
"""Why nothing was done."""

MAX_ROWS = 10_000
"""How many parked ones one look reads at most, the oldest."""

Result = Literal["released", "cancelled", "kept"]


@dataclass(frozen=True)
class Waiting:
    """One that waits. `in_front`: the notification at the head of its recipient's line, `None` if that is it
    itself. `behind`: how many wait behind it, if it is the head. `given_up_at`: in ms, as it stands now."""

    row: WaitingRow
    in_front: str | None
    behind: int
    given_up_at: int

    @property
    def is_head(self) -> bool:
        return self.in_front is None

    @property
    def is_held_by_account(self) -> bool:
        """Whether a limit of WhatsApp's on the account holds it, about which nobody can do anything."""
        return self.row.cause in ACCOUNT_LIMITS


@dataclass(frozen=True)
class Done:
    """What was done with one, and why if it isn't what was asked for."""

    notification: str
    result: Result
    why: str = ""


def lines_of(rows: Iterable[WaitingRow], now: int) -> list[Waiting]:
    """The parked ones of an account, in the order of `rows` (oldest first), each with its place in line.
    `now`: ms."""
    rows = list(rows)
    heads: dict[str, str] = {}
    behind: dict[str, int] = {}
    for row in rows:
        head = heads.setdefault(row.recipient, row.notification)
        behind[head] = behind.get(head, -1) + 1
    return [
        Waiting(
            row,
            None if heads[row.recipient] == row.notification else heads[row.recipient],
            behind.get(row.notification, 0),
            row.expiry(now),
        )
        for row in rows
    ]


class WaitingList:
    """The parked notifications of the accounts. `clock`: seconds since the epoch."""

    def __init__(self, stores: Stores, *, clock: Callable[[], float] = time.time) -> None:
        self._stores = stores
        self._clock = clock

    def of(self, account: str, *, most: int = MAX_ROWS) -> list[Waiting]:
        """Those of an account, oldest first, `most` of them."""
        return lines_of(islice(self._stores.parking.waiting(account), most), self._now_ms())

    def in_front_of(self, notification: Notification, person: Person) -> Notification | None:
        """The earliest one to the same person that is parked or on its way back, `None` if this is it."""
        for turn in sorted(person.parked):
            if turn >= notification.turn:
                return None
            earlier = self._stores.notifications.get(turn.partition("#")[2])
            if earlier is not None and earlier.state in (State.WAITING, State.PLANNED):
                return earlier
        return None

    def release(self, notification_id: str) -> Done:
        """Let it go within a minute, whatever it waits for."""
        found = self._find(notification_id)
        if isinstance(found, Done):
            return found
        notification, row = found
        person = self._stores.people.find(notification.account, notification.person_name)
        earlier = self.in_front_of(notification, person)
        if earlier is not None:
            return Done(notification_id, "kept", f"it waits behind {earlier.id}: release that one")
        hurried = row.cause in HURRIED and self._stores.notifications.hurry(notification_id)
        if not self._stores.parking.release(row, self._now_ms(), hurried=hurried):
            return Done(notification_id, "kept", "it was parked anew just now: try again")
        return Done(notification_id, "released", _how_far(row.cause))

    def cancel(self, notification_id: str) -> Done:
        """End it. State first, then the line, then the row: after a crash in between, the next sweep finds
        the row of one that has ended, and drops it."""
        found = self._find(notification_id)
        if isinstance(found, Done):
            return found
        notification, row = found
        ended = self._stores.notifications.suppress(notification_id, BY_OPERATOR, self._now_ms())
        if not ended.applied:
            return Done(notification_id, "kept", f"it is {ended.notification.state} by now")
        self._stores.people.leave_line(notification.account, notification.person_name, notification.turn)
        self._stores.parking.drop_waiting(row)
        return Done(notification_id, "cancelled")

    def _find(self, notification_id: str) -> tuple[Notification, WaitingRow] | Done:
        notification = self._stores.notifications.get(notification_id)
        if notification is None:
            return Done(notification_id, "kept", NO_SUCH)
        row = self._stores.parking.row_of(notification)
        if notification.state is not State.WAITING or row is None:
            return Done(notification_id, "kept", f"it does not wait: it is {notification.state}")
        if differs := mismatch(row, notification):
            return Done(notification_id, "kept", f"its row names another {differs}; the next sweep drops it")
        return notification, row

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _how_far(cause: str) -> str:
    """What may keep a released one all the same, by what held it; empty if nothing of that kind."""
    if cause == PAUSED:
        return f"it waits on while {WORDS[PAUSED]}"
    if cause in RELEASED_BY_BUDGET:
        return "it parks again if the part of the budget that is kept for urgent messages is used up as well"
    return f"it parks again while {cause} lasts" if cause in ACCOUNT_LIMITS else ""
