"""What end-to-end tests say and see: people with phones, ticket events, and what becomes of them.

    siti = deployed.person("Siti")
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    deployed.nothing_is_lost(notice)

People, tickets and numbers are new in each test, so that tests share a stack and see nothing of each other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from tocsin.accounts.lease import LeaseInfo, read_lease
from tocsin.notify.letters import Letter
from tocsin.notify.notification import Notification, State, derived_id
from tocsin.tables.keys import outbound_key
from tocsin_console import pair
from tocsin_console.send import put_event
from tocsin_local.stack import Stack
from tocsin_local.world import World
from tocsin_whatsapp_server.control_client import ControlClient

T = TypeVar("T")
Json = dict[str, Any]

ACCOUNT = "default"
DESK = "6281100000001"
"""The number of the phone that the account is linked to."""

BUCKET = "tocsin-attachments"
"""Where the files lie that ticket events attach."""

LONG_ENOUGH = 60
POLL_SECONDS = 0.05

# What is as good as what was waited for.
BEYOND: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset(State),
    State.SENT: frozenset({State.SENT, State.DELIVERED, State.READ}),
    State.DELIVERED: frozenset({State.DELIVERED, State.READ}),
}
ENDS = frozenset({State.READ, State.FAILED, State.SUPPRESSED})

_numbers = count(1)


def eventually(
    found: Callable[[], T | None], what: Callable[[], str] | str, seconds: float = LONG_ENOUGH
) -> T:
    """The first true answer. Polls, for what is looked at lies in other processes."""
    end = time.monotonic() + seconds
    while True:
        if answer := found():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Person:
    """Somebody with a phone. `number` in digits."""

    number: str
    name: str
    language: str

    def in_event(self, person_id: str) -> Json:
        return {"id": person_id, "name": self.name, "phone": f"+{self.number}", "language": self.language}


@dataclass(frozen=True)
class Notice:
    """One notification that an event must bring about."""

    id: str
    person: Person
    ticket_id: str

    @property
    def message_id(self) -> str:
        return "3EB0" + self.id.upper()


@dataclass(frozen=True)
class DeployedStack:
    """A running world whose account is linked to the phone `DESK`."""

    world: World

    @property
    def phones(self) -> ControlClient:
        return self.world.phones

    @property
    def stack(self) -> Stack:
        return self.world.stack

    # -- the account ---------------------------------------------------------------------------------------

    def link(self) -> None:
        """The desk's phone scans the QR code; returns when the account can send."""
        self.phones.add_phone(DESK, "Rapido Net")
        for code in pair.codes(self.world.deployment, ACCOUNT, wait_seconds=60):
            assert isinstance(code, pair.Code), code.text
            self.phones.link(DESK, code.text)
        self.wait_for_account("connected")

    def lease(self) -> LeaseInfo:
        lease = read_lease(self.world.deployment.keys_table, ACCOUNT)
        assert lease is not None
        return lease

    def wait_for_account(self, state: str, *, epoch: int = 0, seconds: float = LONG_ENOUGH) -> LeaseInfo:
        """The lease, once it says `state` in `epoch` or a later one."""

        def found() -> LeaseInfo | None:
            lease = self.lease()
            return lease if lease.connector and lease.state == state and lease.epoch >= epoch else None

        return eventually(found, lambda: f"the account isn't {state}: {self.lease()}", seconds)

    def next_number(self, person: Person) -> int:
        """The message number that the next reservation for this person will take."""
        incarnation = self.world.deployment.key_store(ACCOUNT).account.profile().incarnation
        lid = str(self.phones.phone(person.number)["lid"])
        outbound = self.world.deployment.keys_table.get(outbound_key(ACCOUNT, incarnation, lid))
        assert outbound is not None
        return int(str(outbound["next"]))

    # -- people and events ---------------------------------------------------------------------------------

    def person(self, name: str = "Siti", *, language: str = "id", reads: bool = True) -> Person:
        """Somebody new, with a phone. `reads`: they look at every message at once."""
        person = Person(f"62812{next(_numbers):07d}", name, language)
        self.phones.add_phone(person.number, name, reads=reads)
        return person

    def put(
        self,
        event_type: str,
        ticket: Mapping[str, Any],
        *,
        customer: Person | None = None,
        technicians: Sequence[Person] = (),
        groups: Sequence[str] = (),
        made_by: Person | str = "admin",
        account: str = ACCOUNT,
        attachments: Sequence[Json] = (),
    ) -> list[Notice]:
        """Put a ticket event on the bus. Whom it must tell: the customer first, then the technicians, then
        the groups (each as a person whose number is its JID)."""
        detail = {
            "ticket": dict(ticket),
            "customer": customer and customer.in_event(f"C-{customer.number}"),
            "technicians": [person.in_event(f"T-{person.number}") for person in technicians],
            "created_by": {"role": "technician", "id": f"T-{made_by.number}"}
            if isinstance(made_by, Person)
            else {"role": made_by, "id": "U-1"},
            "account": account,
            **({"attachments": list(attachments)} if attachments else {}),
            **({"groups": list(groups)} if groups else {}),
        }
        put_event(self.world.deployment, event_type, detail)
        told = [(customer, "customer")] if customer else []
        told += [(person, "technician") for person in technicians if person != made_by]
        told += [(Person(group, "", ""), "group") for group in groups]
        return [
            Notice(
                self.world.deployment.stores.ids.of(
                    account, ticket["id"], event_type, ticket["revision"], audience, person.number
                ),
                person,
                ticket["id"],
            )
            for person, audience in told
        ]

    def tell(self, customer: Person, *, account: str = ACCOUNT, **about: Any) -> Notice:
        """A new ticket of this customer."""
        (notice,) = self.put("TicketCreated", new_ticket(**about), customer=customer, account=account)
        return notice

    def tell_group(self, group: str) -> Notice:
        """A new ticket that a group is told of."""
        (notice,) = self.put("TicketCreated", new_ticket(), groups=[group])
        return notice

    def tell_in_turn(self, people: Iterable[Person]) -> list[Notice]:
        """A new ticket of each, each event put after the one before was planned.

        What is put at once may be planned at once, for a bus keeps no order.
        """
        told = []
        for person in people:
            told.append(self.tell(person))
            self.all_planned()
        return told

    def all_planned(self) -> None:
        """Wait until no event is left to plan: what is put from now on is planned after these."""
        eventually(self._all_planned, "events wait to be planned")

    def _all_planned(self) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.stack.outputs["TicketEventsQueueUrl"]
        found = self.world.deployment.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return all(found["Attributes"][name] == "0" for name in names)

    def known(self, name: str = "Siti") -> Person:
        """Somebody to whom we have written before."""
        person = self.person(name)
        self.until(self.tell(person), State.READ)
        return person

    def file_of(self, notice: Notice, key: str) -> Notice:
        """The notification that brings a file of the event along."""
        return Notice(derived_id(notice.id, key), notice.person, notice.ticket_id)

    # -- what became of it ---------------------------------------------------------------------------------

    def look(self, notice: Notice) -> Notification | None:
        return self.world.deployment.stores.notifications.get(notice.id)

    def until(self, notice: Notice, state: State, *, seconds: float = LONG_ENOUGH) -> Notification:
        """The notification, once it is in `state` or beyond. Fails at once where it can't come there."""
        good = BEYOND.get(state, frozenset({state}))

        def there() -> Notification | None:
            found = self.look(notice)
            if found is None or found.state in good:
                return found
            assert found.state not in ENDS, f"it is {found.state}, not {state}: {found}"
            return None

        return eventually(
            there, lambda: f"not {state}: {self.look(notice)}; see {self.world.folder}", seconds
        )

    def all_until(self, notices: Sequence[Notice], state: State, *, seconds: float = LONG_ENOUGH) -> None:
        end = time.monotonic() + seconds
        for notice in notices:
            self.until(notice, state, seconds=max(end - time.monotonic(), 1))

    def shown(self, notice: Notice) -> Json | None:
        """The message as the person's phone shows it."""
        messages = self.phones.messages(notice.person.number)
        return next((message for message in messages if message["id"] == notice.message_id), None)

    def letter(self, notice: Notice, *, seconds: float = LONG_ENOUGH) -> Letter:
        """Its dead letter, once it lies there."""
        letters = self.world.deployment.redriver()
        return eventually(
            lambda: next((letter for letter in letters.read() if letter.notification == notice.id), None),
            lambda: f"no dead letter: {self.look(notice)}",
            seconds,
        )

    # -- the audit -----------------------------------------------------------------------------------------

    def nothing_is_lost(self, *notices: Notice) -> None:
        """The audit: every message is shown, once, and no key was used twice."""
        for notice in notices:
            box = self.phones.mailbox(notice.person.number)
            shown = [message for message in box["messages"] if message["id"] == notice.message_id]
            assert len(shown) == 1, f"{notice} was shown {len(shown)} times"
            again = [message for message in box["messages"] if message["text"] == shown[0]["text"]]
            assert again == shown, f"{notice} was shown under several ids"
            assert box["waiting"] == [], "something is shown as 'Waiting for this message'"
        audit = self.phones.audit()
        assert audit["message_keys_reused"] == 0, audit
        assert audit["prekeys_handed_out_twice"] == 0, audit

    def shown_in_order(self, person: Person, notices: Sequence[Notice]) -> None:
        """The person's phone shows these, in this order."""
        wanted = {notice.message_id: position for position, notice in enumerate(notices)}
        ids = [message["id"] for message in self.phones.messages(person.number)]
        shown = [wanted[message_id] for message_id in ids if message_id in wanted]
        stored = [self.look(notice) for notice in notices]
        assert shown == list(range(len(notices))), [(n and n.created_at, n and n.attempts) for n in stored]


