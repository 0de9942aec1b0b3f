"""A change of one notification: a conditional write that is made, or refused by what stands there.

The attribute `outcome` stands on an item only in the write that brought the outcome about, and every other
write takes it away: so a stream filter on it sees each outcome once.
"""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import OneOf, Update, Value
from tocsin.notify.notification import FROM, OUTCOMES, Notification, State
from tocsin.notify.store.codec import notification_of_item
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import notification_of

OF_A_WAIT = ("waiting_since", "due_at", "held_until")
"""Attributes that stand on a notification only while it waits."""

TRIES = "tries"
"""Attribute that counts the tries that ended without a word. Whatever tells of an end takes it away."""

PASSED = "outcome_passed"
"""The outcome that came about by the same write, before the one that it is named for: a message that was
delivered and read within a moment."""

_OUTCOME = ("outcome", "outcome_at", PASSED)


class NotificationMissing(LookupError):
    """There is no such notification (any more). Nothing was written."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(notification_id)
        self.notification_id = notification_id

    def __str__(self) -> str:
        return f"there is no notification {self.notification_id}: it never was, or its time to live is over"


@dataclass(frozen=True)
class Transition:
    """What became of a change of state: whether it was made, and the notification as it now stands."""

    applied: bool
    notification: Notification


def enters(state: State, *sources: State) -> tuple[OneOf]:
    """The condition of a step into `state`: only from `sources`, by default those of `FROM`."""
    return (OneOf("state", sources or FROM[state]),)


def told(state: State, at: int) -> dict[str, Value]:
    """What a step into `state` sets that the world is told of. `at`: ms."""
    return {"state": state, "outcome": OUTCOMES[state], "outcome_at": at}


def untold(update: Update) -> Update:
    """The same change, and it takes an earlier outcome away unless it sets one."""
    removed = tuple(name for name in _OUTCOME if name not in update.set)
    return update._replace(remove=(*removed, *update.remove))


def change(table: NotificationsTable, update: Update) -> Transition:
    """Make a change of a notification. `update` must demand that it is there: an update would otherwise found
    a torso of an item that its time to live has taken. Raises NotificationMissing."""
    try:
        return Transition(True, notification_of_item(table.update(untold(update)), table.texts))
    except ConditionFailed as refused:
        if refused.item is None:
            raise NotificationMissing(notification_of(update.key) or "") from None
        return Transition(False, notification_of_item(refused.item, table.texts))
