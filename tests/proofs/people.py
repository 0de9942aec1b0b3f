"""Some people, their numbers and a server that lies, beside a model of who may read what.

The model: a number belongs to whom WhatsApp named when it was first asked, until an operator confirms another
one. Whoever withdrew consent reads nothing more, by whatever number a ticket names them. What is for one
person arrives in the order in which it was planned, under however many spellings.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.support.fake_whatsapp import NOW, Person, message_from
from tests.support.memory_aws import MemoryAws
from tests.support.notifications import an_id
from tests.support.paired_account import ACCOUNT
from tests.support.sealed_texts import TEXTS
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import changed, our_bundle
from tocsin.accounts.state import AccountState
from tocsin.multidevice.identity import NUMBER_MOVED
from tocsin.notify.parking import Maintainer
from tocsin.notify.planning import spellings_of
from tocsin.notify.queues import Order
from tocsin.notify.store.replies import open_reply
from tocsin.notify.verdict import Verdict
from tocsin.people.numbers import same_person_key
from tocsin.people.person import Name, Source
from tocsin.tables.names import user_of
from tocsin.whatsapp.jid import JID, PN
from tocsin.whatsapp.node import Node

DAY = 86_400
# Two Mexican numbers, each as WhatsApp has it and as tickets may have it; and two without an older form.
SPELLINGS = {
    "5215512345678": "5215512345678",
    "525512345678": "5215512345678",
    "5215598765432": "5215598765432",
    "525598765432": "5215598765432",
    "6281234500001": "6281234500001",
    "6281234500002": "6281234500002",
}
NUMBERS = tuple(dict.fromkeys(SPELLINGS.values()))
SPARE = ("6281234500003", "6281234500004", "6281234500005")


@dataclass
class Told:
    """One ticket as the model knows it. `held`: it waited for an operator, or turned out on the way to be for
    somebody known by another number, so others may have gone before. `reader`: on whose phone it is."""

    notification: str
    spelling: str
    text: str
    held: bool = False
    reader: Person | None = None


@dataclass
class Connectors:
    """The account's connector, open or not."""

    open: bool = True

    def state(self, account: str) -> AccountState | None:
        return AccountState.CONNECTED if self.open else None

    def resumed(self, account: str) -> None:
        pass

    def takes_first_contacts(self, account: str, *, urgent: bool = False) -> bool:
        return True


@dataclass
class Model:
    """`owner`: whom WhatsApp has for each number now; `believed`: for each spelling whom we may write to;
    `held`: spellings whose owner is another one by now, as we were told; `asked`: who wrote STOP or START."""

    owner: dict[str, Person]
    believed: dict[str, Person] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    tickets: list[Told] = field(default_factory=list)

    def answered(self, spelling: str) -> None:
        """WhatsApp was asked whose a spelling's number is; its own digits are learnt with it."""
        number = SPELLINGS.get(spelling, spelling)
        owner = self.owner.get(number)
        if owner is None:
            return
        for one in {spelling, number}:
            if self.believed.setdefault(one, owner) is owner:
                self.held.discard(one)
            else:
                self.held.add(one)


