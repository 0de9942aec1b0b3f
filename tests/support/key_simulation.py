"""A world in which everything may happen between any two requests, and happens the same way for each seed.

Each operation of the key store runs in a thread of its own that stops before every request to the table.
One thread runs at a time; dice decide which one goes on, and whether its request meets contention, gets its
answer lost (applied, not applied, or applied later), or whether its Lambda ends there. The phones at the
other end are plain Signal endpoints that read in any order.

`World.run` raises Violation when one of these does not hold:

    no index of a sending chain is used for two messages
    whatever arrives at a phone can be read there, by the rules of libsignal-node too (`previousCounter`)
    whatever arrives from a phone is read by us, and yields its text to whoever asks again
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.support.key_peers import Clock, End, Entropy, Vouches
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Contention, OutcomeUnknown, Table, TableError
from tocsin.dynamo.writes import Delete, Item, Key, Put, Update, Write
from tocsin.keys.errors import Contended, NoOutbound, StaleChain
from tocsin.keys.reserve import Reservation
from tocsin.keys.store import KeyStore
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.errors import SignalError
from tocsin.signal.session import Ciphertext, decrypt, parse, send, start
from tocsin.signal.state import Record
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate

US = "100@lid"
PN, LID = "628111222333@s.whatsapp.net", "200@lid"
# The chance of each fault at one request.
FAULTS = {
    "crash": 0.02,
    "crash after": 0.02,
    "contention": 0.04,
    "lost": 0.02,
    "lost after": 0.02,
    "late": 0.01,
}


# How many messages may overtake each other on the way.
DISORDER = 6

T = TypeVar("T")


class Violation(AssertionError):
    """Something that must never happen did."""


class LambdaEnds(BaseException):
    """The operation ends here, in the middle; nothing of it may be caught."""


class Task:
    """One operation in a thread that runs only when it is told to."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self.done = False
        self.failure: BaseException | None = None
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Let it run up to its next request, or to its end."""
        self._go.release()
        self._stopped.acquire()
        if self.failure is not None:
            raise self.failure

    def pause(self) -> None:
        """Called by the task itself, before a request."""
        self._stopped.release()
        self._go.acquire()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._work()
        except LambdaEnds:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the dice are thrown
            self.failure = error
        self.done = True
        self._stopped.release()


class SimulatedTable:
    """A table whose requests stop the task that makes them, and suffer the fault that the dice choose."""

    def __init__(self, simulation: KeySimulation, table: Table) -> None:
        self._simulation = simulation
        self._table = table

    def _call(self, name: str, *arguments: Any) -> Any:
        fault = self._simulation.at_request(writes=name in ("put", "update", "delete", "transact"))
        if fault == "crash":
            raise LambdaEnds
        if fault == "contention":
            raise Contention
        if fault in ("lost", "late"):
            if fault == "late":
                self._simulation.later.append(lambda: getattr(self._table, name)(*arguments))
            raise OutcomeUnknown
        result = getattr(self._table, name)(*arguments)
        if fault == "crash after":
            raise LambdaEnds
        if fault == "lost after":
            raise OutcomeUnknown
        return result

    def get(self, key: Key) -> Item | None:
        return self._call("get", key)

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Two separate looks, as a batch is not read at one moment."""
        found: dict[Key, Item] = {}
        for key in keys:
            found |= self._call("get_many", [key])
        return found

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        """As many looks as there are items, for the same reason."""
        items = [self._call("get", key) for key in self._table.keys(pk, prefix)]
        return [item for item in items if item is not None]

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        return self._call("keys", pk, prefix)

    def count(self, pk: str, without: str) -> int:
        return self._call("count", pk, without)

    def put(self, put: Put) -> None:
        self._call("put", put)

    def update(self, update: Update) -> Item:
        return self._call("update", update)

    def delete(self, delete: Delete) -> None:
        self._call("delete", delete)

    def transact(self, writes: Sequence[Write], token: str) -> None:
        self._call("transact", writes, token)


