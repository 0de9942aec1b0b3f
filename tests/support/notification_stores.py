"""One notification in stores on tables in memory, and the steps that bring it into each state."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.notifications import N
from tests.support.receipts import mark_receipt
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Item
from tocsin.notify.notification import Problem, State
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import notification_key

USER = "6281234567890@s.whatsapp.net"
GONE = Problem("gone", "permanent", "left WhatsApp")


@dataclass
class StoredNotification:
    """`N` in its table, with the stores over it."""

    table: MemoryTable = field(default_factory=MemoryTable)
    keys: MemoryTable = field(default_factory=MemoryTable)

    def __post_init__(self) -> None:
        self.stores = Stores(self.table, self.keys, texts=TEXTS)
        assert self.stores.notifications.put_new(N) is None

    @property
    def item(self) -> Item:
        """What lies in the table."""
        item = self.table.get(notification_key(N.id))
        assert item is not None
        return item

    def bring_to(self, state: State) -> None:
        notifications = self.stores.notifications
        steps = {
            State.PLANNED: lambda: None,
            State.WAITING: lambda: self.stores.parking.park(N, "away", 1),
            State.SENT: lambda: notifications.mark_sent(N.id, {}, at=1, account="default"),
            State.DELIVERED: lambda: mark_receipt(notifications, N.id, State.DELIVERED, 1),
            State.READ: lambda: mark_receipt(notifications, N.id, State.READ, 1),
            State.FAILED: lambda: notifications.fail(N.id, GONE, 1),
            State.SUPPRESSED: lambda: notifications.suppress(N.id, GONE, 1),
        }
        steps[state]()
        assert self.item["state"] == state
