"""What was said to one recipient about one ticket: its first message and its last, and the youngest edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.dynamo.writes import ITEM_EXISTS, Absent, AnyOf, AtMost, Item, Update
from tocsin.notify.notification import Notification
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.transition import Transition, change
from tocsin.tables.names import user_of
from tocsin.tables.notifications import notification_key, thread_key


@dataclass(frozen=True)
class Thread:
    """What was said to one recipient about one ticket: the notifications that were messages of their own.
    `last_at`: when the last one was planned, ms."""

    first: str
    last: str
    last_at: int


class Threads:
    """The items that hold threads."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def get(self, account: str, user: str, ticket_id: str) -> Thread | None:
        """What `user` (bare JID) was told about a ticket; None: nothing yet."""
        item = self._table.get(thread_key(account, user, ticket_id))
        return _thread(item) if item is not None else None

    def follow(self, notification: Notification) -> Thread:
        """It is the last message about its ticket, and the first if there was none; the thread as it is
        then."""
        update = Update(
            thread_key(notification.account, user_of(notification.recipient), notification.ticket_id),
            set={
                "last": notification.id,
                "last_at": notification.created_at,
                "expire_at": self._table.expire_at(notification.created_at),
            },
            set_first={"first": notification.id},
        )
        return _thread(self._table.update(update))

    def claim_edit(self, notification_id: str, turn: str) -> Transition:
        """Before an edit of a notification's message: make sure that no younger one was sent, or is about to
        be, because this one would set its text back. Not applied if one was. Raises NotificationMissing."""
        no_younger = AnyOf((Absent("edited_turn"), AtMost("edited_turn", turn)))
        update = Update(
            notification_key(notification_id), set={"edited_turn": turn}, when=(ITEM_EXISTS, no_younger)
        )
        return change(self._table, update)


def _thread(item: Item) -> Thread:
    values: Mapping[str, Any] = item
    return Thread(values["first"], values["last"], values["last_at"])
