"""When the words of sensitive messages are erased, where nothing else has done so before.

    planned ─▶ a note, due when the message is too late ─▶ each minute: due ones are looked at
                   arrived, suppressed, too late, gone: words erased, note gone
                   may still be sent (a hold, a redrive): the note is moved to when that ends

A message that arrived has lost its words with its receipt, in the same write. The notes are for those that
nobody hears of again. They lie in the index `watch`, so that a look costs what is due and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.dynamo.writes import Delete, Item, Key, Put
from tocsin.notify.content import ERASED, Withheld
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.notifications import Notifications
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.transition import NotificationMissing
from tocsin.tables.notifications import SENSITIVE_PART, WATCH, sensitive_key, sensitive_of

_PAGE = 100

_MALFORMED = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""What reading a record raises that has another form than the expected one."""

MAY_BE_SENT = (State.PLANNED, State.WAITING, State.FAILED)


class SensitiveWords:
    """The notes of what is to be erased."""

    def __init__(self, table: NotificationsTable, notifications: Notifications) -> None:
        self._table = table
        self._notifications = notifications

    def note(self, notification_id: str, due: int) -> None:
        """Have its words erased at `due` (ms). Written before the message is, so that none goes unnoted."""
        attributes: Item = {
            "watching": SENSITIVE_PART,
            "watch_due": due,
            "expire_at": self._table.expire_at(due),
        }
        self._table.put(Put(sensitive_key(notification_id), attributes))

    def erase_due(self, now: int, *, may_go_on: Callable[[], bool] = lambda: True) -> int:
        """Erase what is due at `now` (ms). Return of how many messages. `may_go_on`: asked before each."""
        erased = 0
        for key in self._table.indexed(WATCH, SENSITIVE_PART, at_most=now, limit=_PAGE):
            if not may_go_on():
                break
            identity = sensitive_of(key)
            if identity is None:
                continue
            erased += self._look(identity, key, now)
        return erased

    def _look(self, identity: str, key: Key, now: int) -> int:
        """Whether words were erased by this."""
        try:
            notification = self._notifications.get(identity)
        except _MALFORMED:
            # Nobody can send it any more, and it must not keep back those behind it.
            erased = self._erase(identity)
        else:
            again = _again_at(notification, now)
            if again is not None:
                self.note(identity, again)
                return 0
            is_there = notification is not None and not _is_erased(notification)
            erased = self._erase(identity) if is_there else 0
        self._table.delete(Delete(key))
        return erased

    def _erase(self, notification_id: str) -> int:
        try:
            self._notifications.erase_words(notification_id)
        except NotificationMissing:
            return 0
        except _MALFORMED:
            pass  # its words are gone; what is left of it can't be read
        return 1


def _again_at(notification: Notification | None, now: int) -> int | None:
    """When to look again, where the words are still needed."""
    if notification is None or notification.state not in MAY_BE_SENT or notification.expired(now):
        return None
    return max(notification.given_up_at, now + 1)


def _is_erased(notification: Notification) -> bool:
    return notification.content == Withheld(ERASED)
