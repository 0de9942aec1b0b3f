"""`make demo`: the main job on one machine, step by step, with a session broken and a dead letter redriven.

The template, the protocols and the phones' decryption are the real ones. The last line counts what happened;
the exit code is 0 only if everything happened as expected.
"""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tocsin.notify.letters import Letter
from tocsin.notify.notification import MESSAGE_REQUESTED, Notification, State, derived_id, request_name
from tocsin.notify.redrive import Redriver, Selection
from tocsin.people.numbers import same_person_key
from tocsin_console import pair
from tocsin_console.errors import ConsoleError
from tocsin_console.explain import explain
from tocsin_console.output import Output, end_after_closed_pipe, replace_unencodable
from tocsin_console.send import put_event
from tocsin_local.door import PARAMETERS, add_source, door_of
from tocsin_local.hook import PARAMETERS as HOOKS
from tocsin_local.hook import Listener, listener_of
from tocsin_local.processes import ProcessFailed, exit_on_sigterm
from tocsin_local.speech import OutputClosed, say
from tocsin_local.stack import CommandFailed
from tocsin_local.view import Row, Shown, View, open_view
from tocsin_local.world import World, world
from tocsin_whatsapp_server.control_client import ControlError, WaitedTooLong

ACCOUNT = "default"
# It includes a cold start of every function on two busy cores.
ARRIVAL_SECONDS = 60
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

BUCKET = "tocsin-demo"
REPORT = "tickets/TCK-1041.pdf"
# The smallest PDF that shows one empty page.
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


@dataclass(frozen=True)
class Told:
    """One notification that an event must bring about. `people`: on whose phones it must show; `group`: in
    which group, where it isn't for one person; `file`: which attachment it brings, if it is one."""

    label: str
    people: tuple[Person, ...]
    audience: str
    group: str = ""
    file: str = ""

    @property
    def recipient(self) -> str:
        return self.group or self.people[0].number


@dataclass
class Counts:
    """The numbers in the last line."""

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


class NotAsExpected(Exception):
    """Something did not happen as the demo expects. The text says what."""


# Errors whose text explains them.
EXPECTED = (NotAsExpected, ConsoleError, ControlError, WaitedTooLong, ProcessFailed, CommandFailed)


@dataclass
class Following:
    """A notification on its way: which one, since when, and what of it was shown already."""

    told: Told
    identity: str
    event_type: str
    row: Row
    began: float
    shown: set[str] = field(default_factory=set)
    attempts: int = 0
    latest: float = 0.0
    end: str = ""


