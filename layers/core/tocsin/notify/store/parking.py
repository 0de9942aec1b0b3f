"""Notifications that wait: for the account, for the end of a limit, or behind an earlier one.

A parked notification has a row, which resumes it, and a turn at its recipient, which keeps later ones behind
it. What was parked anew since its row was read has another tag.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tocsin.dynamo.table import ConditionFailed, Conflict
from tocsin.dynamo.writes import ITEM_EXISTS, Condition, Delete, Equals, Item, Put, Update
from tocsin.notify.hold import Hold, expiry, held_until
from tocsin.notify.notification import Attempt, Notification, Problem, State
from tocsin.notify.store.codec import (
    MALFORMED,
    bounded,
    bounded_attempt,
    notification_of_item,
    present,
)
from tocsin.notify.store.notifications import MAX_ATTEMPTS
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.transition import (
    OF_A_WAIT,
    TRIES,
    NotificationMissing,
    Transition,
    change,
    enters,
    untold,
)
from tocsin.people.people import People, turned_to
from tocsin.tables.notifications import notification_key, waiting_key
from tocsin.timestamps import from_seconds, to_seconds

log = logging.getLogger(__name__)

HURRY = "hurried"
"""Cause of a row behind which something urgent waits."""


@dataclass(frozen=True)
class WaitingRow:
    """A parked notification. `due_at` None: as soon as the account is connected; `held_until` None: no limit
    of the account's holds it. `urgent`: it was, when it was parked."""

    account: str
    turn: str
    notification: str
    planned_at: int
    recipient: str
    audience: str
    cause: str
    due_at: int | None
    expires_at: int
    tag: str
    parked_at: int
    held_until: int | None = None
    urgent: bool = False

    @property
    def hold(self) -> Hold | None:
        return None if self.held_until is None else Hold(self.parked_at, self.held_until)

    def expiry(self, now: int) -> int:
        """When it is given up, as it stands at `now`."""
        return expiry(self.expires_at, self.planned_at, self.hold, now)


