"""Every order in which three Lambdas may reach the key store, two operations each, and every crash in it.

`explore` goes through all schedules of a scenario within two bounds: how often a Lambda is set aside in the
middle of an operation, and how many requests meet a fault (the Lambda ends before or after it, the item is
contended, the answer is lost though the write was done, or not done). Between operations anybody may go on.
What led to the same table and the same answers is followed once.

The random lives of `tests.support.key_simulation` go further in length, and check less thoroughly. As there,
Violation is raised if one of these does not hold:

    no index of a sending chain is used for two messages
    whatever was sent is read by the phones, in the order it was made and in the reverse one
    whatever the phones sent, before and in answer, is read by us, yields its text to whoever asks again,
    and is a duplicate in any other stanza
    afterwards both directions work with each device, and nobody damaged anything
"""

import contextlib
import hashlib
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tests.support.key_peers import SECRET, Clock, End, Entropy
from tests.support.key_simulation import LID, PN, US, LambdaEnds, Letter, Phone, Task, Violation, household
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Contention, OutcomeUnknown
from tocsin.dynamo.writes import Item, Key
from tocsin.keys.errors import NoOutbound
from tocsin.keys.reserve import Reservation
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.signal.errors import Duplicate
from tocsin.signal.session import Ciphertext, parse
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import PreKeyBundle

WRITES = ("put", "update", "delete", "transact")
FAULTS = ("crash", "crash after", "contention", "lost", "lost after")
DEVICES = (0, 6)


class Bounds(NamedTuple):
    """`switches`: Lambdas set aside in the middle of an operation. `faults`: requests that meet one."""

    switches: int
    faults: int = 0


class Choice(NamedTuple):
    """Who goes on, and what befalls the request that it stands before."""

    actor: int
    fault: str | None = None


@dataclass(frozen=True)
class Sent:
    """A ciphertext on its way to a phone."""

    device: int
    message: Ciphertext
    text: bytes


def explore(programs: Sequence[Sequence[str]], bounds: Bounds) -> int:
    """Go through all schedules of `programs`, the operations of each Lambda; how many were followed.

    Raises Violation with the schedule that led to it.
    """
    scenario, seen, count = Scenario(programs), set[bytes](), 0
    ahead: list[tuple[Choice, ...]] = [()]
    while ahead:
        path, count = ahead.pop(), count + 1
        run = Run(scenario, bounds)
        try:
            _follow(run, path, seen, ahead)
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}; programs {programs}, {run.story}") from error
        finally:
            run.end()
    return count


def _follow(run: "Run", path: tuple[Choice, ...], seen: set[bytes], ahead: list[tuple[Choice, ...]]) -> None:
    for choice in path:
        run.take(choice)
    while options := run.options():
        state = run.state()
        if state in seen:
            return
        seen.add(state)
        ahead.extend((*path, other) for other in options[1:])
        path = (*path, options[0])
        run.take(options[0])
    run.take_stock()


