"""People to whom WhatsApp lets the account write only once they have written: noted, and sent by themselves.

    463, and no lock ──▶ dead letter `recipient-must-write-first`, the person noted with it
    they write · they trust us (a privacy token) · the owner writes to them from the phone
                     ──▶ the note goes, what was refused is sent again

No timer tries again: each refused attempt counts against the account. While somebody is noted, whatever else
is for them becomes such a dead letter without an attempt. An operator's redrive tries all the same.

A lock of the whole account (`hold.FIRST_CONTACT_CODES`) keeps nobody back who writes: in a chat in which they
wrote WhatsApp lets messages pass. What was parked for them because of it goes with the next sweep.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from tocsin.notify.failure import Permanent
from tocsin.notify.hold import FIRST_CONTACT_CODES
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.parking import WaitingRow
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.people.person import Person
from tocsin.settings.declared import NOTIFICATION_EXPIRY_SECONDS
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.timestamps import from_seconds

log = logging.getLogger(__name__)

MUST_WRITE_FIRST = "recipient-must-write-first"
"""Code of a `Permanent` for one person whom WhatsApp doesn't let the account write to first."""

REMEDY = "they must write to the account once; 'tocsin people invite' makes a link to the chat"

MAX_NOTED = 100
"""Notifications of one person that are sent by themselves once they write; the rest is redriven by hand."""


class Orders(Protocol):
    """Where a notification is put that is to be sent (`NotificationsQueue`)."""

    def send(self, notification: Notification) -> None: ...


def is_barred(notification: Notification, person: Person, since: int = 0) -> bool:
    """Whether to try would only be refused again. What an operator redrives is tried. `since`: when the
    account got its number (ms); what WhatsApp said of an earlier one bars nobody."""
    noted_at = person.must_write_first_at
    return noted_at is not None and noted_at >= since and not notification.redriven


def refusal(detail: str = "") -> Permanent:
    """Return the failure of what is for somebody who is noted."""
    return Permanent(MUST_WRITE_FIRST, f"{detail}; {REMEDY}" if detail else REMEDY)


def note(stores: Stores, notification: Notification, person: Person, at: int, since: int = 0) -> None:
    """Note the person, with the notification that is to be sent once they write. `at`, `since`: ms."""
    is_anew = person.must_write_first_at is not None and person.must_write_first_at < since
    if len(person.refused) >= MAX_NOTED and not is_anew:
        return
    stores.people.note_must_write_first(notification.account, person.id, notification.id, at, is_anew=is_anew)


def locked_row(stores: Stores, person: Person) -> WaitingRow | None:
    """The row of the first that waits for this person, if it is a lock of first contacts that holds it."""
    for turn in sorted(person.parked):
        first = stores.notifications.get_readable(turn.partition("#")[2])
        if first is None or first.state is not State.WAITING:
            continue  # it came to its end meanwhile
        row = stores.parking.row_of(first)
        return row if row is not None and row.cause in FIRST_CONTACT_CODES else None
    return None


class ColdRecipients:
    """Lets what was refused go, once it may. `clock`: seconds since the epoch."""

    def __init__(
        self,
        stores: Stores,
        orders: Orders,
        *,
        settings: CurrentSettings = unchanged_settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._orders = orders
        self._settings = settings
        self._clock = clock

    def may_write_to(self, account: str, name: str) -> int:
        """WhatsApp lets the account write to the person of this name (bare JID) from now on. Return how many
        notifications go out because of it."""
        return self.release(account, self._stores.people.find(account, name))

    def release(self, account: str, person: Person) -> int:
        """As `may_write_to`, of a person that was read already. The note goes last: after a crash in between
        all of it is done again, and what was sent meanwhile stays sent."""
        if person.must_write_first_at is None:
            return 0
        refused = self._stores.notifications.get_many(person.refused).values()
        # Ids say nothing of the order in which they were planned.
        in_order = sorted(refused, key=lambda notification: notification.turn)
        sent = sum(self._send(account, notification) for notification in in_order)
        self._stores.people.forget_must_write_first(account, person.id, person.refused)
        log.info("a recipient may be written to now", extra={"account": account, "notifications": sent})
        return sent

    def unlock(self, account: str, person: Person) -> None:
        """Let go what a lock of first contacts holds for somebody who wrote. Only the first in their line
        waits for that; the others wait for it."""
        row = locked_row(self._stores, person)
        if row is not None and self._stores.parking.release(row, from_seconds(self._clock())):
            log.info("somebody wrote whom a lock kept us from", extra={"account": account})

    def _send(self, account: str, notification: Notification) -> bool:
        why = notification.last_error
        if why is None or why.code != MUST_WRITE_FIRST:
            return False
        now = from_seconds(self._clock())
        seconds = self._settings().value(
            NOTIFICATION_EXPIRY_SECONDS, account=account, audience=notification.audience
        )
        try:
            step = self._stores.notifications.reset_for_redrive(
                notification.id, at=now, expires_at=now + seconds * 1000
            )
        except NotificationMissing:
            return False
        if step.applied:
            self._orders.send(step.notification)
        return step.applied