class Demo:
    """Tells the story on a running world."""

    def __init__(self, world: World, view: View, door_url: str, listener: Listener) -> None:
        self._world = world
        self._view = view
        self._door_url = door_url
        self._listener = listener
        self._stores = world.deployment.stores
        self.counts = Counts()
        self._followed: list[Following] = []

    def run(self) -> None:
        """Raises NotAsExpected."""
        self._link()
        self._four_routes()
        self._group()
        self._file()
        self._by_http()
        self._webhook()
        self._broken_session()
        self._exhausted_retries()
        self._audit()

    # -- the chapters --------------------------------------------------------------------------------------

    def _link(self) -> None:
        self._view.chapter("The account is linked: its phone scans the QR code")
        for person in PEOPLE:
            self._world.phones.add_phone(person.number, person.name, reads=person is not DESK)
        self._view.step("tocsin pair")
        for code in pair.codes(self._world.deployment, ACCOUNT, wait_seconds=60):
            if isinstance(code, pair.Hint):
                self._view.say(code.text)
            if not isinstance(code, pair.Code):
                continue
            self._view.done()
            self._view.code(code.text)
            self._view.step(f"the phone of {DESK.name} scans it; logging in")
            self._world.phones.link(DESK.number, code.text)
        self._until(lambda: pair.connected(self._world.deployment, ACCOUNT), "the account connects")

    def _four_routes(self) -> None:
        self._view.chapter("Four routes: made by admin or technician, to customer and technicians")
        self._view.say("two ticket events; whoever made a ticket isn't told about it")
        self._view.say("each function's first start is a cold one: the times show it")
        by_admin = self._event(
            "TicketCreated",
            ticket("TCK-1041", "Internet mati sejak pukul 09.00", location="Jl. Merdeka 5"),
            SITI,
            [BUDI],
            "admin",
            [
                Told("admin → customer (Siti)", (SITI,), "customer"),
                Told("admin → technician (Budi)", (BUDI,), "technician"),
            ],
        )
        by_technician = self._event(
            "TicketCreated",
            ticket("TCK-1042", "Router sin señal", location="Calle Mayor 12"),
            CARLOS,
            [BUDI, AYU],
            BUDI,
            [
                Told("technician → customer (Carlos)", (CARLOS,), "customer"),
                Told("technician → technician (Ayu)", (AYU,), "technician"),
            ],
        )
        followed = by_admin + by_technician
        self._follow(followed, until=State.READ)
        self._show_on_phones(followed)
        self.counts.delivered += len(followed)

    def _group(self) -> None:
        self._view.chapter("A group: one ciphertext for all, each phone given the key to it")
        group = self._world.phones.add_group("Teknisi lapangan", [DESK.number, BUDI.number, AYU.number])
        self._view.say("Budi and Ayu share a group with the account; a ticket event names it")
        followed = self._event(
            "TicketUpdated",
            ticket("TCK-1042", "Router sin señal", revision=2, status="assigned", location="Calle Mayor 12"),
            None,
            [],
            "admin",
            [Told("admin → group (Budi, Ayu)", (BUDI, AYU), "group", group)],
        )
        self._follow(followed, until=State.READ)
        self._show_on_phones(followed)
        self.counts.delivered += 1

    def _file(self) -> None:
        self._view.chapter("A file: uploaded once as ciphertext, checked by the phone that opens it")
        self._world.stack.client("s3").put_object(Bucket=BUCKET, Key=REPORT, Body=PDF)
        self._view.say(f"a ticket event attaches {REPORT} of the bucket {BUCKET}")
        followed = self._event(
            "TicketAssigned",
            ticket("TCK-1041", "Internet mati sejak pukul 09.00", revision=2, location="Jl. Merdeka 5"),
            SITI,
            [],
            "admin",
            [
                Told("admin → customer (Siti)", (SITI,), "customer"),
                Told("… with a PDF (Siti)", (SITI,), "customer", file=REPORT),
            ],
        )
        self._follow(followed, until=State.READ)
        self._show_on_phones(followed)
        if self._world.phones.file(SITI.number, self._message_id(followed[-1])) != PDF:
            raise NotAsExpected("the file on Siti's phone is another one")
        self._view.say(f"{len(PDF)} bytes on Siti's phone, the same as in the bucket")
        self.counts.delivered += len(followed)

    def _by_http(self) -> None:
        self._view.chapter("By HTTP: a tool that speaks Evolution API sends through the door")
        key = add_source(self._world, self._door_url, "tool", "evolution")
        self._view.say("tocsin sources add tool --kind evolution")
        self._view.say(f"POST /message/sendText/{ACCOUNT}, with the key in the header apikey")
        began = time.time()
        body = json.dumps({"number": SITI.number, "text": "Tagihan Anda sudah terbit."}).encode()
        asked = urllib.request.Request(  # noqa: S310 - our own door, on loopback
            f"{self._door_url}/message/sendText/{ACCOUNT}",
            body,
            {"apikey": key, "content-type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=ARRIVAL_SECONDS) as answer:  # noqa: S310
            told = json.load(answer)
            if answer.status != 201:
                raise NotAsExpected(f"the door answered {answer.status}")
        request = request_name("tool", told["key"]["id"])
        person = same_person_key(SITI.number)
        identity = self._stores.ids.of(ACCOUNT, request, MESSAGE_REQUESTED, 0, "customer", person)
        one = Told("tool → customer (Siti)", (SITI,), "customer")
        following = Following(one, identity, MESSAGE_REQUESTED, Row(one.label), began)
        self._stage(following, "event", time.time())
        self._followed.append(following)
        self._follow([following], until=State.READ)
        self._show_on_phones([following])
        self.counts.delivered += 1

    def _webhook(self) -> None:
        self._view.chapter("Outcomes by webhook: somebody's system hears them, signed")
        read = self._followed[-1].identity
        self._until(
            lambda: "notification.read" in self._listener.types(read),
            "the webhook hears that the last message was read",
        )
        if self._listener.refused:
            raise NotAsExpected("a webhook's signature was wrong")
        types = " → ".join(self._listener.types(read))
        self._view.say(
            f"tocsin hooks add {self._listener.hook}: {len(self._listener.heard)} heard, all verified"
        )
        self._view.say(f"of the last message: {types}")

    def _broken_session(self) -> None:
        self._view.chapter("Bad MAC: a phone's session breaks; the message heals and arrives")
        self._world.phones.break_phone(SITI.number, "corrupt-session")
        self._view.say("Siti's phone now holds a corrupted session: it can't decrypt the next message")
        followed = self._event(
            "TicketUpdated",
            ticket("TCK-1041", "Internet mati sejak pukul 09.00", revision=3, status="in progress"),
            SITI,
            [],
            "admin",
            [Told("admin → customer (Siti)", (SITI,), "customer")],
        )
        self._follow(followed, until=State.READ)
        (healed,) = followed
        stored = self._stored(healed.identity)
        if not stored.recoveries:
            raise NotAsExpected("the message arrived without the recovery that was to be shown")
        took = max((stored.delivered_at or 0) - (stored.sent_at or 0), 0) / 1000
        self._view.note(healed.row, f"healed: readable {took:.2f} s after it was first sent")
        healed.end = f"{healed.end}; session healed by itself"
        self._show_on_phones(followed)
        self._explain(healed.identity)
        self.counts.delivered += 1
        self.counts.recovered += 1

    def _explain(self, identity: str) -> None:
        """Print what `tocsin explain` prints: each try, with the number and index of each device's copy."""
        told = io.StringIO()
        explain(self._world.deployment, identity, output=Output(stream=told))
        self._view.say(f"tocsin explain {identity}")
        for line in told.getvalue().splitlines():
            self._view.say(line)

    def _exhausted_retries(self) -> None:
        self._view.chapter("Retries used up: a dead letter with its reason, redriven to success")
        self._world.phones.inject("ack-error", code=500, to=CARLOS.number, n=100)
        self._view.say("WhatsApp's server now answers every message to Carlos with error 500")
        followed = self._event(
            "TicketAssigned",
            ticket("TCK-1042", "Router sin señal", revision=3),
            CARLOS,
            [],
            "admin",
            [Told("admin → customer (Carlos)", (CARLOS,), "customer")],
        )
        self._follow(followed, until=State.FAILED)
        (buried,) = followed
        redriver = self._world.deployment.redriver()
        letter = self._letter(redriver, buried.identity)
        self._view.note(buried.row, f"dead letter: {letter.reason}, after {len(letter.attempts)} tries")
        self.counts.dead_lettered += 1
        self._world.phones.clear_faults()
        self._view.say("the server is well again")
        self._view.say(f"tocsin dead-letters redrive {buried.identity}")
        began = time.time()
        for done in redriver.redrive(Selection(notification=buried.identity)):
            if done.result != "redriven":
                raise NotAsExpected(f"the redrive was refused: {done.why}")
            self.counts.redriven += 1
        # A redriven notification gets a row of its own; it keeps the plan of the first one.
        redriven = replace(
            buried, row=Row("redriven → customer (Carlos)"), began=began, shown=set(), latest=0.0
        )
        self._followed[self._followed.index(buried)] = redriven
        self._view.stage(redriven.row, "event", 0.0)
        self._follow([redriven], until=State.READ)
        redriven.end = f"{letter.reason} × {len(letter.attempts)}, dead letter, redriven; {redriven.end}"
        self._show_on_phones([redriven])
        self.counts.delivered += 1

    def _audit(self) -> None:
        self._view.chapter("What became of them, and the WhatsApp server's audit")
        self._view.summary([(one.told.label, one.event_type, one.end) for one in self._followed])
        shown = {
            person.number: {message["id"]: message for message in self._world.phones.messages(person.number)}
            for person in PEOPLE
        }
        arrived = [
            one
            for one in self._followed
            if all(self._message_id(one) in shown[person.number] for person in one.told.people)
        ]
        self.counts.lost = len(self._followed) - len(arrived)
        audit = self._world.phones.audit()
        self._view.say("")
        self._view.say(
            f"{len(self._followed)} messages were expected, {len(arrived)} are on the phones, each once"
        )
        self._view.say(
            f"{audit['ciphertexts']} ciphertexts went through the server; "
            f"message keys used twice: {audit['message_keys_reused']}; "
            f"prekeys handed out twice: {audit['prekeys_handed_out_twice']}"
        )
        if self.counts.lost or audit["message_keys_reused"] or audit["prekeys_handed_out_twice"]:
            raise NotAsExpected("the audit found something: see above")

    # -- telling -------------------------------------------------------------------------------------------

    def _event(
        self,
        event_type: str,
        about: Mapping[str, Any],
        customer: Person | None,
        technicians: Iterable[Person],
        made_by: Person | str,
        told: Sequence[Told],
    ) -> list[Following]:
        """Put one ticket event on the bus. Returns the notifications that it must cause."""
        ids = {BUDI.number: "T-3", AYU.number: "T-4"}
        creator = (
            {"role": "technician", "id": ids[made_by.number]}
            if isinstance(made_by, Person)
            else {"role": made_by, "id": "U-1"}
        )
        detail = {
            "ticket": about,
            "customer": customer and customer.in_event(f"C-{customer.number[-3:]}"),
            "technicians": [person.in_event(ids[person.number]) for person in technicians],
            "groups": [one.group for one in told if one.group],
            "attachments": [{"key": one.file, "caption": "Laporan teknisi"} for one in told if one.file],
            "created_by": creator,
            "account": ACCOUNT,
        }
        began = time.time()
        put_event(self._world.deployment, event_type, detail)
        followed = []
        for one in told:
            identity = self._world.deployment.stores.ids.of(
                ACCOUNT, about["id"], event_type, about["revision"], one.audience, one.recipient
            )
            identity = derived_id(identity, one.file) if one.file else identity
            following = Following(one, identity, event_type, Row(one.label), began)
            self._stage(following, "event", time.time())
            followed.append(following)
        self._followed += followed
        return followed

    def _follow(self, followed: list[Following], *, until: State) -> None:
        """Show each stage when it is reached, until all have reached `until`. Raises NotAsExpected."""

        def all_there() -> bool:
            looks = [self._look(following, until) for following in followed]
            return all(looks)

        self._until(all_there, f"all are {until}")

    def _look(self, following: Following, until: State) -> bool:
        stored = self._stores.notifications.get(following.identity)
        if stored is None:
            return False
        if stored.state is State.READ:
            following.row.end = "read"
        if stored.state is State.FAILED:
            following.row.end = "dead"
        self._stage_if_new(following, "planned", stored.created_at)
        self._tell_attempts(following, stored)
        self._stage_if_new(following, "sent", stored.sent_at)
        self._stage_if_new(following, "delivered", stored.delivered_at)
        self._stage_if_new(following, "read", stored.read_at)
        if stored.state is State.READ:
            following.end = f"read after {following.latest:.2f} s"
        if stored.state in (State.FAILED, State.SUPPRESSED) and until is not stored.state:
            raise NotAsExpected(f"{following.told.label} is {stored.state}: {stored.last_error}")
        return stored.state is until

    def _stage_if_new(self, following: Following, stage: str, at: int | None) -> None:
        """`at`: ms. Ignores what happened before the row began, that is before a redrive."""
        if at is not None and at / 1000 >= following.began and stage not in following.shown:
            self._stage(following, stage, at / 1000)

    def _stage(self, following: Following, stage: str, at: float) -> None:
        """`at`: seconds. Different processes note the times, so a receipt may be some ms older than its
        send. It is not shown like that."""
        following.shown.add(stage)
        following.latest = max(at - following.began, following.latest)
        self._view.stage(following.row, stage, following.latest)

    def _tell_attempts(self, following: Following, stored: Notification) -> None:
        for attempt in stored.attempts[following.attempts :]:
            if attempt.class_ == "recover":
                cause = attempt.cause.removeprefix("recovered-")
                self._view.note(following.row, f"the phone says {cause} and asks again; {attempt.detail}")
            elif attempt.class_ not in ("", "ok"):
                self._view.note(following.row, f"try {stored.attempts.index(attempt) + 1}: {attempt.cause}")
        following.attempts = len(stored.attempts)

    def _show_on_phones(self, followed: Iterable[Following]) -> None:
        shown: list[Shown] = []
        for following in followed:
            identity = self._message_id(following)
            for owner in following.told.people:
                messages = self._world.phones.messages(owner.number)
                found = next((message for message in messages if message["id"] == identity), None)
                if found is None:
                    raise NotAsExpected(f"the phone of {owner.name} doesn't show {identity}")
                file = f"📄 {found['media']['file_name']}\n" if found.get("media") else ""
                shown.append(Shown(owner.name, file + found["text"]))
        self._view.phones(shown)

    def _letter(self, redriver: Redriver, identity: str) -> Letter:
        """Wait for the dead letter and return it."""
        found: list[Letter] = []

        def arrived() -> bool:
            letter = redriver.find(identity)
            found.extend([letter] if letter else [])
            return bool(found)

        self._until(arrived, "the dead letter is in the queue")
        return found[0]

    def _message_id(self, following: Following) -> str:
        return self._stored(following.identity).message_id

    def _stored(self, identity: str) -> Notification:
        stored = self._stores.notifications.get(identity)
        if stored is None:
            raise NotAsExpected(f"the notification {identity} is gone")
        return stored

    def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not done():
            if time.monotonic() > deadline:
                raise NotAsExpected(f"waited {ARRIVAL_SECONDS} s, but this did not happen: {what}")
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


def main() -> int:
    """Start everything, run the demo, count. Returns 0 if everything happened as expected."""
    exit_on_sigterm()
    replace_unencodable()
    try:
        return _tell()
    except OutputClosed:
        return end_after_closed_pipe()


def _tell() -> int:
    began = time.monotonic()
    stage = _Run()
    try:
        with open_view() as view:
            view.chapter("One machine: AWS emulator, the deployed template, WhatsApp server, connector")
            parameters = {"AttachmentsBucket": BUCKET, **PARAMETERS, **HOOKS}
            with world("demo", parameters=parameters, progress=view.step) as running_world:
                stage.folder = running_world.folder
                running_world.stack.client("s3").create_bucket(Bucket=BUCKET)
                with (
                    listener_of(running_world) as listener,
                    running_world.connector(),
                    door_of(running_world) as door_url,
                ):
                    demo = Demo(running_world, view, door_url, listener)
                    stage.counts = demo.counts
                    demo.run()
                    view.step("stopping everything")
        say(f"all of it took {time.monotonic() - began:.0f} s")
    except OutputClosed:
        raise
    except KeyboardInterrupt:
        print("demo: interrupted; everything was stopped", file=sys.stderr)
        return 130
    except EXPECTED as trouble:
        return stage.fail(str(trouble))
    except Exception as trouble:  # noqa: BLE001  a part that dies under us fails in many ways
        return stage.fail(f"{type(trouble).__name__}: {trouble}", trace=traceback.format_exc())
    say(stage.counts.line())
    return 0


@dataclass
class _Run:
    """What to report when the demo ends early."""

    folder: Path | None = None
    counts: Counts = field(default_factory=Counts)

    def fail(self, why: str, *, trace: str = "") -> int:
        print(f"demo: failed: {why}", file=sys.stderr)
        if self.folder is not None:
            if trace:
                (self.folder / "demo.log").write_text(trace, encoding="utf-8")
            print(f"demo: everything was stopped; the logs are in {self.folder}", file=sys.stderr)
        say(self.counts.line())
        return 1


if __name__ == "__main__":
    sys.exit(main())