class Scenario:
    """What all schedules of some programs start from: an established conversation, and letters under way.

    Of device 0 there is one in a chain that we know, of a session that is archived by now (`late`), and some
    of a session that we began since (`new`), the first of which turns ours. Device 6 has begun anew, with a
    one-time prekey of ours (`first`).
    """

    def __init__(self, programs: Sequence[Sequence[str]]) -> None:
        self.programs = programs
        self.clock = Clock()
        self.end = End(US, device=3, table=MemoryTable(), clock=self.clock, entropy=Entropy("us"))
        self.phones = household(DEVICES, lambda device: Entropy(f"phone {device}"))
        self.letters: dict[str, Letter] = {}
        self._converse()
        self.clock.now += 2 * 3600
        # So many as can be asked for; whoever asks gets always the same.
        self.bundles = {
            (actor, number, device): self.phones[device].bundle()
            for actor, program in enumerate(programs)
            for number in range(len(program))
            for device in DEVICES
        }
        assert isinstance(self.end.table.table, MemoryTable)
        self.items = self.end.table.table._items

    def _converse(self) -> None:
        end, phones = self.end, self.phones
        bundles = {device: phone.bundle() for device, phone in phones.items()}
        end.keys.sending.make_sessions(end.profile, end.credentials, PN, bundles, devices=DEVICES)
        self._tell()
        self._hear(0)
        self.letters["late"] = self._letter(0, "late")
        self._hear(6)
        self._tell()
        end.keys.sending.rebuild(end.profile, end.credentials, PN, 0, phones[0].bundle())
        self._tell()
        self.letters |= {name: self._letter(0, name) for name in ("new", "newer", "newest")}
        phones[6].meet(end.bundle(), int(self.clock.now))
        self.letters["first"] = self._letter(6, "first")

    def _tell(self) -> None:
        reservation = self.end.keys.sending.reserve(self.end.profile, PN)
        for device, phone in self.phones.items():
            phone.read(reservation.encrypt(device, self.end.profile, b"hello"), int(self.clock.now))

    def _hear(self, device: int) -> None:
        letter = self._letter(device, f"hello {device}")
        self.read(self.end.keys, PN, letter)

    def _letter(self, device: int, text: str) -> Letter:
        return Letter(device, f"S {text}", self.phones[device].say(text.encode()), text.encode())

    def read(self, keys: KeyStore, user: str, letter: Letter) -> None:
        """Receive a letter. Raises Violation if it yields something else than what was written."""
        end, message = self.end, letter.message
        received = keys.receiving.receive(
            end.profile,
            end.credentials,
            user,
            letter.device,
            letter.stanza_id,
            message.type,
            message.body,
            voucher=self.phones[letter.device].voucher,
        )
        if received.plaintext != letter.text:
            raise Violation(f"{received.plaintext!r} instead of {letter.text!r}")


class Run:
    """One schedule of a scenario, taken choice by choice."""

    def __init__(self, scenario: Scenario, bounds: Bounds) -> None:
        self.scenario = scenario
        self.table = MemoryTable()
        self.table._items = {key: dict(item) for key, item in scenario.items.items()}
        self.phones = {device: _copy(phone) for device, phone in scenario.phones.items()}
        self.story: list[Choice] = []
        self.known_lid = False
        self.over = False
        self._left = bounds
        self._last: Actor | None = None
        self._used: set[tuple[bytes, int]] = set()
        self.actors = [Actor(self, number, program) for number, program in enumerate(scenario.programs)]

    # The schedule

    def options(self) -> list[Choice]:
        """What may come next: first of all, whoever is at it goes on."""
        ready = [actor for actor in self.actors if not actor.done]
        last = self._last
        if last is not None and not last.done and last.within:
            ready = [last] + [actor for actor in ready if actor is not last and self._left.switches]
        choices = [Choice(actor.number) for actor in ready]
        if self._left.faults:
            choices += [
                Choice(actor.number, fault) for actor in ready if actor.writes_next for fault in FAULTS
            ]
        return choices

    def take(self, choice: Choice) -> None:
        """Let one go on to its next request, or its end. Raises what it raised."""
        self.story.append(choice)
        actor, last = self.actors[choice.actor], self._last
        set_aside = last is not None and last is not actor and not last.done and last.within
        left = self._left
        self._left = Bounds(left.switches - set_aside, left.faults - (choice.fault is not None))
        self._last = actor
        actor.go_on(choice.fault)

    def state(self) -> bytes:
        """Everything on which the rest depends, in short."""
        digest = hashlib.blake2b(repr(sorted(self.table._items.items())).encode())
        for actor in self.actors:
            digest.update(actor.history.digest())
        within = self._last.number if self._last is not None and self._last.within else None
        digest.update(repr((self._left, within)).encode())
        return digest.digest()

    def end(self) -> None:
        """Nobody goes on."""
        self.over = True
        for actor in self.actors:
            while not actor.done:
                with contextlib.suppress(Exception):
                    actor.go_on(None)

    # What must hold

    def use(self, message: Ciphertext) -> None:
        """Note that this leaves for the wire."""
        parsed = parse(message.type, message.body)
        inner = parsed.message if isinstance(parsed, PreKeyMessage) else parsed
        use = (inner.ratchet_public, inner.counter)
        if use in self._used:
            raise Violation(f"index {inner.counter} used twice")
        self._used.add(use)

    def take_stock(self) -> None:
        """All Lambdas are through."""
        sent = [message for actor in self.actors for message in actor.sent]
        self._read_by_phones({device: _copy(phone) for device, phone in self.phones.items()}, sent[::-1])
        answers = self._read_by_phones(self.phones, sent)
        keys = self.store(self.table, Entropy("afterwards"))
        user = LID if self.known_lid else PN
        for letter in (*self.scenario.letters.values(), *answers):
            self.scenario.read(keys, user, letter)
            self._refuse(keys, user, letter)
        for device, phone in self.phones.items():
            self._converse(keys, user, device, phone)
        if self.scenario.end.damages:
            raise Violation(f"{self.scenario.end.damages[0]}, and nobody damaged anything")

    def _read_by_phones(self, phones: dict[int, Phone], sent: Sequence[Sent]) -> list[Letter]:
        """What they answer, each in the session in which it was written to."""
        answers = []
        for number, one in enumerate(sent):
            phone = phones[one.device]
            if phone.read(one.message, int(self.scenario.clock.now)) != one.text:
                raise Violation("a phone read another text")
            text = b"answer %d" % number
            answers.append(Letter(one.device, f"A{number}", phone.say(text), text))
        return answers

    def _refuse(self, keys: KeyStore, user: str, letter: Letter) -> None:
        """Its key is gone: the same ciphertext in another stanza is a duplicate."""
        try:
            self.scenario.read(keys, user, replace(letter, stanza_id=f"again {letter.stanza_id}"))
        except Duplicate:
            return
        raise Violation(f"{letter.text!r} was decrypted twice")

    def _converse(self, keys: KeyStore, user: str, device: int, phone: Phone) -> None:
        end, bundle = self.scenario.end, {device: phone.bundle()}
        for number in range(2):
            message = send(keys, end, user, bundle, (device,))[1][device]
            self.use(message)
            self._read_by_phones({device: phone}, [Sent(device, message, b"text")])
            text = b"finally %d" % number
            self.scenario.read(keys, user, Letter(device, f"{device} {number}", phone.say(text), text))

    def store(self, table: Any, entropy: Entropy) -> KeyStore:
        """A key store of its own, as each Lambda has."""
        scenario = self.scenario
        return KeyStore(
            table,
            Sealer.from_secret(SECRET),
            "main",
            clock=scenario.clock,
            random=entropy,
            sleep=lambda seconds: None,
            on_damage=scenario.end.damages.append,
        )