class Neighbours:
    """The real thing and its model, side by side."""

    def __init__(self) -> None:
        self.wired = WiredFunctions(MemoryAws())
        network = self.wired.network
        network.people.pop("1234")
        network.aliases.update(SPELLINGS)
        self.people = [network.person(number, f"70{index}") for index, number in enumerate(NUMBERS)]
        self.model = Model({person.phone: person for person in self.people})
        self.queue: dict[str, deque[Order]] = defaultdict(deque)
        self.connectors = Connectors()
        self.count = 0
        self.queries = 0
        self.shown = {person.lid: 0 for person in self.people}

    # -- tickets -------------------------------------------------------------------------------------------

    def ticket(self, spelling: str) -> None:
        """Something about a ticket is planned for a number, as the planner does it."""
        self.count += 1
        self.wired.paired.now += 1
        [person] = self.wired.stores.people.address(ACCOUNT, [spellings_of(spelling)])
        planned = replace(
            self.wired.plan(0),
            id=an_id(ACCOUNT, f"T{self.count}", "TicketCreated", 1, "customer", spelling),
            ticket_id=f"T{self.count}",
            recipient=spelling,
            content=replace(self.wired.plan(0).content, text=f"T{self.count}"),
            person=person.id,
            lane=person.lane,
        )
        self.wired.stores.notifications.put_new(planned)
        self.wired.queue.send(planned)
        self.model.tickets.append(Told(planned.id, spelling, f"T{self.count}"))
        self._fetch()

    def deliver_all(self) -> None:
        """Whatever lies in the queue, group by group."""
        for _ in range(4):
            for which in range(len(self.queue)):
                self.deliver(which)

    def deliver(self, which: int, *, twice: bool = False) -> None:
        """One message group's next order is carried out; or carried out and brought once more."""
        groups = [group for group, orders in self.queue.items() if orders]
        if not groups:
            return
        orders = self.queue[groups[which % len(groups)]]
        order = orders[0]
        for _ in range(2 if twice else 1):
            verdict = self.wired.delivery.deliver(order, lane=order.group)
            self._heard_answers()
            self._note(order, verdict)
        if verdict.again_after is None:
            orders.popleft()
        self._fetch()
        self._look()

    def _note(self, order: Order, verdict: Verdict) -> None:
        if verdict.cause in (NUMBER_MOVED, "behind") or self._changed_lanes(order):
            for told in self.model.tickets:
                told.held = told.held or told.notification == order.notification

    def _changed_lanes(self, order: Order) -> bool:
        """It went behind what is for another number of the same person, of which nobody had known that. All
        spellings of one number have one lane from the first."""
        stored = self.wired.stores.notifications.get(order.notification)
        assert stored is not None
        one, other = (same_person_key(name) for name in (stored.lane or "", order.recipient))
        return stored.lane != order.lane and one != other

    def sweep(self) -> None:
        self.wired.paired.now += 3600
        self._maintainer().sweep(ACCOUNT, lambda: 300.0)
        self._fetch()

    def _maintainer(self) -> Maintainer:
        wired = self.wired
        return Maintainer(
            wired.stores, wired.queue, wired.dead_letters, self.connectors, clock=lambda: wired.paired.now
        )

    def close(self, closed: bool) -> None:
        self.connectors.open = not closed
        lease = self.wired.paired.lease
        assert lease is not None
        lease.state = "connecting" if closed else "connected"
        self.wired.paired.leases.forget(ACCOUNT)

    # -- people --------------------------------------------------------------------------------------------

    def move(self, who: int, number: int) -> None:
        """Somebody takes another number; who had it before has none that we know."""
        person, wanted = self._person(who), (*NUMBERS, *SPARE)[number % (len(NUMBERS) + len(SPARE))]
        before = self.model.owner.get(wanted)
        if before is person:
            return
        if before is not None:
            before.phone = f"62899{self.count:07d}{before.lid}"[:14]
            self.count += 1
        self.model.owner.pop(person.phone, None)
        person.phone = wanted
        self.model.owner[wanted] = person

    def write(self, who: int, text: str, *, named: bool = True) -> None:
        """Somebody writes; `named`: WhatsApp says by which number as well."""
        person = self._person(who)
        device = person.devices[0]
        if device.record is None:
            device.begin(our_bundle(self.wired))
        self.count += 1
        message = message_from(device, person, f"M{self.count}", text)
        report = self.wired.receive(message if named else changed(message, sender_pn=None))
        self._heard_answers()
        if report.outcome == "reply" and text in ("STOP", "START"):
            self.model.asked.add(person.lid)
        if report.outcome == "reply" and text == "STOP":
            self.model.silent.add(person.lid)
        if report.outcome == "reply" and text == "START":
            self.model.silent.discard(person.lid)
        self._fetch()
        self._look()

    def receipt(self, who: int, claimed: str) -> None:
        """A stanza of somebody's that names a number: their own, or another one's."""
        person = self._person(who)
        number = claimed or person.phone
        attrs = {"id": f"R{self.count}", "from": person.user, "sender_pn": JID(number, PN), "t": str(NOW)}
        self.wired.receive(Node("receipt", attrs))
        self._heard_answers()

    def ask_again(self, who: int, which: int) -> None:
        """Somebody's phone asks for a message, be it theirs or another's. Of what was shown to nobody yet,
        nobody knows the id: it has a secret part."""
        known = [told for told in self.model.tickets if told.reader is not None]
        if not known:
            return
        person, told = self._person(who), known[which % len(known)]
        notification = self.wired.stores.notifications.get(told.notification)
        assert notification is not None
        device = person.devices[0]
        self.wired.receive(self.wired.network.retry_receipt(device, notification.message_id, "NoSession"))
        self.wired.network.retries.clear()
        self._heard_answers()
        self._look()

    def wait(self, days: int) -> None:
        self.wired.paired.now += days * DAY

    def confirm(self, spelling: str) -> None:
        """An operator confirms who has a number now, as `tocsin people confirm` does."""
        pn = user_of(spelling)
        contacts = self.wired.paired.keys.contacts
        known = contacts.known(pn)
        if known is None or known.moved_to is None:
            return
        lid = known.moved_to
        contacts.learn(pn, lid)
        name = Name(pn, Source.OPERATOR, int(self.wired.paired.now * 1000))
        self.wired.stores.people.join(ACCOUNT, pn, lid, [name])
        self.model.believed[spelling] = next(person for person in self.people if str(person.user) == lid)
        self.model.held.discard(spelling)

    # -- what must hold --------------------------------------------------------------------------------------

    def check(self) -> None:
        contacts = self.wired.paired.keys.contacts
        for spelling, person in self.model.believed.items():
            known = contacts.known(user_of(spelling))
            assert known is not None
            assert known.lid == str(person.user), "a mapping changed without an answer or an operator"
            assert (known.moved_to is not None) == (spelling in self.model.held)
        self._check_replies()

    def _check_replies(self) -> None:
        for item in (open_reply(sealed, TEXTS) for sealed in self._items("reply#")):
            number, lid = item.get("recipient"), item.get("recipient_lid")
            assert "@lid" not in str(number), "a LID stands where a number belongs"
            assert lid is not None

    def _look(self) -> None:
        """What was shown since the last look went to whom it may, in the order of planning."""
        texts = {told.text: told for told in self.model.tickets}
        for person in self.people:
            shown = [text for _, text in person.devices[0].shown]
            for text in shown[self.shown[person.lid] :]:
                told = texts.get(text)
                if told is None:  # a confirmation of STOP or START
                    assert person.lid in self.model.asked, "somebody else reads an answer"
                    continue
                assert told.reader is None, "somebody else has it again"
                told.reader = person
                assert self.model.believed.get(told.spelling) is person, "somebody else reads it"
                assert told.spelling not in self.model.held, "the number moved, and nobody confirmed it"
                assert person.lid not in self.model.silent, "who said STOP is written to"
            self.shown[person.lid] = len(shown)
            in_order = [texts[text] for text in shown if text in texts and not texts[text].held]
            planned = [self.model.tickets.index(told) for told in in_order]
            assert planned == sorted(planned), "something was overtaken"

    def _heard_answers(self) -> None:
        """What WhatsApp was asked since the last look, the model has heard as well."""
        asked = self.wired.network.queries[self.queries :]
        self.queries += len(asked)
        for query in asked:
            if query.startswith("contact +"):
                self.model.answered(query.removeprefix("contact +"))

    def _fetch(self) -> None:
        """Orders that lie in the queue, group by group."""
        for message in self.wired.aws.messages("notifications"):
            order = Order.parse(json.dumps(message))
            self.queue[order.group].append(order)

    def _items(self, prefix: str) -> Iterator[dict]:
        table = self.wired.aws.notifications_table
        return (dict(item) for item in table.scan(None, prefix=prefix).items)

    def _person(self, which: int) -> Person:
        return self.people[which % len(self.people)]
