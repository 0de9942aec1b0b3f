"""What a transport reports later: a notification was delivered, read, or will never arrive.

A transport calls this as it hears of it, in whatever order and however often. Reports of a notification that
is gone are ignored. `by` names who says so: a device, or the transport itself; each one's word is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.notify.content import Reaction
from tocsin.notify.notification import Notification, State

if TYPE_CHECKING:
    from tocsin.notify.dead_letters import DeadLetters
    from tocsin.notify.failure import Failure
    from tocsin.notify.store.stores import Stores

MAX_RECEIPTS = 200
"""A notification's history keeps the receipts of so many: a group may have a thousand members."""


class Receipts:
    """Moves notifications forward. Times in ms."""

    def __init__(self, stores: Stores, dead_letters: DeadLetters) -> None:
        self._stores = stores
        self._dead_letters = dead_letters

    def delivered(self, notification_id: str, at: int, by: str) -> bool:
        """It reached the recipient. Return whether that was news of the notification."""
        return self._note_id(notification_id, State.DELIVERED, at, by)

    def read(self, notification_id: str, at: int, by: str) -> bool:
        """The recipient read it. Return whether that was news of the notification."""
        return self._note_id(notification_id, State.READ, at, by)

    def failed(self, notification_id: str, failure: Failure, at: int) -> bool:
        """It was sent and will not arrive: a dead letter. Return whether it failed by this; what was
        delivered stays so."""
        notification = self._stores.notifications.get(notification_id)
        if notification is None or notification.state is not State.SENT:
            return False
        return self._dead_letters.bury(notification, failure, at)

    def is_new(self, notification: Notification, state: State, by: str) -> bool:
        """Whether a receipt says anything that isn't known, or is no longer worth keeping."""
        if f"{by} {state}" in notification.receipts:
            return False
        is_full = len(notification.receipts) >= MAX_RECEIPTS
        return not (is_full and notification.state in (State.READ, state))

    def note(self, notification: Notification, state: State, at: int, by: str) -> bool:
        """Note a receipt of a notification as it is stored. Return whether its state moved."""
        if not self.is_new(notification, state, by):
            return False
        at = max(at, notification.sent_at or 0, notification.delivered_at or 0)
        moved = notification.state not in (State.READ, state) and (
            self._stores.notifications.mark_receipt(notification.id, state, at, by).applied
        )
        if moved and not isinstance(notification.content, Reaction):
            name = notification.recipient_lid or notification.person_name
            self._stores.people.note_delivery(notification.account, name, notification.id)
        else:
            self._stores.notifications.note_receipt(notification.id, state, at, by)
        return moved

    def _note_id(self, notification_id: str, state: State, at: int, by: str) -> bool:
        notification = self._stores.notifications.get(notification_id)
        return notification is not None and self.note(notification, state, at, by)