def _copy(phone: Phone) -> Phone:
    """What a phone knows changes; its keys don't."""
    twin = copy(phone)
    twin._prekeys, twin._closed = dict(phone._prekeys), dict(phone._closed)
    return twin


def send(
    keys: KeyStore, end: End, user: str, bundles: dict[int, PreKeyBundle], devices: Sequence[int]
) -> tuple[Reservation, dict[int, Ciphertext]]:
    """Reserve; where there is no session, make one and reserve again; encrypt."""
    reservation = _reserved(keys, end, user)
    needy = devices if reservation is None else reservation.in_need(devices)
    while reservation is None or needy:
        wanted = {device: bundles[device] for device in needy}
        keys.sending.make_sessions(end.profile, end.credentials, user, wanted, devices=DEVICES)
        reservation = reserved_again(keys, end, user)
        needy = reservation.in_need(devices)
    return reservation, {device: reservation.encrypt(device, end.profile, b"text") for device in devices}


def _reserved(keys: KeyStore, end: End, user: str) -> Reservation | None:
    try:
        return keys.sending.reserve(end.profile, user)
    except NoOutbound:
        return None


def reserved_again(keys: KeyStore, end: End, user: str) -> Reservation:
    """The second reservation: the first number is older than the new chain."""
    return keys.sending.reserve(end.profile, user)


