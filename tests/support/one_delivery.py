"""One notification, and all that carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.memory_aws import MemoryAws
from tests.support.notifications import a_notification, an_id
from tests.support.sealed_texts import TEXTS
from tocsin.notify.content import Content, Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.delivery import Delivery
from tocsin.notify.failure import Failure, Wait
from tocsin.notify.notification import Notification
from tocsin.notify.parking import NotTold
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, Order
from tocsin.notify.store.stores import Stores
from tocsin.notify.transport import Address, Outgoing, Sent
from tocsin.notify.verdict import Verdict
from tocsin.settings.reader import unchanged_settings

NOW = 1_800_000_000


CUSTOMER = "6281234567890"


USER = f"{CUSTOMER}@s.whatsapp.net"


@dataclass
class ScriptedTransport:
    """Answers each `send` with the next entry of its script; an empty script accepts."""

    script: list[Failure | Exception] = field(default_factory=list)
    closed: Wait | None = None
    sent: list[Outgoing] = field(default_factory=list)
    settled: int = 0

    def address_of(self, account: str, recipient: str, known: Mapping[str, Any] | None) -> Address | None:
        return Address(known["lid"], USER) if known else None

    def takes(self, account: str, recipient: str, content: Content) -> bool:
        return True

    def check(self, account: str, *, resumed: bool) -> None:
        if self.closed:
            raise self.closed

    def send(self, outgoing: Outgoing) -> Sent:
        self.sent.append(outgoing)
        if self.script:
            raise self.script.pop(0)
        return Sent(numbers={USER: 7}, devices=2, settle=self._settle)

    def _settle(self) -> None:
        self.settled += 1


class Scene:
    """A notification, its order and everything that carries it out."""

    def __init__(
        self, aws: MemoryAws, *, audience: str = "customer", event_type: str = "TicketCreated"
    ) -> None:
        self.aws = aws
        self.now = float(NOW)
        self.stores = Stores(aws.notifications_table, aws.keys_table, texts=TEXTS, clock=lambda: self.now)
        self.transport = ScriptedTransport()
        self.settings = unchanged_settings
        self.delivery = Delivery(
            self.stores,
            DeadLetters(self.stores, DeadLettersQueue(aws.sqs, aws.queues["dead-letters"])),
            self.transport,
            NotificationsQueue(aws.sqs, aws.queues["notifications"]),
            settings=lambda: self.settings(),
            clock=lambda: self.now,
            jitter=lambda low, high: 1.0,
        )
        self.planned = a_notification(
            id=an_id("default", "TCK-1", event_type, 1, audience, CUSTOMER),
            event_type=event_type,
            audience=audience,
            recipient=CUSTOMER,
            content=Text("Tiket TCK-1 dibuat"),
            created_at=NOW * 1000,
            expires_at=(NOW + 86400) * 1000,
        )
        self.stores.notifications.put_new(self.planned)

    def deliver(self, receives: int = 1, **changes: object) -> Verdict:
        order = replace(Order.of(self.planned), **changes)
        return self.delivery.deliver(order, receives)

    def plan_another(self, ticket_id: str = "TCK-2", recipient: str = CUSTOMER) -> Notification:
        """A later one."""
        another = replace(
            self.planned,
            id=an_id("default", ticket_id, "TicketCreated", 1, "customer", recipient),
            ticket_id=ticket_id,
            recipient=recipient,
            created_at=self.planned.created_at + 5,
        )
        self.stores.notifications.put_new(another)
        return another

    @property
    def notification(self) -> Notification:
        stored = self.stores.notifications.get(self.planned.id)
        assert stored is not None
        return stored

    def letters(self) -> list[dict]:
        return self.aws.messages("dead-letters")


@dataclass
class Connector:
    """A connector that says how the account is, and notes when it was told of the end of a resume."""

    connection: str | None = "resuming"
    unreachable: bool = False
    restricted: bool = True
    on_resumed: list[Callable[[], None]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def state(self, account: str) -> str | None:
        return self.connection

    def takes_first_contacts(self, account: str, *, urgent: bool = False) -> bool:
        return not self.restricted

    def resumed(self, account: str) -> None:
        if self.unreachable:
            raise NotTold("ConnectorAway")
        self.told.append(account)
        for happening in self.on_resumed:
            happening()
