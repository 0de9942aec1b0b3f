"""Three accounts, 4,000 customers of whom 30 % answer, two storms, one lock, one quota, thirty days."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.notifications import a_notification
from tests.support.paced_world import Gone, PacedWorld
from tocsin.notify.content import Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.failure import Wait
from tocsin.notify.notification import Notification, derived_id
from tocsin.notify.queues import DeadLettersQueue
from tocsin.notify.receipts import Receipts
from tocsin.notify.store.parking import WaitingRow
from tocsin.notify.threads import placed
from tocsin.pace.ledger import Ledger
from tocsin.pace.rules import rules_of
from tocsin.pace.warm_up import grown
from tocsin.tables.names import user_of
from tocsin.whatsapp.node import Node

MINUTE, HOUR, DAY = 60, 3600, 86_400
START = 1_780_246_800
"""Midnight of 1 June 2026 in Jakarta."""
JAKARTA, SINGAPORE = 7 * HOUR, 8 * HOUR
"""Ahead of UTC, all year."""

ACCOUNTS = {"north": 30, "south": 25, "east": 15}
"""Tickets on an ordinary day."""
NEW_ACCOUNT = "east"
CUSTOMERS = 4000
TECHNICIANS = 12
"""Of each account."""
ANSWERING = 0.3
IN_SINGAPORE = 0.1

SETTINGS: dict[str, Any] = {
    "messages-per-minute": 30,
    "messages-per-hour": 400,
    "messages-per-day": 3000,
    "first-contacts-per-hour": 40,
    "first-contacts-per-day": 300,
    "warm-up-days": 14,
    "warm-up-from-percent": 20,
    "recipient-spacing-seconds": 4,
    "typing-jitter-milliseconds": 1500,
    "time-zone": "Asia/Jakarta",
}
QUIET_HOURS = "21:00-07:00"
DIGEST_SIZE, DIGEST_WINDOW = 5, 300

Storm = tuple[int, float, str, int]
"""Day, second of the day, account, customers who are without internet."""
FIRST_STORM: Storm = (9, 19 * HOUR + 1200, "north", 300)
STORM_OF_NIGHT: Storm = (20, 2 * HOUR + 600, "south", 200)
LOCK, QUOTA = (12, 10 * HOUR, "east", 24 * HOUR), (24, 14 * HOUR, "south", 10 * HOUR)
"""Day, second of the day, account, for how long WhatsApp allows no first contacts."""

BUSY_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 12, 12, 11, 9, 8, 9, 10, 10, 10, 11, 13, 14, 12, 8, 4, 2)
"""How the tickets of a day are spread over its hours."""


@dataclass(frozen=True)
class Customer:
    number: str
    account: str
    answers: bool

    @property
    def ahead(self) -> int:
        """Seconds of local time ahead of UTC."""
        return SINGAPORE if self.number.startswith("65") else JAKARTA


@dataclass
class Month:
    """What happened. `planned`: all notifications in the order of their planning; `parts`: of each message
    that left, the part of its budgets that its account had; `waiting`: (time, how many wait) each hour;
    `holds`: causes of parking, counted; `midnights`: what waited then, by time."""

    world: PacedWorld
    days: int
    customers: Sequence[Customer] = ()
    planned: list[Notification] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)
    waiting: list[tuple[float, int]] = field(default_factory=list)
    midnights: list[Notification] = field(default_factory=list)
    locked: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def gone(self) -> list[Gone]:
        return self.world.server.gone

    @property
    def left(self) -> list[WaitingRow]:
        """What waits now."""
        return [row for name in self.world.accounts for row in self.world.stores.parking.waiting(name)]


class Provider:
    """Makes the month happen. `scale`: of tickets and storms, for a quick look."""

    def __init__(
        self,
        seed: int,
        days: int = 30,
        scale: float = 1.0,
        storms: Sequence[Storm] = (FIRST_STORM, STORM_OF_NIGHT),
    ) -> None:
        self.dice = random.Random(seed)
        self.scale = scale
        self.storms = storms
        self.world = PacedWorld(tuple(ACCOUNTS), now=float(START), uniform=self.dice.uniform)
        self.month = Month(self.world, days)
        self.receipts = Receipts(
            self.world.stores, DeadLetters(self.world.stores, DeadLettersQueue(self.world.sqs, "dead.fifo"))
        )
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)
        self._seen = 0
        self._due: tuple[int, float | None] = (-1, None)
        self._looked = -1.0
        self._answered: set[str] = set()
        self._settle_in()

    def run(self) -> Month:
        """Until the month is over and nothing waits any more."""
        end = START + self.month.days * DAY
        for hour in range(self.month.days * 24):
            self.at(START + hour * HOUR, self._look)
        while self._events:
            at, _, happening = heapq.heappop(self._events)
            self._pass_time(at)
            happening()
            self._carry_out()
        self._pass_time(end + 7 * DAY)
        return self.month

    def at(self, when: float, happening: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), happening))

    # -- before the month ------------------------------------------------------------------------------------

    def _settle_in(self) -> None:
        self.world.set(**{name.replace("-", "_"): value for name, value in SETTINGS.items()})
        self.world.set(scope="audience=customer", quiet_hours=QUIET_HOURS)
        self.world.set(
            scope="audience=technician", digest_size=DIGEST_SIZE, digest_window_seconds=DIGEST_WINDOW
        )
        self.world.holds[NEW_ACCOUNT].begin_with(Ledger(since=START))
        names = [*ACCOUNTS]
        self.month.customers = [self._customer(number, names) for number in range(CUSTOMERS)]
        self.by_account = {
            name: [one for one in self.month.customers if one.account == name] for name in ACCOUNTS
        }
        self.by_number = {one.number: one for one in self.month.customers}
        for day in range(self.month.days):
            for account, tickets in ACCOUNTS.items():
                weekend = 0.6 if day % 7 in (5, 6) else 1.0
                for _ in range(round(tickets * weekend * self.scale)):
                    self._plan_ticket(START + day * DAY + self._moment(), account)
        for storm in self.storms:
            self._plan_storm(*storm)
        for (day, second, account, seconds), code in (
            (LOCK, "first-contact-restricted"),
            (QUOTA, "first-contact-quota"),
        ):
            if day < self.month.days:
                begun = START + day * DAY + second
                self.month.locked.append((account, begun, begun + seconds))
                self.at(begun, lambda *, a=account, c=code, u=begun + seconds: self._lock(a, c, u))

    def _customer(self, number: int, accounts: Sequence[str]) -> Customer:
        place = "659" if self.dice.random() < IN_SINGAPORE else "62812"
        digits = f"{place}{number:07d}" if place == "659" else f"{place}{number:08d}"
        return Customer(digits, accounts[number % len(accounts)], self.dice.random() < ANSWERING)

    def _moment(self) -> float:
        [hour] = self.dice.choices(range(24), BUSY_HOURS)
        return hour * HOUR + self.dice.random() * HOUR

    # -- what happens ----------------------------------------------------------------------------------------

    def _plan_ticket(self, when: float, account: str, *, urgent: bool = False, outage: float = 0) -> None:
        ticket = f"TCK-{next(self._numbers)}"
        customer = self.dice.choice(self.by_account[account])
        technician = f"62819{list(ACCOUNTS).index(account)}{self.dice.randrange(TECHNICIANS):06d}"
        about = (ticket, account, customer, technician, urgent)
        self.at(when, lambda: self._tell("TicketCreated", *about))
        if self.dice.random() < 0.5:
            self.at(when + self.dice.uniform(HOUR, 8 * HOUR), lambda: self._tell("TicketUpdated", *about))
        mended = outage or self.dice.uniform(2 * HOUR, 30 * HOUR)
        self.at(when + mended, lambda: self._tell("TicketResolved", *about))

    def _plan_storm(self, day: int, second: float, account: str, customers: int) -> None:
        if day >= self.month.days:
            return
        for number in range(round(customers * self.scale)):
            when = START + day * DAY + second + self.dice.uniform(0, 20 * MINUTE)
            self._plan_ticket(when, account, urgent=number % 20 == 0, outage=self.dice.uniform(3, 5) * HOUR)

    def _lock(self, account: str, code: str, until: float) -> None:
        self.world.server.limits[account] = Wait(code, "WhatsApp says so", due_at=int(until * 1000))

    def _tell(
        self, event: str, ticket: str, account: str, customer: Customer, technician: str, urgent: bool
    ) -> None:
        for audience, recipient in (("customer", customer.number), ("technician", technician)):
            # As in a real event, a customer's message is no emergency.
            self._plan(event, ticket, account, audience, recipient, urgent and audience == "technician")

    def _plan(
        self, event: str, ticket: str, account: str, audience: str, recipient: str, urgent: bool
    ) -> None:
        now = self.world.now_ms
        one = a_notification(
            id=derived_id("", ticket, event, audience),
            account=account,
            ticket_id=ticket,
            event_type=event,
            audience=audience,
            recipient=recipient,
            language="id",
            content=Text(f"Halo,\n\n{event} {ticket}: Jl. Merdeka {len(ticket)}"),
            created_at=now,
            expires_at=now + DAY * 1000,
            urgent=urgent,
        )
        one = placed(one, self.world.stores, self.world.settings)
        self.month.planned.append(one)
        self.world.plan(one)

    # -- the clock -------------------------------------------------------------------------------------------

    def _pass_time(self, until: float) -> None:
        """Let the minutes pass. A sweep that would find nothing due is left out; while a budget is full, one
        in ten is made."""
        while (due := self._next_due()) is not None and due <= until:
            self.world.now, before = due, len(self.world.verdicts)
            self.world.sweep(*(name for name in ACCOUNTS if self._waits(name)))
            self._carry_out()
            if len(self.world.verdicts) == before:
                self._due = (before, due + 10 * MINUTE)
        self.world.now = max(self.world.now, until)

    def _next_due(self) -> float | None:
        """The next minute in which something that waits is due."""
        known, due = self._due
        now = self.world.now
        # Sweeps are made by the minute, so it is looked once in one.
        if known != len(self.world.verdicts) and (due is None or now // MINUTE != self._looked):
            self._looked = now // MINUTE
            due = min((at for name in ACCOUNTS for at in self._due_in_lines(name)), default=None)
            self._due = (len(self.world.verdicts), due)
        if due is None:
            return None
        return max(-(-due // MINUTE) * MINUTE, (now // MINUTE + 1) * MINUTE)

    def _due_in_lines(self, account: str) -> Iterator[float]:
        """When the first one of each recipient's line is due; those behind go no sooner. One without a date
        goes as soon as it can: that is the next sweep."""
        heads: set[str] = set()
        for row in self.world.stores.parking.waiting(account):
            if row.recipient not in heads:
                heads.add(row.recipient)
                yield self.world.now if row.due_at is None else row.due_at / 1000

    def _waits(self, account: str) -> bool:
        return next(iter(self.world.stores.parking.waiting(account)), None) is not None

    def _carry_out(self) -> None:
        """The orders, and what the recipients of what left do then."""
        server = self.world.server
        self.world.carry_out()
        for gone in server.gone[self._seen :]:
            holds = self.world.holds[gone.account]
            ledger, rules = holds.pacer.ledger, rules_of(self.world.settings, gone.account, None)
            totals = ledger.week_sent.total(gone.at), ledger.week_answered.total(gone.at)
            self.month.parts.append(grown(rules, ledger.age(gone.at), *totals))
            self.receipts.delivered(gone.notification, int(gone.at * 1000), "phone")
            customer = self.by_number.get(gone.recipient)
            if customer is not None and customer.answers and gone.recipient not in self._answered:
                self._answered.add(gone.recipient)
                self.at(gone.at + self.dice.uniform(MINUTE, 2 * HOUR), lambda *, c=customer: self._answer(c))
        self._seen = len(server.gone)

    def _answer(self, customer: Customer) -> None:
        name = user_of(customer.number)
        self.world.holds[customer.account].heard(Node("message", {"from": name, "id": "A"}))
        self.world.stores.people.note_heard(customer.account, name, self.world.now_ms)

    def _look(self) -> None:
        rows = self.month.left
        self.month.waiting.append((self.world.now, len(rows)))
        if (self.world.now - START) % DAY == 0:
            self.month.midnights += [self.world.stored(row.notification) for row in rows[:50]]