class Actor:
    """A Lambda: its operations one after the other, each request to the table told by the schedule."""

    def __init__(self, run: Run, number: int, program: Sequence[str]) -> None:
        self.number = number
        self.sent: list[Sent] = []
        self.history = hashlib.blake2b()
        """What it was answered: as nothing else comes to it, that says where it stands, and with what."""
        self.within = False
        self.writes_next = False
        self._run = run
        self._fault: str | None = None
        self._operation = 0
        self._keys = run.store(self, Entropy(f"actor {number}"))
        self._tasks = [Task(name, getattr(self, name)) for name in program]

    @property
    def done(self) -> bool:
        return self._operation == len(self._tasks)

    def go_on(self, fault: str | None) -> None:
        """Do the request it stands before (the first time: go up to the first one), and on to the next."""
        self._fault = fault
        task = self._tasks[self._operation]
        self.writes_next = False
        try:
            task.step()
        finally:
            self.within = not task.done
            if task.done:
                self._note("done")
                self._operation += 1

    # Its table

    def _request(self, name: str, *arguments: Any) -> Any:
        self.writes_next = name in WRITES
        self._tasks[self._operation].pause()
        if self._run.over or self._fault == "crash":
            raise LambdaEnds
        if self._fault == "contention":
            self._note("contention")
            raise Contention
        if self._fault == "lost":
            self._note("unknown")
            raise OutcomeUnknown
        try:
            answer = getattr(self._run.table, name)(*arguments)
        except Exception as error:
            self._note(f"{type(error).__name__} {getattr(error, 'item', '')} {getattr(error, 'items', '')}")
            raise
        if self._fault == "crash after":
            raise LambdaEnds
        if self._fault == "lost after":
            self._note("unknown")
            raise OutcomeUnknown
        self._note(repr(answer))
        return answer

    def _note(self, answer: str) -> None:
        self.history.update(answer.encode() + b"\0")

    def get(self, key: Key) -> Item | None:
        return self._request("get", key)

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """As many looks as there are keys, in this order: such a request is not one moment either."""
        found: dict[Key, Item] = {}
        for key in keys:
            found |= self._request("get_many", [key])
        return found

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        """As many looks as there are items: a query is not one moment."""
        items = [self._request("get", key) for key in self._run.table.keys(pk, prefix)]
        return [item for item in items if item is not None]

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        return self._request("keys", pk, prefix)

    def count(self, pk: str, without: str) -> int:
        return self._request("count", pk, without)

    def put(self, put: Any) -> None:
        self._request("put", put)

    def update(self, update: Any) -> Item:
        return self._request("update", update)

    def delete(self, delete: Any) -> None:
        self._request("delete", delete)

    def transact(self, writes: Any, token: str) -> None:
        self._request("transact", writes, token)

    # Its operations

    def _user(self) -> str:
        user = LID if self._run.known_lid and self.number else PN
        self._note(user)
        return user

    def _bundle(self, device: int) -> PreKeyBundle:
        return self._run.scenario.bundles[self.number, self._operation, device]

    def reserve(self) -> Reservation:
        """Send a message to both devices."""
        bundles = {device: self._bundle(device) for device in DEVICES}
        reservation, messages = send(self._keys, self._run.scenario.end, self._user(), bundles, DEVICES)
        for device, message in messages.items():
            self._run.use(message)
            self.sent.append(Sent(device, message, b"text"))
        return reservation

    def checkpoint(self) -> None:
        """Send, and have the server's ack."""
        self._keys.sending.checkpoint(self.reserve(), DEVICES)

    def turn(self) -> None:
        """Receive what turns the session; which of its letters depends on who does it."""
        self._receive(("new", "newer", "newest")[self.number])

    def late(self) -> None:
        """Receive a late message of the archived session, which comes back."""
        self._receive("late")

    def first(self) -> None:
        """Receive the first message of a session that the phone began."""
        self._receive("first")

    def same(self) -> None:
        """Receive what others may be receiving at the same time."""
        self._receive("new")

    def _receive(self, name: str) -> None:
        self._run.scenario.read(self._keys, self._user(), self._run.scenario.letters[name])

    def archive(self) -> None:
        self._keys.sending.mark_stale(self._run.scenario.end.profile, self._user(), 0)

    def recover(self) -> None:
        """A retry receipt of device 0: rebuild its session."""
        end, user = self._run.scenario.end, self._user()
        facts = self._keys.sending.session_facts(end.profile, user, 0)
        self._keys.sending.rebuild(end.profile, end.credentials, user, 0, self._bundle(0), seen=facts)

    def move(self) -> None:
        """Learn the LID."""
        self._keys.contacts.learn(PN, LID)
        self._run.known_lid = True
