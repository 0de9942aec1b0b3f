"""Upkeep of what waits: resumed when its time has come, expired when it is over, asked after when no receipt
came.

    {"resume": account}   from the connector after login: its parked notifications go back to the queue,
                          oldest first; then the connector lets fresh ones pass again
    anything else         from the schedule, each minute: the same for whatever has a date, and for an
                          account whose resume was cut short

What is paused stays. What is due goes back before what is over expires. What a limit of the account's holds
isn't over: that time is added to its expiry (`hold.py`).

A row is deleted only after its message lies in the queue, and only if it wasn't parked anew meanwhile. Run
twice at once, it puts a notification into the queue twice: the second order finds it sent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from tocsin.accounts.state import LOGGED_IN, AccountState
from tocsin.notify.dead_letters import EXPIRED, DeadLetters
from tocsin.notify.failure import Permanent
from tocsin.notify.gate import is_over_by, number_of, quiet_end
from tocsin.notify.hold import FIRST_CONTACT_CODES
from tocsin.notify.notification import Notification, State, mismatch
from tocsin.notify.portions import Counts, Portions, uncounted
from tocsin.notify.queues import NotificationsQueue, Order
from tocsin.notify.store.codec import MALFORMED
from tocsin.notify.store.notifications import tell_unreadable
from tocsin.notify.store.parking import WaitingRow
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.pace.causes import (
    ACCOUNT_PACE,
    DIGEST,
    PAUSED,
    QUIET_HOURS,
    RECIPIENT_PACE,
    RELEASED_BY_BUDGET,
    WORDS,
)
from tocsin.pace.rules import is_paused
from tocsin.people.numbers import mask_phone
from tocsin.settings.declared import AUDIENCES
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.tables.names import is_lid
from tocsin.timestamps import from_seconds

log = logging.getLogger(__name__)

MIN_SECONDS = 20.0
"""With less time than this left, no further batch is begun: the next minute goes on."""

SOON_MS = 120_000
"""A budget that has room again within so long is left alone: what was counted last isn't stored yet."""

_BATCH = 10


class NotTold(Exception):
    """The connector couldn't be told that the resume is through. The next minute tells it again."""


class Connectors(Protocol):
    """What upkeep needs of the process with the socket."""

    def state(self, account: str) -> AccountState | None:
        """The account's connection state; None if no connector holds it."""

    def resumed(self, account: str) -> None:
        """Let fresh notifications pass again. Raises NotTold."""

    def takes_first_contacts(self, account: str, *, urgent: bool = False) -> bool:
        """Whether WhatsApp lets the account write to people who don't know it, as far as it told. `urgent`:
        about what is urgent, for which the last new chats are kept."""


@dataclass
class Report:
    """What was done for one account. `waiting`: rows that stay; `mismatched`: rows that named another
    account, recipient or audience than their notification; `complete`: nothing due was left for lack of
    time; `in_use`: the account is logged in, or something waits for it."""

    account: str
    resumed: int = 0
    expired: int = 0
    overdue: int = 0
    waiting: int = 0
    mismatched: int = 0
    complete: bool = True
    in_use: bool = field(default=False, compare=False)


@dataclass
class _Run:
    """One walk through an account's rows. What was put back in it isn't put back again: what parks anew at
    once has a reason that a second try in the same second doesn't cure."""

    account: str
    time_left: Callable[[], float]
    portions: Portions
    put_back: set[str] = field(default_factory=set)
    free: dict[bool, bool] = field(default_factory=dict)


