"""Receipts as the store is told of them, without a transport."""

from __future__ import annotations

from tocsin.notify.notification import ReceiptNews, State
from tocsin.notify.store.notifications import Notifications
from tocsin.notify.store.transition import Transition


def mark_receipt(notifications: Notifications, notification_id: str, state: State, at: int) -> Transition:
    """A first receipt that says `state`, of whatever device."""
    stored = notifications.get(notification_id)
    delivered_at = at if stored is None or stored.delivered_at is None else None
    read_at = at if state is State.READ else None
    return notifications.mark_receipts(
        notification_id, ReceiptNews({}, state, at, None, delivered_at, read_at)
    )