class Phone:
    """A device of the other user: one record, one thing at a time. `account`: the identity of the phone that
    vouches for a companion."""

    def __init__(self, device: int, entropy: Entropy, account: bytes | None = None) -> None:
        self.device = device
        self.account = account
        self._entropy = entropy
        self._identity = key_pair(entropy(32))
        self._signed = key_pair(entropy(32))
        self._local = Local(self._identity, 1, {1: self._signed})
        self._prekeys: dict[int, KeyPair] = {}
        self._record: Record | None = None
        # libsignal-node: what a chain may still bring once its successor told where it ended.
        self._closed: dict[bytes, int] = {}

    @property
    def identity(self) -> bytes:
        return self._identity.public

    @property
    def voucher(self) -> Vouches | None:
        return Vouches(self.identity, self.account) if self.account else None

    def bundle(self) -> PreKeyBundle:
        prekey_id = len(self._prekeys) + 1
        self._prekeys[prekey_id] = key_pair(self._entropy(32))
        signature = sign(self._identity.private, encode_point(self._signed.public), self._entropy(64))
        return PreKeyBundle(
            1,
            self._identity.public,
            1,
            self._signed.public,
            signature,
            prekey_id,
            self._prekeys[prekey_id].public,
            voucher=self.voucher,
        )

    def meet(self, bundle: PreKeyBundle, now: int) -> None:
        base, ratchet = key_pair(self._entropy(32)), key_pair(self._entropy(32))
        state = initiate(self._local, bundle, base=base, ratchet=ratchet, now=now)
        self._record = start(self._record, state, now)

    @property
    def can_send(self) -> bool:
        return self._record is not None and self._record.current is not None

    def say(self, text: bytes) -> Ciphertext:
        self._record, message = send(self._record, local=self._local, plaintext=text)
        return message

    def read(self, message: Ciphertext, now: int) -> bytes:
        parsed = parse(message.type, message.body)
        prekey = self._prekeys.get(parsed.prekey_id or 0) if isinstance(parsed, PreKeyMessage) else None
        inner = parsed.message if isinstance(parsed, PreKeyMessage) else parsed
        if inner.counter > self._closed.get(inner.ratchet_public, inner.counter):
            raise Violation(f"index {inner.counter} of a chain that was said to end before")
        read = decrypt(
            self._record, parsed, self._local, prekey=prekey, ratchet=key_pair(self._entropy(32)), now=now
        )
        self._record = read.record
        self._close_chain_before(inner.ratchet_public, inner.previous_counter)
        return read.plaintext

    def _close_chain_before(self, ratchet_public: bytes, previous_counter: int) -> None:
        assert self._record is not None
        for state in self._record.states:
            keys = [chain.ratchet_public for chain in state.receiving]
            if ratchet_public in keys[:-1]:
                self._closed.setdefault(keys[keys.index(ratchet_public) + 1], previous_counter)


def household(devices: Iterable[int], entropy: Callable[[int], Entropy]) -> dict[int, Phone]:
    """The devices of one user, the phone among them, which vouches for the others."""
    phone = Phone(0, entropy(0))
    companions = (Phone(device, entropy(device), phone.identity) for device in devices if device)
    return {0: phone, **{companion.device: companion for companion in companions}}


@dataclass(frozen=True)
class Letter:
    """A ciphertext from a phone, as WhatsApp would deliver it, and deliver again."""

    device: int
    stanza_id: str
    message: Ciphertext
    text: bytes