class Maintainer:
    """Looks after the waiting notifications of some accounts."""

    def __init__(
        self,
        stores: Stores,
        queue: NotificationsQueue,
        dead_letters: DeadLetters,
        connectors: Connectors,
        *,
        settings: CurrentSettings = unchanged_settings,
        counts: Counts = uncounted,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._queue = queue
        self._dead_letters = dead_letters
        self._connectors = connectors
        self._settings = settings
        self._counts = counts
        self._clock = clock

    def resume(self, account: str, time_left: Callable[[], float]) -> Report:
        """After a login: everything due back to the queue, then fresh notifications may pass."""
        report = Report(account)
        self._hold_paused(account, time_left)
        state = self._connectors.state(account)
        if state in LOGGED_IN:
            self._put_back(report, time_left, tell=state == AccountState.RESUMING)
        self._expire(report, time_left)
        self._count_waiting(report)
        report.in_use = state in LOGGED_IN or report.waiting > 0
        return report

    def sweep(self, account: str, time_left: Callable[[], float]) -> Report:
        """Each minute: a resume of what is due, and a look for receipts and for messages that never came."""
        report = self.resume(account, time_left)
        self._report_overdue(report, time_left)
        self._tell_unread(account)
        return report

    def erase_due_words(self, time_left: Callable[[], float]) -> int:
        """Erase the words of sensitive messages that are too late, of all accounts; return how many."""
        return self._stores.sensitive.erase_due(self._now_ms(), may_go_on=lambda: time_left() >= MIN_SECONDS)

    # -- what is paused -----------------------------------------------------------------------------------

    def _hold_paused(self, account: str, time_left: Callable[[], float]) -> None:
        """Let a pause use up nobody's expiry: what waited for something else when it began waits for its end
        now, in the same place."""
        settings, now = self._settings(), self._now_ms()
        if not any(is_paused(settings, account, audience) for audience in AUDIENCES):
            return
        for row in self._stores.parking.waiting(account):
            if time_left() < MIN_SECONDS:
                return
            expires_at = row.expiry(now)
            is_settled = now >= expires_at or (row.hold is not None and now < row.hold.until)
            if is_settled or not is_paused(settings, account, row.audience):
                continue
            self._hold(row, PAUSED, expires_at, now)

    def _hold(self, row: WaitingRow, cause: str, expires_at: int, now: int) -> None:
        """Let it wait for `cause` from now on, in the same place."""
        notification = self._stores.notifications.get_readable(row.notification)
        if notification is None or notification.state is not State.WAITING or mismatch(row, notification):
            return
        with suppress(NotificationMissing):
            held = replace(notification, expires_at=expires_at)
            self._stores.parking.park(held, cause, now, detail=WORDS[cause])

    # -- what is over --------------------------------------------------------------------------------------

    def _expire(self, report: Report, time_left: Callable[[], float]) -> None:
        now = self._now_ms()
        for row, expires_at in self._rows(report.account):
            if now >= expires_at:
                if time_left() < MIN_SECONDS:
                    report.complete = False
                    break
                self._bury(row, report, now)
                self._stores.parking.drop_waiting(row)

    def _rows(self, account: str) -> Iterator[tuple[WaitingRow, int]]:
        """Rows, oldest first, each with the moment from which it is over: what waits behind one that a limit
        holds isn't over before that one."""
        now = self._now_ms()
        held: dict[str, int] = {}
        for row in self._stores.parking.waiting(account):
            expires_at = max(row.expiry(now), held.get(row.recipient, 0))
            if row.hold is not None:
                held[row.recipient] = expires_at
            yield row, expires_at

    def _bury(self, row: WaitingRow, report: Report, now: int) -> None:
        try:
            notification = self._stores.notifications.get(row.notification)
        except MALFORMED:
            self._dead_letters.bury_unread(_order_of(row), now)
            report.expired += 1
            return
        if notification is None or notification.state not in (State.WAITING, State.PLANNED):
            return
        if mismatch(row, notification):
            _tell_mismatch(row, notification, report)
            return
        expired = Permanent(EXPIRED, f"waited until it was too late: {row.cause}")
        self._dead_letters.bury(notification, expired, now)
        report.expired += 1

    def _report_overdue(self, report: Report, time_left: Callable[[], float]) -> None:
        now = self._now_ms()
        found = self._stores.watches.overdue(
            report.account, now, may_go_on=lambda: time_left() >= MIN_SECONDS
        )
        for notification_id in found:
            try:
                transition = self._stores.notifications.mark_overdue(notification_id, now)
            except NotificationMissing:
                continue
            except MALFORMED as error:
                tell_unreadable(notification_id, error)
                continue
            if transition.applied:
                log.warning("no delivery receipt in time", extra={"notification": notification_id})
                report.overdue += 1

    def _tell_unread(self, account: str) -> None:
        """Somebody wrote what we couldn't read, and didn't send it again."""
        told = self._stores.replies.tell_overdue(account, self._now_ms())
        if told:
            log.warning("messages that stay unreadable", extra={"account": account, "messages": told})

    # -- what goes back to the queue -----------------------------------------------------------------------

    def _put_back(self, report: Report, time_left: Callable[[], float], *, tell: bool) -> None:
        """All that is due, until a walk finds nothing more. Then, if fresh notifications are being held back,
        they are let pass, and what parked behind the last look is put back as well."""
        portions = Portions(report.account, self._settings(), self._counts, self._clock())
        run = _Run(report.account, time_left, portions)
        self._walk_until_nothing_is_due(run, report)
        if not (tell and report.complete):
            return
        try:
            self._connectors.resumed(report.account)
        except NotTold as exc:
            log.warning("the connector was not told", extra={"account": report.account, "error": str(exc)})
            report.complete = False
            return
        self._walk_until_nothing_is_due(run, report)

    def _walk_until_nothing_is_due(self, run: _Run, report: Report) -> None:
        while moved := self._walk(run, report):
            report.resumed += moved

    def _walk(self, run: _Run, report: Report) -> int:
        moved = 0
        batch: list[tuple[WaitingRow, int]] = []
        for due in self._due(run, report):
            batch.append(due)
            if len(batch) == _BATCH:
                moved += self._requeue(run, batch, report)
                batch = []
        return moved + self._requeue(run, batch, report)

    def _due(self, run: _Run, report: Report) -> Iterator[tuple[WaitingRow, int]]:
        """Rows that may go, oldest first, with their expiry. Behind one that must wait, its recipient's later
        ones wait too. What doesn't go for want of room is held by the account's budget, whatever it waited
        for before.

        Those that may not go take time as well: it ends before the function's does.
        """
        now = self._now_ms()
        held: set[str] = set()
        for row, expires_at in self._rows(run.account):
            if run.time_left() < MIN_SECONDS:
                report.complete = False
                return
            if now >= expires_at or row.recipient in held:
                continue
            waits = row.notification in run.put_back or run.portions.holds(row)
            if waits or self._is_early(run, row, now):
                held.add(row.recipient)
            elif run.portions.take(row):
                yield row, expires_at
            else:
                held.add(row.recipient)
                is_over = row.hold is None or row.hold.until <= now
                if is_over and run.portions.is_full(row):
                    self._hold(row, DIGEST if row.cause == DIGEST else ACCOUNT_PACE, expires_at, now)

    def _is_early(self, run: _Run, row: WaitingRow, now: int) -> bool:
        """Whether its time hasn't come. A restriction of first contacts may end before the day that was
        written down when it was met; and what we hold back by a setting, once that is another one."""
        if row.due_at is None or row.due_at <= now:
            return False
        if row.cause in FIRST_CONTACT_CODES:
            return not self._is_free(run, row)
        if row.cause == QUIET_HOURS:
            return self._is_night(row, now)
        if row.cause in (RECIPIENT_PACE, DIGEST):
            return not is_over_by(row.cause, self._settings(), row.account, row.audience, row.parked_at, now)
        return row.cause not in RELEASED_BY_BUDGET or row.due_at <= now + SOON_MS

    def _is_night(self, row: WaitingRow, now: int) -> bool:
        """Whether it is, where the recipient is, by the quiet hours as they are set now."""
        place = row.recipient
        if is_lid(place):
            place = number_of(place, self._stores.people.find(row.account, place))
        return quiet_end(row.account, row.audience, place, self._settings(), now) is not None

    def _is_free(self, run: _Run, row: WaitingRow) -> bool:
        """Whether first contacts may go now, of the row's urgency; asked once in a walk."""
        if row.urgent not in run.free:
            free = self._connectors.takes_first_contacts(run.account, urgent=row.urgent)
            run.free[row.urgent] = free
        return run.free[row.urgent]

    def _requeue(self, run: _Run, rows: Sequence[tuple[WaitingRow, int]], report: Report) -> int:
        """State, then queue, then the rows: after a crash in between, the rows are there and it begins
        anew. The row of one that can't be read stays until its time is over: while a version is deployed, it
        may be that of another one. It holds up nobody."""
        orders: list[Notification] = []
        unread: set[str] = set()
        for row, expires_at in rows:
            run.put_back.add(row.notification)
            moved = expires_at if expires_at > row.expires_at else None
            try:
                transition = self._stores.parking.requeue(row.notification, row=row, expires_at=moved)
            except NotificationMissing:
                continue
            except MALFORMED as error:
                unread.add(row.notification)
                tell_unreadable(row.notification, error)
                continue
            if transition.applied:
                orders.append(transition.notification)
            elif mismatch(row, transition.notification):
                _tell_mismatch(row, transition.notification, report)
        self._queue.send_all(orders, resumed=True)
        for row, _ in rows:
            if row.notification not in unread:
                self._stores.parking.drop_waiting(row)
        return len(orders)

    def _count_waiting(self, report: Report) -> None:
        report.waiting = sum(1 for _ in self._stores.parking.waiting(report.account))

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _order_of(row: WaitingRow) -> Order:
    """What asked for a notification of which only its row can be read."""
    return Order(row.notification, row.account, row.recipient, row.audience, generation=0)


def _tell_mismatch(row: WaitingRow, notification: Notification, report: Report) -> None:
    """The row goes, the notification stays as it is: the row that is really its own looks after it."""
    report.mismatched += 1
    log.error(
        "a parked row disagrees with its notification and was dropped",
        extra={
            "notification": notification.id,
            "differs": mismatch(row, notification),
            "parked": f"{row.account}#{mask_phone(row.recipient)}",
            "recorded": f"{notification.account}#{mask_phone(notification.recipient)}",
        },
    )