def new_ticket(subject: str = "Internet mati", *, revision: int = 1, **more: Any) -> Json:
    """The ticket part of an event; its id is new."""
    number = next(_numbers)
    return {
        "id": f"TCK-{number}",
        "revision": revision,
        "subject": f"{subject} ({number})",
        "priority": "high",
        "status": "open",
    } | more


@dataclass
class Bus:
    """Outcome events, as anybody who listens on the bus gets them: through a rule of their own."""

    sqs: Any
    url: str
    heard: list[Json] = field(default_factory=list)

    @classmethod
    def of(cls, stack: Stack) -> Bus:
        sqs, events = stack.client("sqs"), stack.client("events")
        url = sqs.create_queue(QueueName="heard-outcomes")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        rule = {"Name": "heard-outcomes", "EventBusName": stack.outputs["EventBusName"]}
        events.put_rule(**rule, EventPattern=json.dumps({"source": ["tocsin"]}))
        target = {"Id": "queue", "Arn": attributes["QueueArn"]}
        events.put_targets(Rule=rule["Name"], EventBusName=rule["EventBusName"], Targets=[target])
        return cls(sqs, url)

    def wait(self, detail_type: str, *, seconds: float = LONG_ENOUGH, **facts: Any) -> Json:
        """The detail of the first event of this type with these facts."""
        return eventually(
            lambda: next(iter(self.all(detail_type, **facts)), None),
            lambda: f"no {detail_type} {facts}; heard: {self.heard[-5:]}",
            seconds,
        )

    def all(self, detail_type: str | None = None, **facts: Any) -> list[Json]:
        """The details of all such events so far."""
        self._listen()
        return [
            event["detail"]
            for event in self.heard
            if detail_type in (None, event["detail-type"]) and facts.items() <= event["detail"].items()
        ]

    def types(self, **facts: Any) -> list[str]:
        """The types of all events with these facts so far, in the order in which they were heard."""
        self._listen()
        return [event["detail-type"] for event in self.heard if facts.items() <= event["detail"].items()]

    def _listen(self) -> None:
        while found := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                self.heard.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])


def failures(deployed: DeployedStack, notice: Notice) -> list[str]:
    """Why the phone couldn't read it before it could."""
    shown = deployed.shown(notice)
    assert shown is not None
    return list(shown["failures"])
