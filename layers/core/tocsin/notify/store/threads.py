"""What was said to one recipient about one ticket: its first message and its last, and the youngest edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.dynamo.writes import ITEM_EXISTS, Absent, AnyOf, AtMost, Item, Update
from tocsin.notify.notification import Notification
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.transition import Transition, change
from tocsin.people.people import People
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

    def __init__(self, table: NotificationsTable, people: People) -> None:
        self._table = table
        self._people = people

    def get(self, notification: Notification) -> Thread | None:
        """What its person was told about its ticket, under whatever name; None: nothing yet."""
        key = thread_key(notification.account, notification.person_name, notification.ticket_id)
        item = self._table.get(key)
        return _thread(item) if item is not None else self._earlier(notification)

    def follow(self, notification: Notification) -> Thread:
        """It is the last message to its person about its ticket, and the first if there was none; the thread
        as it is then."""
        update = Update(
            thread_key(notification.account, notification.person_name, notification.ticket_id),
            set={
                "last": notification.id,
                "last_at": notification.created_at,
                "expire_at": self._table.expire_at(notification.created_at),
            },
            set_first={"first": notification.id},
        )
        thread = _thread(self._table.update(update))
        earlier = self._earlier(notification) if thread.first == notification.id else None
        if earlier is None:
            return thread
        # It began under another name of the person, and goes on under this one.
        return _thread(self._table.update(Update(update.key, set={"first": earlier.first})))

    def say_in(self, notification: Notification, digest: str) -> None:
        """A digest (its id) said it: later messages about its ticket go on from there. An edit still looks at
        the last one by itself, which no digest is."""
        update = Update(
            thread_key(notification.account, notification.person_name, notification.ticket_id),
            set={"first": digest, "expire_at": self._table.expire_at(notification.created_at)},
            set_first={"last": notification.id, "last_at": notification.created_at},
        )
        self._table.update(update)

    def _earlier(self, notification: Notification) -> Thread | None:
        """What the person was told about the ticket under earlier names, as one thread."""
        person = self._people.find(notification.account, notification.person_name)
        keys = [thread_key(notification.account, name, notification.ticket_id) for name in person.formerly]
        threads = [_thread(item) for item in self._table.get_many(keys).values()] if keys else []
        if not threads:
            return None
        first, last = (choose(threads, key=lambda thread: thread.last_at) for choose in (min, max))
        return Thread(first.first, last.last, last.last_at)

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
