"""Parked notifications, and those who look after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.memory_aws import MemoryAws
from tests.support.notifications import a_notification
from tests.support.one_delivery import Connector
from tests.support.sealed_texts import TEXTS
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.notification import Notification, State
from tocsin.notify.parking import Maintainer, Report
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue
from tocsin.notify.store.stores import Stores

NOW = 1_800_000_000
SITI, BUDI = "6281234567890", "6281311112222"


class Scene:
    """Parked notifications, and those who look after them."""

    def __init__(self, aws: MemoryAws) -> None:
        self.aws = aws
        self.now = float(NOW)
        self.left = 300.0
        self.connector = Connector()
        self.stores = Stores(aws.notifications_table, aws.keys_table, texts=TEXTS)
        self.queue = NotificationsQueue(aws.sqs, aws.queues["notifications"])
        self.count = 0

    @property
    def maintainer(self) -> Maintainer:
        letters = DeadLetters(self.stores, DeadLettersQueue(self.aws.sqs, self.aws.queues["dead-letters"]))
        return Maintainer(self.stores, self.queue, letters, self.connector, clock=lambda: self.now)

    def planned(self, recipient: str = SITI, **changes: Any) -> Notification:
        self.count += 1
        notification = a_notification(
            id=f"{self.count:018}",
            recipient=recipient,
            recipient_name="",
            created_at=NOW * 1000 + self.count,
            expires_at=(NOW + 86_400) * 1000,
        )
        notification = replace(notification, **changes)
        self.stores.notifications.put_new(notification)
        return notification

    def parked(
        self, recipient: str = SITI, due_at: int | None = None, cause: str = "not-connected", **changes: Any
    ) -> Notification:
        notification = self.planned(recipient, **changes)
        self.stores.parking.park(notification, cause, NOW * 1000, due_at=due_at)
        return notification

    def resume(self) -> Report:
        return self.maintainer.resume("default", lambda: self.left)

    def sweep(self) -> Report:
        return self.maintainer.sweep("default", lambda: self.left)

    def orders(self) -> list[dict[str, Any]]:
        return self.aws.messages("notifications")

    def order_ids(self) -> list[str]:
        return [order["notification"] for order in self.orders()]

    def state(self, notification: Notification) -> State:
        stored = self.stores.notifications.get(notification.id)
        assert stored is not None
        return stored.state

    def rows(self) -> list[str]:
        return [row.notification for row in self.stores.parking.waiting("default")]
