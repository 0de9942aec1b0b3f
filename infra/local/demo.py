"""`make demo`: the main job on one machine, step by step, with a session broken and a dead letter redriven.

Everything is the real thing: the deployed template, the protocols, the phones' own decryption. The last
line counts what happened; the exit code says whether it was as promised.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.console import pair
from infra.console.dead_letters import DeadLetters, Selection
from infra.console.errors import ConsoleError
from infra.console.send import put_event
from infra.local.processes import ProcessFailed, exit_on_sigterm
from infra.local.stack import CommandFailed
from infra.local.view import Row, View, open_view, progress
from infra.local.whatsapp.control_client import ControlError, WaitedTooLong
from infra.local.world import World, world
from tocsin.notify.notification import Notification, State, notification_id

ACCOUNT = "default"
ARRIVAL_SECONDS = 30
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Person:
    """Somebody with a phone. `number` in digits; `language` id, es or en."""

    number: str
    name: str
    language: str

    def in_event(self, person_id: str) -> dict[str, str]:
        return {"id": person_id, "name": self.name, "phone": f"+{self.number}", "language": self.language}


DESK = Person("6281100000001", "Rapido Net", "id")
SITI = Person("6281234567890", "Siti", "id")
CARLOS = Person("34612345678", "Carlos", "es")
BUDI = Person("6281311112222", "Budi", "id")
AYU = Person("6281511113333", "Ayu", "en")
PEOPLE = (DESK, SITI, CARLOS, BUDI, AYU)


@dataclass(frozen=True)
class Told:
    """One notification that an event must bring about."""

    label: str
    person: Person
    audience: str


@dataclass
class Counts:
    """What the last line says."""

    delivered: int = 0
    recovered: int = 0
    dead_lettered: int = 0
    redriven: int = 0
    lost: int = 0

    def line(self) -> str:
        return (
            f"demo: {self.delivered} delivered, {self.recovered} recovered, "
            f"{self.dead_lettered} dead-lettered, {self.redriven} redriven, {self.lost} lost"
        )


class NotAsPromised(Exception):
    """The demo saw something else than it promises. The text says what, and where to look."""


@dataclass
class Following:
    """A notification on its way: which one, since when, and what of it was shown already."""

    told: Told
    identity: str
    row: Row
    began: float
    shown: set[str] = field(default_factory=set)
    attempts: int = 0


class Demo:
    """Tells the story on a running world."""

    def __init__(self, world: World, view: View) -> None:
        self._world = world
        self._view = view
        self._store = world.deployment.notifications
        self.counts = Counts()
        self._expected: dict[str, str] = {}

    def run(self) -> None:
        """Raises NotAsPromised."""
        self._link()
        self._four_routes()
        self._broken_session()
        self._exhausted_retries()
        self._audit()

    # -- the chapters --------------------------------------------------------------------------------------

    def _link(self) -> None:
        self._view.chapter("The account is linked: its phone scans the QR code")
        for person in PEOPLE:
            self._world.phones.add_phone(person.number, person.name, reads=person is not DESK)
        for code in pair.codes(self._world.deployment, ACCOUNT, wait_seconds=60):
            if isinstance(code, pair.Hint):
                raise NotAsPromised(code.text)
            self._view.say(f"QR code shown: {code.text[:60]}…")
            self._world.phones.link(DESK.number, code.text)
            self._view.say(f"scanned by the phone of {DESK.name}")
        with progress(self._view, "linked; logging in"):
            self._until(lambda: pair.connected(self._world.deployment, ACCOUNT), "the account connects")

    def _four_routes(self) -> None:
        self._view.chapter("Four routes: made by admin or technician, to customer and technicians")
        by_admin = self._event(
            "TicketCreated",
            ticket("TCK-1041", "Internet mati sejak pukul 09.00", location="Jl. Merdeka 5"),
            SITI,
            [BUDI],
            "admin",
            [
                Told("admin → customer (Siti)", SITI, "customer"),
                Told("admin → technician (Budi)", BUDI, "technician"),
            ],
        )
        by_technician = self._event(
            "TicketCreated",
            ticket("TCK-1042", "Router sin señal", location="Calle Mayor 12"),
            CARLOS,
            [BUDI, AYU],
            BUDI,
            [
                Told("technician → customer (Carlos)", CARLOS, "customer"),
                Told("technician → technician (Ayu)", AYU, "technician"),
            ],
        )
        followed = by_admin + by_technician
        self._follow(followed, until=State.READ)
        for following in followed:
            self._show_on_phone(following)
        self.counts.delivered += len(followed)

    def _broken_session(self) -> None:
        self._view.chapter("Bad MAC: the customer's phone loses its session; the message heals and arrives")
        self._world.phones.break_phone(SITI.number, "corrupt-session")
        self._view.say("the session on Siti's phone is corrupted; the next message can't be decrypted there")
        followed = self._event(
            "TicketUpdated",
            ticket("TCK-1041", "Internet mati sejak pukul 09.00", revision=2, status="in progress"),
            SITI,
            [],
            "admin",
            [Told("admin → customer (Siti)", SITI, "customer")],
        )
        self._follow(followed, until=State.READ)
        (healed,) = followed
        stored = self._stored(healed.identity)
        if not stored.recoveries:
            raise NotAsPromised("the message arrived without the recovery that was to be shown")
        took = ((stored.delivered_at or 0) - (stored.sent_at or 0)) / 1000
        asked = max(recovery.count for recovery in stored.recoveries.values())
        self._view.note(
            healed.row,
            f"retry receipt (count {asked}), new session, resent; healed {took:.2f} s after the send",
        )
        self._show_on_phone(healed)
        self.counts.delivered += 1
        self.counts.recovered += 1

    def _exhausted_retries(self) -> None:
        self._view.chapter("Retries used up: a dead letter with its reason, redriven to success")
        self._world.phones.inject("ack-error", code=500, to=CARLOS.number, n=100)
        self._view.say("the server now refuses every message to Carlos with error 500")
        followed = self._event(
            "TicketAssigned",
            ticket("TCK-1042", "Router sin señal", revision=2),
            CARLOS,
            [],
            "admin",
            [Told("admin → customer (Carlos)", CARLOS, "customer")],
        )
        self._follow(followed, until=State.FAILED)
        (buried,) = followed
        letters = DeadLetters(self._world.deployment)
        self._until(
            lambda: any(item.notification == buried.identity for item in letters.read()),
            "the dead letter lies there",
        )
        letter = next(item for item in letters.read() if item.notification == buried.identity)
        self._view.note(buried.row, f"dead letter: {letter.reason} after {len(letter.attempts)} attempts")
        self.counts.dead_lettered += 1
        self._world.phones.clear_faults()
        self._view.say("the server is well again; tocsin dead-letters redrive " + buried.identity)
        for done in letters.redrive(Selection(notification=buried.identity)):
            if done.result != "redriven":
                raise NotAsPromised(f"the redrive was refused: {done.why}")
            self.counts.redriven += 1
        buried.shown.clear()
        buried.began = time.time()
        self._follow(followed, until=State.READ)
        self._show_on_phone(buried)
        self.counts.delivered += 1

    def _audit(self) -> None:
        self._view.chapter("The WhatsApp server's audit")
        shown = {
            message["id"]: message
            for person in PEOPLE
            for message in self._world.phones.messages(person.number)
        }
        arrived = [message_id for message_id in self._expected if message_id in shown]
        self.counts.lost = len(self._expected) - len(arrived)
        audit = self._world.phones.audit()
        self._view.say(
            f"{len(self._expected)} messages expected, {len(arrived)} on the phones, each shown once"
        )
        self._view.say(
            f"{audit['ciphertexts']} ciphertexts; message keys used twice: {audit['message_keys_reused']}; "
            f"prekeys handed out twice: {audit['prekeys_handed_out_twice']}"
        )
        if self.counts.lost or audit["message_keys_reused"] or audit["prekeys_handed_out_twice"]:
            raise NotAsPromised("the audit found something: see above")

    # -- telling -------------------------------------------------------------------------------------------

    def _event(
        self,
        event_type: str,
        about: Mapping[str, Any],
        customer: Person,
        technicians: Iterable[Person],
        made_by: Person | str,
        told: Iterable[Told],
    ) -> list[Following]:
        """Put one ticket event on the bus; what it must bring about."""
        ids = {BUDI.number: "T-3", AYU.number: "T-4"}
        creator = (
            {"role": "technician", "id": ids[made_by.number]}
            if isinstance(made_by, Person)
            else {"role": made_by, "id": "U-1"}
        )
        detail = {
            "ticket": about,
            "customer": customer.in_event(f"C-{customer.number[-3:]}"),
            "technicians": [person.in_event(ids[person.number]) for person in technicians],
            "created_by": creator,
            "account": ACCOUNT,
        }
        began = time.time()
        put_event(self._world.deployment, event_type, detail)
        followed = []
        for one in told:
            identity = notification_id(
                ACCOUNT, about["id"], event_type, about["revision"], one.audience, one.person.number
            )
            row = Row(one.label)
            self._view.stage(row, "event", time.time() - began)
            followed.append(Following(one, identity, row, began))
        return followed

    def _follow(self, followed: list[Following], *, until: State) -> None:
        """Show each stage as it comes, until all came to `until`. Raises NotAsPromised."""

        def all_there() -> bool:
            looks = [self._look(following, until) for following in followed]
            return all(looks)

        self._until(all_there, f"all are {until}")

    def _look(self, following: Following, until: State) -> bool:
        stored = self._store.get(following.identity)
        if stored is None:
            return False
        for stage, at in _stages(stored):
            if at is not None and stage not in following.shown:
                following.shown.add(stage)
                self._view.stage(following.row, stage, max(at / 1000 - following.began, 0))
        for attempt in stored.attempts[following.attempts :]:
            if attempt.class_ not in ("", "ok"):
                self._view.note(following.row, f"attempt failed: {attempt.cause} ({attempt.class_})")
        following.attempts = len(stored.attempts)
        if stored.state in (State.FAILED, State.SUPPRESSED) and until is not stored.state:
            raise NotAsPromised(f"{following.told.label} is {stored.state}: {stored.last_error}")
        if stored.state is State.READ or until is State.READ:
            self._expected[stored.message_id] = following.told.label
        return stored.state is until

    def _show_on_phone(self, following: Following) -> None:
        stored = self._stored(following.identity)
        messages = self._world.phones.messages(following.told.person.number)
        shown = next((message for message in messages if message["id"] == stored.message_id), None)
        if shown is None:
            raise NotAsPromised(f"the phone of {following.told.person.name} doesn't show {stored.message_id}")
        self._view.phone(following.told.person.name, shown["text"])

    def _stored(self, identity: str) -> Notification:
        stored = self._store.get(identity)
        if stored is None:
            raise NotAsPromised(f"the notification {identity} is gone")
        return stored

    def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not done():
            if time.monotonic() > deadline:
                raise NotAsPromised(
                    f"waited {ARRIVAL_SECONDS} s, in vain, until {what}; the logs are in {self._world.folder}"
                )
            time.sleep(POLL_SECONDS)


def ticket(
    ticket_id: str, subject: str, *, revision: int = 1, status: str = "open", location: str = ""
) -> dict[str, Any]:
    """The ticket part of an event."""
    about: dict[str, Any] = {
        "id": ticket_id,
        "revision": revision,
        "subject": subject,
        "priority": "high",
        "status": status,
    }
    return about | ({"location": location} if location else {})


def _stages(stored: Notification) -> list[tuple[str, int | None]]:
    return [
        ("planned", stored.created_at),
        ("sent", stored.sent_at),
        ("delivered", stored.delivered_at),
        ("read", stored.read_at),
    ]


def main() -> int:
    """Set the world up, tell the story, count. 0 if all was as promised."""
    exit_on_sigterm()
    began = time.monotonic()
    demo: Demo | None = None
    try:
        with open_view() as view:
            view.chapter("One machine: AWS emulator, the deployed template, WhatsApp server, connector")
            with world("demo", progress=view.say) as running_world, running_world.connector():
                demo = Demo(running_world, view)
                demo.run()
                view.say(f"all done after {time.monotonic() - began:.0f} s")
    except KeyboardInterrupt:
        print("demo: interrupted; everything was stopped")
        return 130
    except (
        NotAsPromised,
        ConsoleError,
        ControlError,
        WaitedTooLong,
        ProcessFailed,
        CommandFailed,
    ) as trouble:
        print(f"demo: failed: {trouble}", file=sys.stderr)
        print((demo.counts if demo else Counts()).line())
        return 1
    print(demo.counts.line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