class KeySimulation:
    """Our account, the phones, what is on the way, and the dice."""

    def __init__(self, seed: int, *, hostility: float = 1) -> None:
        self.dice = random.Random(seed)
        self.hostility = hostility
        self.clock = Clock()
        self.end = End(US, device=3, table=MemoryTable(), clock=self.clock, entropy=Entropy(f"us {seed}"))
        self.store = self.end.opened(SimulatedTable(self, self.end.table.table))
        self.phones = household((0, 6), lambda device: Entropy(f"{device} {seed}"))
        self.tasks: list[Task] = []
        self.running: Task | None = None
        self.later: list[Callable[[], None]] = []
        self.to_phones: list[tuple[int, Ciphertext, bytes]] = []
        self.to_us: list[Letter] = []
        self.unread: dict[str, Letter] = {}
        self.used: dict[tuple[bytes, int], bytes] = {}
        self.counted = 0
        self.known_lid = False
        self.listed = [0]

    def run(self, steps: int) -> None:
        """Live for so many steps, then let everything come to an end without faults, and take stock."""
        for _ in range(steps):
            if len(self.tasks) < 4 and self.dice.random() < 0.4:
                self._begin()
            self._go_on()
        self.hostility = 0
        self._settle()

    # What happens at each request

    def at_request(self, *, writes: bool) -> str | None:
        """Stop the running task; the fault that its request suffers, if any."""
        task = self.running
        if task is None:
            return None
        task.pause()
        for fault, chance in FAULTS.items():
            if (writes or fault == "crash") and self.dice.random() < chance * self.hostility:
                return fault
        return None

    # The dice

    def _begin(self) -> None:
        operations = {
            self.send: 6,
            self.receive: 6,
            self.phone_reads: 6,
            self.phone_sends: 6,
            self.rebuild: 1,
            self.mark_stale: 0.5,
            self.check_devices: 0.5,
            self.learn: 0.7,
            self.another_device: 0.5,
            self.phone_meets: 0.7,
        }
        operation = self.dice.choices(list(operations), list(operations.values()))[0]
        operation()

    def _go_on(self) -> None:
        if self.later and self.dice.random() < 0.2:
            self._arrive_late()
        if self.tasks:
            self._step(self.dice.choice(self.tasks))

    def _step(self, task: Task) -> None:
        self.running = task
        try:
            task.step()
        finally:
            self.running = None
        if task.done:
            self.tasks.remove(task)

    def _arrive_late(self) -> None:
        with contextlib.suppress(TableError):
            self.later.pop(self.dice.randrange(len(self.later)))()

    def _settle(self) -> None:
        while self.tasks:
            self._step(self.dice.choice(self.tasks))
        while self.later:
            self._arrive_late()
        while self.to_phones or self.unread:
            while self.to_phones:
                self.phone_reads()
            self.to_us.extend(self.unread.values())
            self._receive_all()
        self.another_device()
        for device in self.phones:
            self._assert_conversation(device)
        if self.end.damages:
            raise Violation(f"{self.end.damages[0]}, and nobody damaged anything")

    def _receive_all(self) -> None:
        while self.to_us:
            self.receive()
            while self.tasks:
                self._step(self.tasks[0])

    def _assert_conversation(self, device: int) -> None:
        """Both directions work after all that."""
        self.send()
        while self.tasks:
            self._step(self.tasks[0])
        while self.to_phones:
            self.phone_reads()
        phone = self.phones[device]
        if not phone.can_send:
            raise Violation(f"device {device} was never written to")
        self.phone_sends(device)
        self._receive_all()
        if self.unread:
            raise Violation("the last message was not read")

    # Our side: each is a task

    @property
    def user(self) -> str:
        """Where we believe the other user's sessions lie; an older Lambda may still believe otherwise."""
        return self.dice.choice([PN, LID]) if self.known_lid else PN

    def _task(self, work: Callable[[], None]) -> None:
        self.tasks.append(Task(work.__name__, work))

    def send(self) -> None:
        user, text = self.user, self._text()

        def sending() -> None:
            try:
                self._send(user, text)
            except Contended:
                return

        self._task(sending)

    def _send(self, user: str, text: bytes) -> None:
        keys, profile, devices = self.store, self.end.profile, list(self.listed)
        for _ in range(4):
            try:
                reservation = keys.sending.reserve(profile, user)
                needy = reservation.in_need(devices)
            except NoOutbound:
                needy = devices
            if not needy:
                break
            self._make(user, needy, devices)
        else:
            raise Contended
        messages = {device: self._encrypt(reservation, device, text) for device in devices}
        sent = {device: message for device, message in messages.items() if message is not None}
        self.to_phones += [(device, message, text) for device, message in sent.items()]
        if self.dice.random() < 0.5:
            keys.sending.checkpoint(reservation, sent)

    def _make(self, user: str, needy: list[int], devices: list[int]) -> None:
        bundles = {device: self.phones[device].bundle() for device in needy}
        self.store.sending.make_sessions(
            self.end.profile,
            self.end.credentials,
            user,
            bundles,
            devices=devices,
            account_key=self.phones[0].identity,
        )

    def _encrypt(self, reservation: Reservation, device: int, text: bytes) -> Ciphertext | None:
        try:
            message = reservation.encrypt(device, self.end.profile, text)
        except StaleChain:
            return None
        parsed = parse(message.type, message.body)
        inner = parsed.message if isinstance(parsed, PreKeyMessage) else parsed
        use = (inner.ratchet_public, inner.counter)
        if use in self.used:
            raise Violation(f"index {inner.counter} used twice")
        self.used[use] = text
        return message

    def receive(self) -> None:
        if not self.to_us:
            return
        letter = self._drawn(self.to_us)
        user = self.user
        if self.dice.random() < 0.1:
            self.to_us.append(letter)

        def receiving() -> None:
            end = self.end
            try:
                received = self.store.receiving.receive(
                    end.profile,
                    end.credentials,
                    user,
                    letter.device,
                    letter.stanza_id,
                    letter.message.type,
                    letter.message.body,
                    voucher=self.phones[letter.device].voucher,
                    account_key=self.phones[letter.device].account,
                )
            except (Contended, LambdaEnds):
                self.to_us.insert(0, letter)
                return
            except SignalError as error:
                raise Violation(f"{type(error).__name__} for {letter.text!r}") from error
            if received.plaintext != letter.text:
                raise Violation(f"{received.plaintext!r} instead of {letter.text!r}")
            self.unread.pop(letter.stanza_id, None)

        self._task(receiving)

    def rebuild(self) -> None:
        user, device = self.user, self.dice.choice(list(self.phones))

        def rebuilding() -> None:
            keys, end = self.store, self.end
            try:
                facts = keys.sending.session_facts(end.profile, user, device)
                phone = self.phones[device]
                keys.sending.rebuild(
                    end.profile,
                    end.credentials,
                    user,
                    device,
                    phone.bundle(),
                    seen=facts,
                    account_key=phone.account,
                )
            except Contended:
                return

        self._task(rebuilding)

    def mark_stale(self) -> None:
        user, device = self.user, self.dice.choice(list(self.phones))
        self.clock.now += 3601
        self._task(lambda: self._unless_contended(lambda: self._mark(user, device)))

    def _mark(self, user: str, device: int) -> None:
        self.store.sending.mark_stale(self.end.profile, user, device)

    def check_devices(self) -> None:
        """Sometimes the list lacks a device, which is back with the next one."""
        user, devices = self.user, self.dice.choice([[0], [0, 6], [6]])
        self._task(
            lambda: self._unless_contended(
                lambda: self.store.sending.touch_device_list(self.end.profile, user, devices)
            )
        )

    def another_device(self) -> None:
        self.listed = list(self.phones)

    def learn(self) -> None:
        def learning() -> None:
            try:
                self.store.contacts.learn(PN, LID)
            except Contended:
                return
            self.known_lid = True

        self._task(learning)

    def _unless_contended(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Contended:
            return

    # The phones' side: at once

    def phone_meets(self) -> None:
        """A phone starts a session of its own with us, from a bundle of ours."""
        keys: KeyStore = self.end.keys
        prekey, credentials = keys.account.new_prekeys(1)[0], self.end.credentials
        signed = credentials.signed_prekey
        bundle = PreKeyBundle(
            credentials.registration_id,
            credentials.identity.public,
            signed.id,
            signed.pair.public,
            signed.signature,
            prekey.id,
            prekey.pair.public,
        )
        self.dice.choice(list(self.phones.values())).meet(bundle, int(self.clock.now))

    def phone_sends(self, device: int | None = None) -> None:
        able = [phone for phone in self.phones.values() if phone.can_send]
        if device is not None:
            able = [self.phones[device]]
        if not able:
            return
        phone, text = self.dice.choice(able), self._text()
        letter = Letter(phone.device, f"P{self.counted}", phone.say(text), text)
        self.to_us.append(letter)
        self.unread[letter.stanza_id] = letter

    def phone_reads(self) -> None:
        if not self.to_phones:
            return
        device, message, text = self._drawn(self.to_phones)
        try:
            read = self.phones[device].read(message, int(self.clock.now))
        except SignalError as error:
            raise Violation(f"{type(error).__name__} at the phone for {text!r}") from error
        if read != text:
            raise Violation(f"the phone read {read!r} instead of {text!r}")

    def _drawn(self, waiting: list[T]) -> T:
        """Any of the oldest: Signal itself gives up a chain after five newer ones."""
        return waiting.pop(self.dice.randrange(min(len(waiting), DISORDER)))

    def _text(self) -> bytes:
        self.counted += 1
        return b"text %d" % self.counted
