"""Orders that can't be carried out because they, or their notifications, can't be read.

They never become readable by being tried, and all behind them in their lane waits: so they end among the dead
letters soon, and not when the queue's own count is over, which takes hours.
"""

from __future__ import annotations

import logging

from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.queues import Order
from tocsin.notify.store.stores import Stores

log = logging.getLogger(__name__)

RECEIVES = 4
AGAIN_SECONDS = 30.0
"""How often, and after how long, an order is tried again whose notification can't be read."""


class UnreadableOrders:
    """Tells them from others, and puts them aside."""

    def __init__(self, stores: Stores, dead_letters: DeadLetters) -> None:
        self._stores = stores
        self._dead_letters = dead_letters

    def is_one(self, notification_id: str) -> bool:
        """Whether the notification's record is there, and has another form than this code knows."""
        # Nothing of a send that works.
        from tocsin.notify.malformed import UnreadableRecord, read_record

        try:
            read_record(self._stores.notifications, notification_id)
        except UnreadableRecord:
            return True
        except Exception:  # noqa: BLE001  the table is away: that is no matter of the record's
            return False
        return False

    def put_aside(self, order: Order, receives: int, at: int) -> float | None:
        """Return in how many seconds the queue shall bring it again: while a version is deployed, the record
        may be that of another one. None: it is buried. `at`: ms."""
        log.error("unreadable record", extra={"notification": order.notification, "receives": receives})
        if receives <= RECEIVES:
            return AGAIN_SECONDS
        self._dead_letters.bury_unread(order, at)
        return None

    def refuse(self, body: str, lane: str | None, message_id: str) -> None:
        """Bury what is no order. It would be none the next time either."""
        log.error("malformed order", extra={"sqs_message": message_id})
        self._dead_letters.bury_malformed(body, lane, message_id)
