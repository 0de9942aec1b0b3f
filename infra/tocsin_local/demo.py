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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tocsin.notify.letters import Letter
from tocsin.notify.notification import MESSAGE_REQUESTED, State, request_name
from tocsin.notify.redrive import Redriver, Selection
from tocsin.people.numbers import same_person_key
from tocsin_console import pair
from tocsin_console.errors import ConsoleError
from tocsin_console.explain import explain
from tocsin_console.output import Output, end_after_closed_pipe, replace_unencodable
from tocsin_local.door import PARAMETERS, add_source, door_of
from tocsin_local.following import ACCOUNT, ARRIVAL_SECONDS, Follower, Following, NotAsExpected, Person, Told
from tocsin_local.hook import PARAMETERS as HOOKS
from tocsin_local.hook import Listener, listener_of
from tocsin_local.processes import ProcessFailed, exit_on_sigterm
from tocsin_local.speech import OutputClosed, say
from tocsin_local.stack import CommandFailed
from tocsin_local.view import Row, View, open_view
from tocsin_local.world import World, world
from tocsin_whatsapp_server.control_client import ControlError, WaitedTooLong

DESK = Person("6281100000001", "Rapido Net", "id")
SITI = Person("6281234567890", "Siti", "id")
CARLOS = Person("34612345678", "Carlos", "es")
BUDI = Person("6281311112222", "Budi", "id", "T-3")
AYU = Person("6281511113333", "Ayu", "en", "T-4")
PEOPLE = (DESK, SITI, CARLOS, BUDI, AYU)

BUCKET = "tocsin-demo"
REPORT = "tickets/TCK-1041.pdf"
# The smallest PDF that shows one empty page.
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


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


# Errors whose text explains them.
EXPECTED = (NotAsExpected, ConsoleError, ControlError, WaitedTooLong, ProcessFailed, CommandFailed)


class Demo:
    """Tells the story on a running world."""

    def __init__(self, world: World, view: View, door_url: str, listener: Listener) -> None:
        self._world = world
        self._view = view
        self._door_url = door_url
        self._listener = listener
        self._stores = world.deployment.stores
        self._follower = Follower(world, view)
        self.counts = Counts()

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
        self._follower.until(lambda: pair.connected(self._world.deployment, ACCOUNT), "the account connects")

    def _four_routes(self) -> None:
        self._view.chapter("Four routes: made by admin or technician, to customer and technicians")
        self._view.say("two ticket events; whoever made a ticket isn't told about it")
        self._view.say("each function's first start is a cold one: the times show it")
        by_admin = self._follower.event(
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
        by_technician = self._follower.event(
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
        self._follower.follow(followed, until=State.READ)
        self._follower.show_on_phones(followed)
        self.counts.delivered += len(followed)

    def _group(self) -> None:
        self._view.chapter("A group: one ciphertext for all, each phone given the key to it")
        group = self._world.phones.add_group("Teknisi lapangan", [DESK.number, BUDI.number, AYU.number])
        self._view.say("Budi and Ayu share a group with the account; a ticket event names it")
        followed = self._follower.event(
            "TicketUpdated",
            ticket("TCK-1042", "Router sin señal", revision=2, status="assigned", location="Calle Mayor 12"),
            None,
            [],
            "admin",
            [Told("admin → group (Budi, Ayu)", (BUDI, AYU), "group", group)],
        )
        self._follower.follow(followed, until=State.READ)
        self._follower.show_on_phones(followed)
        self.counts.delivered += 1

    def _file(self) -> None:
        self._view.chapter("A file: uploaded once as ciphertext, checked by the phone that opens it")
        self._world.stack.client("s3").put_object(Bucket=BUCKET, Key=REPORT, Body=PDF)
        self._view.say(f"a ticket event attaches {REPORT} of the bucket {BUCKET}")
        followed = self._follower.event(
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
        self._follower.follow(followed, until=State.READ)
        self._follower.show_on_phones(followed)
        if self._world.phones.file(SITI.number, self._follower.message_id(followed[-1])) != PDF:
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
        self._follower.stage(following, "event", time.time())
        self._follower.followed.append(following)
        self._follower.follow([following], until=State.READ)
        self._follower.show_on_phones([following])
        self.counts.delivered += 1

    def _webhook(self) -> None:
        self._view.chapter("Outcomes by webhook: somebody's system hears them, signed")
        read = self._follower.followed[-1].identity
        self._follower.until(
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
        followed = self._follower.event(
            "TicketUpdated",
            ticket("TCK-1041", "Internet mati sejak pukul 09.00", revision=3, status="in progress"),
            SITI,
            [],
            "admin",
            [Told("admin → customer (Siti)", (SITI,), "customer")],
        )
        self._follower.follow(followed, until=State.READ)
        (healed,) = followed
        stored = self._follower.stored(healed.identity)
        if not stored.recoveries:
            raise NotAsExpected("the message arrived without the recovery that was to be shown")
        took = max((stored.delivered_at or 0) - (stored.sent_at or 0), 0) / 1000
        self._view.note(healed.row, f"healed: readable {took:.2f} s after it was first sent")
        healed.end = f"{healed.end}; session healed by itself"
        self._follower.show_on_phones(followed)
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
        followed = self._follower.event(
            "TicketAssigned",
            ticket("TCK-1042", "Router sin señal", revision=3),
            CARLOS,
            [],
            "admin",
            [Told("admin → customer (Carlos)", (CARLOS,), "customer")],
        )
        self._follower.follow(followed, until=State.FAILED)
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
        self._follower.followed[self._follower.followed.index(buried)] = redriven
        self._view.stage(redriven.row, "event", 0.0)
        self._follower.follow([redriven], until=State.READ)
        redriven.end = f"{letter.reason} × {len(letter.attempts)}, dead letter, redriven; {redriven.end}"
        self._follower.show_on_phones([redriven])
        self.counts.delivered += 1

    def _audit(self) -> None:
        self._view.chapter("What became of them, and the WhatsApp server's audit")
        self._view.summary([(one.told.label, one.event_type, one.end) for one in self._follower.followed])
        shown = {
            person.number: {message["id"]: message for message in self._world.phones.messages(person.number)}
            for person in PEOPLE
        }
        arrived = [
            one
            for one in self._follower.followed
            if all(self._follower.message_id(one) in shown[person.number] for person in one.told.people)
        ]
        self.counts.lost = len(self._follower.followed) - len(arrived)
        audit = self._world.phones.audit()
        self._view.say("")
        self._view.say(
            f"{len(self._follower.followed)} messages were expected, "
            f"{len(arrived)} are on the phones, each once"
        )
        self._view.say(
            f"{audit['ciphertexts']} ciphertexts went through the server; "
            f"message keys used twice: {audit['message_keys_reused']}; "
            f"prekeys handed out twice: {audit['prekeys_handed_out_twice']}"
        )
        if self.counts.lost or audit["message_keys_reused"] or audit["prekeys_handed_out_twice"]:
            raise NotAsExpected("the audit found something: see above")

    def _letter(self, redriver: Redriver, identity: str) -> Letter:
        """Wait for the dead letter and return it."""
        found: list[Letter] = []

        def arrived() -> bool:
            letter = redriver.find(identity)
            found.extend([letter] if letter else [])
            return bool(found)

        self._follower.until(arrived, "the dead letter is in the queue")
        return found[0]


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
