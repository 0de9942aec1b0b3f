"""Accounts that send, park and resume on a virtual clock: the real core, with a server that answers at once.

Delivery, parking, upkeep, the connector's holds and the settings are Tocsin's own. Made up are the tables and
the queue (in memory), the socket, and WhatsApp.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from tests.support.memory_queues import MemoryQueues
from tests.support.sealed_texts import TEXTS
from tocsin.accounts.state import AccountState
from tocsin.connector.gateway.endpoint import Handling, Refusal
from tocsin.connector.gateway.holds import Holds
from tocsin.connector_client.errors import Restricted
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Item, Key, Value
from tocsin.multidevice.refusals import failure_of_ack, failure_of_connector
from tocsin.notify.content import Content
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.delivery import Delivery
from tocsin.notify.failure import Failure, Wait
from tocsin.notify.hold import FIRST_CONTACT_CODES
from tocsin.notify.notification import Notification
from tocsin.notify.parking import Maintainer, Report
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, Order
from tocsin.notify.store.stores import Stores
from tocsin.notify.transport import Address, Outgoing, Sent
from tocsin.notify.verdict import Verdict
from tocsin.settings.values import Settings
from tocsin.tables.names import is_group, user_of
from tocsin.whatsapp.node import Node

NOW = 1_800_000_000


class PartitionedTable(MemoryTable):
    """A table in memory that finds a partition without looking at all others."""

    def __init__(self) -> None:
        super().__init__()
        self._partitions: defaultdict[str, set[Key]] = defaultdict(set)

    def _adopt(self, key: Key, item: dict[str, Value] | None) -> None:
        super()._adopt(key, item)
        if item is None:
            self._partitions[key[0]].discard(key)
        else:
            self._partitions[key[0]].add(key)

    def _matching(self, pk: str, prefix: str) -> list[Key]:
        return sorted(key for key in self._partitions.get(pk, ()) if key[1].startswith(prefix))


@dataclass(frozen=True)
class Gone:
    """A message that left: when (Unix seconds), and how it was paced."""

    at: float
    account: str
    recipient: str
    notification: str
    first_contact: bool
    urgent: bool
    content: Any = field(repr=False, default=None)


@dataclass
class Server:
    """WhatsApp and the socket. `refuses(outgoing, at)`: the error code of a message's ack, None: accepted."""

    world: PacedWorld
    gone: list[Gone] = field(default_factory=list)
    refuses: Callable[[Outgoing, float], int | None] = lambda outgoing, at: None
    refused: list[tuple[float, int]] = field(default_factory=list)
    limits: dict[str, Wait] = field(default_factory=dict)

    def address_of(self, account: str, recipient: str, known: Mapping[str, Any] | None) -> Address:
        return Address(user_of(recipient), None if is_group(recipient) else user_of(recipient))

    def takes(self, account: str, recipient: str, content: Content) -> bool:
        return True

    def check(self, account: str, *, resumed: bool) -> None:
        limit = self._limit(account)
        if limit is not None and limit.code not in FIRST_CONTACT_CODES:
            raise limit

    def send(self, outgoing: Outgoing) -> Sent:
        now = self.world.now
        limit = self._limit(outgoing.account)
        if limit is not None and (outgoing.first_contact or limit.code not in FIRST_CONTACT_CODES):
            raise limit
        stanza = Node("message", {"id": outgoing.notification, "to": user_of(outgoing.recipient)})
        how = Handling(
            resumed=outgoing.resumed,
            first_contact=outgoing.first_contact,
            audience=outgoing.audience,
            urgent=outgoing.urgent,
            digestible=outgoing.digestible,
            known_at=None if outgoing.known_at is None else outgoing.known_at // 1000,
        )
        how = self.world.holds[outgoing.account].seen(how)
        try:
            delay = self.world.holds[outgoing.account].admit(stanza, how)
        except Refusal as refusal:
            until, limit_name = refusal.fields.get("until"), str(refusal.fields.get("limit"))
            restricted = Restricted(until, refusal.detail, limit_name)  # type: ignore[arg-type]
            raise failure_of_connector(restricted, now=self.world.now_ms) from refusal
        code = self.refuses(outgoing, now)
        if code is not None:
            self.refused.append((now, code))
            raise self._heed(
                outgoing.account, failure_of_ack(code, group=False, earlier=(), now=self.world.now_ms)
            )
        self.gone.append(
            Gone(
                now + delay,
                outgoing.account,
                outgoing.recipient,
                outgoing.notification,
                outgoing.first_contact,
                outgoing.urgent,
                outgoing.content,
            )
        )
        return Sent(numbers={user_of(outgoing.recipient): len(self.gone)}, devices=1)

    def _heed(self, account: str, failure: Failure) -> Failure:
        if isinstance(failure, Wait):
            self.limits[account] = failure
        return failure

    def _limit(self, account: str) -> Wait | None:
        limit = self.limits.get(account)
        holds = limit is not None and limit.due_at is not None and self.world.now_ms < limit.due_at
        return limit if holds else None

    # -- what upkeep asks ----------------------------------------------------------------------------------

    def state(self, account: str) -> AccountState:
        return AccountState.CONNECTED

    def resumed(self, account: str) -> None:
        pass

    def takes_first_contacts(self, account: str, *, urgent: bool = False) -> bool:
        return self._limit(account) is None