class Parking:
    """The rows of what waits, and the line of each person. `clock`: seconds since the epoch."""

    def __init__(
        self, table: NotificationsTable, people: People, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._table = table
        self._people = people
        self._clock = clock

    def park(
        self,
        notification: Notification,
        cause: str,
        at: int,
        *,
        due_at: int | None = None,
        detail: str = "",
        behind: Notification | None = None,
    ) -> Transition:
        """Let it wait: state, row and its turn in the person's line in one transaction, so that none exists
        without the others.

        `due_at` (ms) None: as soon as the account can send. `behind`: the earlier one that it waits for; what
        holds that one holds both. Not applied if it was sent, failed or suppressed meanwhile. Raises
        NotificationMissing.
        """
        until = behind.held_until if behind is not None else held_until(cause, due_at, at)
        times = present({"due_at": due_at, "held_until": until})
        # It may wait for longer than a record is kept: row and record must outlive that.
        expire_at = self._table.expire_at(max(at, notification.expires_at, due_at or 0, until or 0))
        tag = secrets.token_hex(8)
        waits = untold(_waits(notification, Attempt(cause, at, "wait", detail), times, expire_at))
        row = Put(
            waiting_key(notification.account, notification.turn),
            {
                **_row(notification),
                "expire_at": expire_at,
                "cause": cause,
                "parked_at": at,
                "tag": tag,
                **times,
            },
        )
        turn = Update(("", ""), add={"parked": frozenset({notification.turn})})
        for name in self._people.names_on_the_way(notification.account, notification.person_name):
            try:
                in_line = turned_to(notification.account, name, turn)
                self._table.transact((waits, row, in_line), self._table.new_token())
                break
            except Conflict as refused:
                if 0 not in refused.failed:
                    continue  # the person goes by another name since
                item = refused.failed[0]
                if item is None:
                    raise NotificationMissing(notification.id) from None
                return Transition(False, notification_of_item(item, self._table.texts))
        parked = self._table.get(notification_key(notification.id))
        if parked is None:
            raise NotificationMissing(notification.id)
        return Transition(True, notification_of_item(parked, self._table.texts))

    def waiting(self, account: str) -> Iterator[WaitingRow]:
        """The account's parked notifications, oldest first, read as they are asked for. The log names rows
        that can't be read."""
        pk, _ = waiting_key(account)
        rows = (_readable_row(account, item) for item in self._table.walk(pk))
        return (row for row in rows if row is not None)

    def row_of(self, notification: Notification) -> WaitingRow | None:
        """The row of a notification that is parked, `None` if there is none that can be read."""
        item = self._table.get(waiting_key(notification.account, notification.turn))
        return _readable_row(notification.account, item) if item is not None else None

    def requeue(
        self, notification_id: str, *, row: WaitingRow | None = None, expires_at: int | None = None
    ) -> Transition:
        """Back from waiting: `planned` again, under the next generation. Applied a second time after a crash
        between this and the queue, so the row may then be resumed once more. Not applied if `row`, by which
        it was found, names another account, recipient or audience. `expires_at`: its expiry from
        now on, if that has moved. Raises NotificationMissing."""
        planned = {
            "state": State.PLANNED,
            "requeued_at": from_seconds(self._clock()),
            "expires_at": None if expires_at is None else to_seconds(expires_at),
        }
        update = Update(
            notification_key(notification_id),
            set=present(planned),
            add={"generation": 1},
            remove=(*OF_A_WAIT, TRIES),
            when=(*enters(State.PLANNED, State.WAITING, State.PLANNED), *(_of_the_same(row) if row else ())),
        )
        return change(self._table, update)

    def hurry(self, account: str, turn: str, at: int) -> None:
        """Let the parked one of this turn go with the next sweep, if it is still parked, whatever others wait
        for. `at`: now, in ms."""
        due = Update(waiting_key(account, turn), set={"due_at": at, "cause": HURRY}, when=(ITEM_EXISTS,))
        with suppress(ConditionFailed):
            self._table.update(due)

    def release(self, row: WaitingRow, at: int, *, hurried: bool = False) -> bool:
        """Let it go with the next sweep, whatever it was to wait for, unless it was parked anew since it was
        read; whether it goes. `at`: now, in ms. `hurried`: it was let go as if it were urgent."""
        freed: Item = {"due_at": at, "cause": HURRY} if hurried else {"due_at": at}
        due = Update(waiting_key(row.account, row.turn), set=freed, when=(Equals("tag", row.tag),))
        try:
            self._table.update(due)
        except ConditionFailed:
            return False
        return True

    def drop_waiting(self, row: WaitingRow) -> bool:
        """Delete the row if it wasn't parked anew since it was read; whether it was deleted."""
        try:
            self._table.delete(Delete(waiting_key(row.account, row.turn), when=(Equals("tag", row.tag),)))
        except ConditionFailed:
            return False
        return True


def _waits(notification: Notification, attempt: Attempt, times: Item, expire_at: int) -> Update:
    """The step into waiting. `times`: those of `due_at` and `held_until` that are known. `expire_at`: of the
    record from now on, seconds."""
    last = notification.attempts[-1] if notification.attempts else None
    # A limit may park it a hundred times over: its first time is history enough.
    is_news = last is None or last.cause != attempt.cause
    has_room = len(notification.attempts) < MAX_ATTEMPTS
    problem = bounded(Problem(attempt.cause, attempt.class_, attempt.detail))
    return Update(
        notification_key(notification.id),
        set={"state": State.WAITING, "last_error": problem, "expire_at": expire_at, **times},
        set_first={"waiting_since": attempt.at},
        append={"attempts": bounded_attempt(attempt)} if is_news and has_room else {},
        add={"parkings": 1},
        remove=(TRIES, *(name for name in ("due_at", "held_until") if name not in times)),
        when=enters(State.WAITING),
    )


def _row(notification: Notification) -> Item:
    return {
        **({"urgent": True} if notification.urgent or notification.hurried else {}),
        "notification": notification.id,
        "planned_at": notification.created_at,
        "recipient": notification.recipient,
        "audience": notification.audience,
        "expires_at": to_seconds(notification.expires_at),
    }


def _of_the_same(row: WaitingRow) -> tuple[Condition, ...]:
    """The row names the account, the recipient and the audience of its notification."""
    return (
        Equals("account", row.account),
        Equals("recipient", row.recipient),
        Equals("audience", row.audience),
    )


def _readable_row(account: str, item: Item) -> WaitingRow | None:
    try:
        return _waiting_row(account, item)
    except MALFORMED as error:
        log.error("unreadable row", extra={"turn": item.get("sk"), "error": type(error).__name__})
        return None


def _waiting_row(account: str, item: Item) -> WaitingRow:
    """Raises what reading a row raises that has another form than the one that is written here."""
    values: Mapping[str, Any] = item
    row = WaitingRow(
        account=account,
        turn=values["sk"],
        notification=values["notification"],
        planned_at=values["planned_at"],
        recipient=values["recipient"],
        audience=values["audience"],
        cause=values["cause"],
        due_at=values.get("due_at"),
        expires_at=from_seconds(values["expires_at"]),
        tag=values["tag"],
        # A row from before holds were written down doesn't say when it was parked.
        parked_at=values.get("parked_at", values["planned_at"]),
        held_until=values.get("held_until", held_until(values["cause"], values.get("due_at"))),
        urgent=values.get("urgent") is True,
    )
    texts = (row.notification, row.recipient, row.audience, row.cause, row.tag)
    moments = (row.planned_at, row.expires_at, row.parked_at, row.due_at or 0, row.held_until or 0)
    if not all(isinstance(one, str) for one in texts) or not all(isinstance(one, int) for one in moments):
        raise TypeError("a row of another form")
    return row