@dataclass
class PacedWorld:
    """Some accounts. `settings`: in force from the moment they are set."""

    accounts: Sequence[str] = ("default",)
    settings: Settings = field(default_factory=Settings)
    now: float = NOW
    uniform: Callable[[float, float], float] = lambda low, high: (low + high) / 2
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table, self.keys, self.sqs = PartitionedTable(), PartitionedTable(), MemoryQueues()
        self.orders: deque[Order] = deque()
        self.stores = Stores(self.table, self.keys, texts=TEXTS, clock=lambda: self.now)
        self.server = Server(self)
        self.holds = {
            name: Holds(name, lambda: self.settings, uniform=self.uniform, clock=lambda: self.now)
            for name in self.accounts
        }
        self.queue = _Orders(self.orders)
        self.dead_letters = DeadLetters(self.stores, DeadLettersQueue(self.sqs, "dead-letters.fifo"))
        about: dict[str, Any] = {"settings": lambda: self.settings, "clock": lambda: self.now}
        self.delivery = Delivery(self.stores, self.dead_letters, self.server, self.queue, **about)
        self.maintainer = Maintainer(
            self.stores,
            self.queue,
            self.dead_letters,
            self.server,
            counts=lambda account: self.holds[account].pacer.ledger.to_item(),
            **about,
        )

    @property
    def now_ms(self) -> int:
        return int(self.now * 1000)

    def set(self, *, scope: str = "*", **values: Any) -> None:
        """Change settings, by name (`digest_size=3`), for a scope."""
        held = {name: dict(scoped) for name, scoped in self.settings._values.items()}
        for name, value in values.items():
            held.setdefault(name.replace("_", "-"), {})[scope] = value
        self.settings = Settings(held, self.settings.version + 1)

    def plan(self, *notifications: Notification) -> None:
        """As the planner does it: written, then ordered."""
        for one in notifications:
            if self.stores.notifications.put_new(one) is None:
                self.queue.send(one)

    def carry_out(self, most: float = inf) -> None:
        """The orders that lie in the queue, `most` of them."""
        while self.orders and most > 0:
            most -= 1
            order = self.orders.popleft()
            self.verdicts.append((order.notification, self.delivery.deliver(order)))

    def sweep(self, *accounts: str) -> list[Report]:
        """What is done each minute, and what comes of it."""
        reports = [self.maintainer.resume(name, lambda: 300.0) for name in accounts or self.accounts]
        self.carry_out()
        return reports

    def minutes(self, number: int) -> None:
        for _ in range(number):
            self.now += 60
            self.sweep()

    def stored(self, notification: Notification | str) -> Notification:
        found = self.stores.notifications.get(
            notification if isinstance(notification, str) else notification.id
        )
        assert found is not None
        return found

    def item(self, key: Key) -> Item | None:
        return self.table.get(key)

    @property
    def sent(self) -> list[str]:
        """The notifications that left, in their order."""
        return [one.notification for one in self.server.gone]


class _Orders(NotificationsQueue):
    """A queue that keeps its order."""

    def __init__(self, orders: deque[Order]) -> None:
        self._orders = orders

    def send(self, notification: Notification, *, resumed: bool = False) -> None:
        self._orders.append(Order.of(notification, resumed=resumed))

    def send_all(self, notifications: Any, *, resumed: bool = False) -> None:
        for one in notifications:
            self.send(one, resumed=resumed)
