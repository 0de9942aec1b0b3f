"""Devices that write to each other through a post that loses, repeats, reorders and damages, and that crash.

Every device runs several operations at once. An operation is a generator which stops wherever a process may
end or another operation may come in between: after reading, after computing, after storing. What it computed
is stored only if what it had read is still there, and all at once; what is not stored is gone.

Each step is compared with `symbols`, which knows from the specification what must come out. Violation says
that one of these does not hold:

    every message yields what the specification says: its text, or the one right name of the failure
    a failure leaves the stored record byte for byte as it was
    no ciphertext yields its text twice
    no index of a sending chain is used for two ciphertexts, but by a device set back without its knowledge
    a text is lost to a duplicate only where such a device, or a limit on what is kept, explains it

What can't be read is asked for again, as the protocol has it: by count, with keys when due. The receiving
side's rules are those of `multidevice.retries`; the sending side's are modelled here.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import permutations
from typing import TypeAlias

from tests.proofs.symbols import Local as PublicLocal
from tests.proofs.symbols import Names, Sealed, Setup, Symbols
from tests.support.questions import question_for
from tests.support.signal_peers import NOW, Entropy
from tocsin.signal import session
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.errors import Duplicate, SignalError
from tocsin.signal.session import Ciphertext, Decryption
from tocsin.signal.state import Record, decode_record, encode_record, evolve
from tocsin.signal.wire import PreKeyMessage, parse_prekey_message
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate

MAX_RECOVERIES = 5
"""How often a device gets one message again."""
BUDGET = 2
"""How many retry receipts the first message after a break may need, when nothing more goes wrong."""
MAX_ROUNDS = 10
STALE_SECONDS = 3600


# What may happen, and how often in a random life.
EVENTS = {
    "write": 8,
    "step": 40,
    "deliver": 10,
    "crash": 2,
    "lose": 1,
    "repeat": 2,
    "damage": 1,
    "archive": 0.4,
    "back_up": 0.3,
    "restore": 0.3,
    "restore_and_reset": 0.2,
    "reinstall": 0.2,
    "rotate": 0.3,
    "skip": 0.3,
    "wait": 0.3,
}
# The same without what makes devices forget, so that they come to the limits of what is kept.
LONG_MEMORY = EVENTS | {"restore": 0, "restore_and_reset": 0, "reinstall": 0, "archive": 3, "wait": 0.02}
SKIPS = (1, 3, 40, 900, 2100)
"""How many messages may be lost at once; of 2,100 on, no receiver goes along."""
WAITS = (60, 4000, 86_400, 31 * 86_400)
"""Seconds that may pass at once."""


class Violation(AssertionError):
    """Something that must never happen did."""


@dataclass
class Disk:
    """What a device keeps; all that a crash leaves, and what a backup holds.

    By the peer's name: `records` (encoded), `symbols` (the same, as specified), `numbers` (messages written),
    `born` (the number from which on the current session was used), `staled` (when one was given up). `read`:
    texts by the digest of their ciphertexts. `asked`: retry receipts sent, by peer and message. `sent`: the
    number under which a message was last written.
    """

    identity: KeyPair
    registration_id: int
    signed_prekeys: dict[int, KeyPair]
    prekeys: dict[int, KeyPair] = field(default_factory=dict)
    next_prekey: int = 1
    records: dict[str, bytes] = field(default_factory=dict)
    symbols: dict[str, Symbols] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    born: dict[str, int] = field(default_factory=dict)
    staled: dict[str, int] = field(default_factory=dict)
    read: dict[bytes, str] = field(default_factory=dict)
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    sent: dict[tuple[str, int], int] = field(default_factory=dict)

    def copy(self) -> "Disk":
        """As it is now. The values are never changed in place, so the dictionaries are copied only."""
        held = {name: value.copy() for name, value in vars(self).items() if isinstance(value, dict)}
        return replace(self, **held)

    @property
    def local(self) -> Local:
        return Local(self.identity, self.registration_id, dict(self.signed_prekeys))

    @property
    def public(self) -> PublicLocal:
        publics = {number: pair.public for number, pair in self.signed_prekeys.items()}
        return PublicLocal(self.identity.public, publics)


@dataclass(frozen=True)
class Letter:
    """A ciphertext under way. `number`: of the message. `count`: how often it was asked for again."""

    number: int
    sender: str
    receiver: str
    text: str
    ciphertext: Ciphertext
    sealed: Sealed
    count: int = 0

    @property
    def digest(self) -> bytes:
        return sha256(self.ciphertext.body).digest()


@dataclass(frozen=True)
class RetryReceipt:
    """What asks for a message again. `sender`: who could not read it."""

    number: int
    sender: str
    receiver: str
    text: str
    count: int
    registration_id: int
    bundle: PreKeyBundle | None


Post: TypeAlias = Letter | RetryReceipt
Steps: TypeAlias = Iterator[None]


@dataclass
class Job:
    """An operation under way on a device. `again`: what happens if it crashes, as queues and users do."""

    device: str
    steps: Steps
    again: Callable[[], None]


@dataclass
class Look:
    """What an operation read: the record as stored, and the one-time prekey that a message names."""

    peer: str
    stored: bytes | None
    symbols: Symbols
    prekey_id: int | None = None
    prekey: KeyPair | None = None

    @property
    def record(self) -> Record | None:
        return decode_record(self.stored) if self.stored is not None else None

    def holds(self, disk: Disk) -> bool:
        """Whether it would be read the same way now."""
        prekey = disk.prekeys.get(self.prekey_id or 0)
        return disk.records.get(self.peer) == self.stored and prekey is self.prekey


class Device:
    def __init__(self, name: str) -> None:
        self.name = name
        self.entropy = Entropy(name)
        self.disk = self._fresh_disk(1)
        self.backups: list[Disk] = []
        # Sending chains that may be used again, as nobody knows that they were used before.
        self.set_back: set[bytes] = set()

    def _fresh_disk(self, registration_id: int) -> Disk:
        return Disk(self.pair(), registration_id, {1: self.pair()})

    def pair(self) -> KeyPair:
        return key_pair(self.entropy(32))

    def offer(self, *, with_prekey: bool) -> PreKeyBundle:
        """A bundle for whoever wants to begin a session."""
        disk, prekey_id, prekey = self.disk, None, None
        signed_id, signed = max(disk.signed_prekeys.items())
        if with_prekey:
            prekey_id, prekey = disk.next_prekey, self.pair()
            disk.prekeys[prekey_id] = prekey
            disk.next_prekey += 1
        return PreKeyBundle(
            disk.registration_id,
            disk.identity.public,
            signed_id,
            signed.public,
            sign(disk.identity.private, encode_point(signed.public), self.entropy(64)),
            prekey_id,
            prekey.public if prekey is not None else None,
        )

    def look(self, peer: str, message: object = None) -> Look:
        prekey_id = message.prekey_id if isinstance(message, PreKeyMessage) else None
        disk = self.disk
        symbols = disk.symbols.get(peer, Symbols())
        return Look(peer, disk.records.get(peer), symbols, prekey_id, disk.prekeys.get(prekey_id or 0))

    def adopt(self, peer: str, record: Record, symbols: Symbols) -> None:
        """Store a record. The stored form must be one: what it says is what was meant."""
        disk, before = self.disk, self.look(peer)
        stored = encode_record(record)
        if encode_record(decode_record(stored)) != stored:
            raise Violation("a record doesn't come back from its stored form")
        disk.records[peer], disk.symbols[peer] = stored, symbols
        current = symbols.current
        if current is not None and current.base_key != _base_key(before.symbols):
            disk.born[peer] = disk.numbers[peer]

    def reinstall(self) -> None:
        """A new identity and no memory, under the same name."""
        self.disk = self._fresh_disk(self.disk.registration_id + 1)

    def restore(self, choice: int, *, aware: bool) -> None:
        """Go back to a backup. Who is `aware` leaves all sessions and prekeys of it behind."""
        if not self.backups:
            return
        self.disk = self.backups[choice % len(self.backups)].copy()
        if aware:
            self.disk.records.clear()
            self.disk.symbols.clear()
            self.disk.prekeys.clear()
            self.disk.next_prekey += 10_000
            return
        for symbols in self.disk.symbols.values():
            self.set_back |= {each.ratchet for each in symbols.sessions}


class Network:
    """`shape`: how many devices each user has. `dice`: for what doesn't matter to a test's outcome."""

    def __init__(self, shape: Sequence[int], dice: random.Random) -> None:
        names = [f"{user}.{device}" for user, count in enumerate(shape) for device in range(count)]
        self.devices = {name: Device(name) for name in names}
        self.pairs = list(permutations(names, 2))
        self.dice = dice
        self.now = NOW
        self.post: list[Post] = []
        self.arrived: list[Letter] = []
        self.jobs: list[Job] = []
        self.texts = 0
        # Where a text was read, by message number and device.
        self.read: Counter[tuple[int, str]] = Counter()
        self.asked: Counter[int] = Counter()
        self.figures: Counter[str] = Counter()
        # The most that a record ever held.
        self.most: Counter[str] = Counter()
        self._used: dict[tuple[str, bytes, int], bytes] = {}
        self._highest: dict[tuple[str, bytes], int] = defaultdict(lambda: -1)
        self._yielded: set[tuple[str, bytes]] = set()

    def live(self, events: int, weights: Mapping[str, float] = EVENTS) -> None:
        """So many random events, as the dice fall; among them all faults."""
        for _ in range(events):
            event = self.dice.choices(list(weights), list(weights.values()))[0]
            self.happen(event, self.dice.randrange(2**16))

    def happen(self, event: str, choice: int) -> None:
        """One of `EVENTS`. `choice` decides among what there is."""
        if event == "skip":
            self.skip(choice, SKIPS[choice // 100 % len(SKIPS)])
        elif event == "wait":
            self.now += WAITS[choice % len(WAITS)]
        else:
            getattr(self, event)(choice)

    # Events

    def write(self, choice: int) -> int:
        """Somebody writes to somebody; the number of the message."""
        sender, receiver = self.pairs[choice % len(self.pairs)]
        return self.write_from(sender, receiver)

    def write_from(self, sender: str, receiver: str) -> int:
        self.texts += 1
        number, text = self.texts, f"text {self.texts}"
        self._begin_writing(sender, receiver, number, text, 0)
        return number

    def step(self, choice: int) -> None:
        """An operation goes on, up to its next stop."""
        if self.jobs:
            self._step(self.jobs[choice % len(self.jobs)])

    def crash(self, choice: int) -> None:
        """An operation ends where it stands. What called for it calls again."""
        if self.jobs:
            job = self.jobs.pop(choice % len(self.jobs))
            self.figures["crashes"] += 1
            job.again()

    def deliver(self, choice: int) -> None:
        if self.post:
            self._take_in(self.post.pop(choice % len(self.post)))

    def lose(self, choice: int) -> None:
        if self.post:
            self.post.pop(choice % len(self.post))
            self.figures["lost"] += 1

    def repeat(self, choice: int) -> None:
        """A letter that came already, or is under way, comes once more."""
        letters = self.arrived + [piece for piece in self.post if isinstance(piece, Letter)]
        if letters:
            self.post.append(letters[choice % len(letters)])
            self.figures["repeated"] += 1

    def damage(self, choice: int) -> None:
        """A damaged copy of a letter comes first. Nothing may come of it."""
        letters = [piece for piece in self.post if isinstance(piece, Letter)]
        if letters:
            self._read_damaged(letters[choice % len(letters)])

    def archive(self, choice: int) -> None:
        """Somebody gives a session up, for reasons of his own."""
        name, peer = self.pairs[choice % len(self.pairs)]
        self._archive(self.devices[name], peer)

    def back_up(self, choice: int) -> None:
        device = self._device(choice)
        device.backups.append(device.disk.copy())

    def restore(self, choice: int) -> None:
        """Somebody is back in an old state, and doesn't know."""
        device = self._device(choice)
        self._stop_jobs(device.name)
        device.restore(choice // len(self.devices), aware=False)
        self.figures["restored"] += 1

    def restore_and_reset(self, choice: int) -> None:
        """Somebody restores a backup, and does what makes it safe."""
        device = self._device(choice)
        self._stop_jobs(device.name)
        device.restore(choice // len(self.devices), aware=True)
        self.figures["restored and reset"] += 1

    def reinstall(self, choice: int) -> None:
        device = self._device(choice)
        self._stop_jobs(device.name)
        device.reinstall()
        self.figures["reinstalled"] += 1

    def rotate(self, choice: int) -> None:
        """A new signed prekey; of the older ones only the newest two stay."""
        disk, pair = self._device(choice).disk, self._device(choice).pair()
        signed = disk.signed_prekeys | {max(disk.signed_prekeys) + 1: pair}
        disk.signed_prekeys = dict(sorted(signed.items())[-2:])

    def skip(self, choice: int, count: int) -> None:
        """Somebody writes so many messages, and all of them are lost."""
        name, peer = self.pairs[choice % len(self.pairs)]
        device, look = self.devices[name], self.devices[name].look(peer)
        if look.symbols.current is None:
            return
        symbols, record = deepcopy(look.symbols), look.record
        assert record is not None
        assert record.current is not None
        assert symbols.current is not None
        symbols.current.used += count
        current = evolve(record.current, used=record.current.used + count)
        device.adopt(peer, evolve(record, states=(current, *record.archived)), symbols)

    # The end

    def settle(self) -> None:
        """No more faults: everything under way arrives, everything begun ends."""
        for _ in range(10_000 + 50 * len(self.jobs + self.post)):
            if self.jobs:
                self._step(self.jobs[0])
            elif self.post:
                self.deliver(0)
            else:
                return
        raise Violation("retry receipts without end")

    def assert_all_heal(self) -> None:
        """Every pair of devices that has to do with each other talks both ways again, within its budget."""
        self.settle()
        for one, other in self.pairs:
            if one < other and (other in self.devices[one].disk.records):
                self._heal(one, other)

    def _heal(self, one: str, other: str) -> None:
        set_back = self.devices[one].set_back | self.devices[other].set_back
        for number in range(MAX_ROUNDS + self._to_be_used_again(one, other)):
            first, second = self._exchange(one, other), self._exchange(other, one)
            if not set_back and (number == 0) and max(first, second) > BUDGET:
                raise Violation(f"{one} and {other} needed {max(first, second)} retry receipts")
            if (first, second) == (0, 0) and self._on_one_session(one, other):
                self.figures[f"healed in round {number}"] += 1
                return
            if not set_back and number > 1:
                break
        raise Violation(f"{one} and {other} don't heal")

    def _exchange(self, sender: str, receiver: str) -> int:
        """One message, until all is quiet: how many retry receipts it took (99: it wasn't read)."""
        number = self.write_from(sender, receiver)
        self.settle()
        return self.asked[number] if self.read[number, receiver] else 99

    def _on_one_session(self, one: str, other: str) -> bool:
        symbols = (self.devices[one].disk.symbols[other], self.devices[other].disk.symbols[one])
        return _base_key(symbols[0]) == _base_key(symbols[1]) is not None

    def _to_be_used_again(self, one: str, other: str) -> int:
        """How many indexes a device that was set back has before it that it used already."""
        return sum(self._used_beyond(*pair) for pair in ((one, other), (other, one)))

    def _used_beyond(self, name: str, peer: str) -> int:
        device = self.devices[name]
        current = device.disk.symbols.get(peer, Symbols()).current
        if current is None or current.ratchet not in device.set_back:
            return 0
        return max(self._highest[name, current.ratchet] + 1 - current.used, 0)

    # Operations

    def _begin_writing(self, sender: str, receiver: str, number: int, text: str, count: int) -> None:
        device = self.devices[sender]

        def again() -> None:
            self._begin_writing(sender, receiver, number, text, count)

        self.jobs.append(Job(sender, self._write(device, receiver, number, text, count), again))

    def _write(self, device: Device, peer: str, number: int, text: str, count: int) -> Steps:
        while True:
            look = device.look(peer)
            symbols, record = deepcopy(look.symbols), look.record
            yield
            if symbols.current is None:
                record = self._start(device, record, symbols, self._fetch(peer))
                yield
            record, ciphertext = session.send(record, local=device.disk.local, plaintext=text.encode())
            sealed = symbols.say(device.disk.public, text)
            yield
            if look.holds(device.disk):
                break
        device.adopt(peer, record, symbols)
        device.disk.sent[peer, number] = device.disk.numbers[peer]
        device.disk.numbers[peer] += 1
        yield
        self._send(Letter(number, device.name, peer, text, ciphertext, sealed, count))

    def _start(self, device: Device, record: Record | None, symbols: Symbols, bundle: PreKeyBundle) -> Record:
        """Begin a session in both, from one bundle and the same fresh keys."""
        base, ratchet = device.pair(), device.pair()
        state = initiate(device.disk.local, bundle, base=base, ratchet=ratchet, now=self.now)
        setup = Setup(
            base.public,
            device.disk.identity.public,
            bundle.identity,
            bundle.signed_prekey_id,
            bundle.signed_prekey,
            bundle.prekey_id,
            bundle.prekey,
        )
        symbols.start(setup, ratchet.public, self.now)
        return session.start(record, state, self.now)

    def _fetch(self, peer: str) -> PreKeyBundle:
        return self.devices[peer].offer(with_prekey=self.dice.random() < 0.75)

    def _send(self, letter: Letter) -> None:
        """To the post, if its key was never used before."""
        parsed = session.parse(*letter.ciphertext)
        message = parsed.message if isinstance(parsed, PreKeyMessage) else parsed
        sealed = letter.sealed
        if (message.ratchet_public, message.counter, message.previous_counter) != (
            sealed.ratchet,
            sealed.index,
            sealed.previous,
        ):
            raise Violation("a message bears other numbers than specified")
        if isinstance(parsed, PreKeyMessage) != (sealed.setup is not None):
            raise Violation("a pkmsg where a msg was due, or the other way")
        use = (letter.sender, sealed.ratchet, sealed.index)
        if self._used.setdefault(use, letter.digest) != letter.digest:
            if sealed.ratchet not in self.devices[letter.sender].set_back:
                raise Violation(f"index {sealed.index} of {letter.sender} used twice")
            self.figures["indexes used twice by who was set back"] += 1
        chain = letter.sender, sealed.ratchet
        self._highest[chain] = max(self._highest[chain], sealed.index)
        self.figures["written"] += 1
        self.post.append(letter)

    def _take_in(self, piece: Post) -> None:
        """A device begins to handle what came; if it crashes, it comes again."""
        device = self.devices[piece.receiver]
        steps = self._read(device, piece) if isinstance(piece, Letter) else self._serve(device, piece)
        self.jobs.append(Job(device.name, steps, lambda: self.post.append(piece)))

    def _read(self, device: Device, letter: Letter) -> Steps:
        if letter not in self.arrived:
            self.arrived.append(letter)
        parsed = session.parse(*letter.ciphertext)
        while True:
            if letter.digest in device.disk.read:
                self.figures["repetitions"] += 1
                return
            look = device.look(letter.sender, parsed)
            local, public = device.disk.local, device.disk.public
            yield
            symbols = deepcopy(look.symbols)
            opened = self._open(look, letter, local, public, symbols, device.pair())
            yield
            if look.holds(device.disk) and letter.digest not in device.disk.read:
                break
        if isinstance(opened, SignalError):
            yield from self._complain(device, letter, opened)
            return
        self._note(device, letter, symbols)
        device.adopt(letter.sender, opened.record, symbols)
        if opened.consumed_prekey is not None:
            device.disk.prekeys.pop(opened.consumed_prekey)
        device.disk.read[letter.digest] = letter.text
        yield
        self.read[letter.number, device.name] += 1
        self.figures["read"] += 1

    def _open(
        self,
        look: Look,
        letter: Letter,
        local: Local,
        public: PublicLocal,
        symbols: Symbols,
        fresh: KeyPair,
    ) -> Decryption | SignalError:
        """Decrypt as implemented and as specified, and compare. `symbols` becomes what is specified."""
        prekey = look.prekey.public if look.prekey is not None else None
        try:
            expected = symbols.hear(letter.sealed, public, prekey, fresh.public, self.now)
        except Names as failure:
            expected = failure.name
        record = look.record
        try:
            opened = session.decrypt(
                record,
                session.parse(*letter.ciphertext),
                local,
                prekey=look.prekey,
                ratchet=fresh,
                now=self.now,
            )
        except SignalError as error:
            if type(error).__name__ != expected:
                raise Violation(f"{type(error).__name__} where {expected} was due") from error
            if record is not None and encode_record(record) != look.stored:
                raise Violation("a failure changed the record") from error
            self.figures[expected] += 1
            return error
        if opened.plaintext.decode() != expected:
            raise Violation(f"a text where {expected} was due")
        _assert_same(opened.record, symbols)
        _assert_told(opened, look.symbols, symbols, letter.sealed.setup)
        return opened

    def _note(self, device: Device, letter: Letter, symbols: Symbols) -> None:
        chains = [chain for each in symbols.sessions for chain in each.chains]
        held = {
            "sessions": len(symbols.sessions),
            "evicted": len(symbols.evicted),
            "skipped": sum(len(chain.skipped) for chain in chains),
            "chains": max((len(each.chains) for each in symbols.sessions), default=0),
        }
        self.most |= Counter(held)
        if (device.name, letter.digest) in self._yielded and not device.backups:
            raise Violation(f"{letter.text} was read twice")
        self._yielded.add((device.name, letter.digest))

    def _complain(self, device: Device, letter: Letter, error: SignalError) -> Steps:
        """Ask for a message again, if the rules say so."""
        if isinstance(error, Duplicate):
            self._explain_loss(device, letter)
            return
        peer = letter.sender
        asked = max(device.disk.asked[peer, letter.number] + 1, letter.count + 1)
        device.disk.asked[peer, letter.number] = asked
        question = question_for(error, asked)
        yield
        if question is None:
            self.figures["given up"] += 1
            return
        bundle = device.offer(with_prekey=True) if question.with_keys else None
        if question.session_is_stale and self.now - device.disk.staled.get(peer, 0) >= STALE_SECONDS:
            device.disk.staled[peer] = self.now
            self._archive(device, peer)
        self.asked[letter.number] += 1
        registration_id = device.disk.registration_id
        self.post.append(
            RetryReceipt(
                letter.number, device.name, peer, letter.text, question.count, registration_id, bundle
            )
        )

    def _explain_loss(self, device: Device, letter: Letter) -> None:
        """A duplicate that was never read: a text is lost without anybody knowing."""
        sealed, symbols = letter.sealed, device.disk.symbols[letter.sender]
        chains = [chain for each in symbols.sessions for chain in each.chains]
        trimmed = sum(len(chain.skipped) for chain in chains) >= 1000
        set_back = sealed.ratchet in self.devices[letter.sender].set_back or device.backups
        if not (sealed.ratchet in symbols.evicted or trimmed or set_back):
            raise Violation(f"{letter.text} was lost to a duplicate")
        self.figures["lost to a duplicate"] += 1

    def _serve(self, device: Device, receipt: RetryReceipt) -> Steps:
        """Send a message again, in a new session unless there is a newer one than the message already."""
        peer = receipt.sender
        if receipt.count > MAX_RECOVERIES or (peer, receipt.number) not in device.disk.sent:
            self.figures["not served"] += 1
            return
        while True:
            look = device.look(peer)
            newer = device.disk.sent[peer, receipt.number] < device.disk.born.get(peer, 0)
            if look.symbols.current is not None and receipt.count == 1 and newer:
                break
            symbols = deepcopy(look.symbols)
            bundle = receipt.bundle or self._fetch(peer)
            yield
            record = self._start(device, look.record, symbols, bundle)
            yield
            if look.holds(device.disk):
                device.adopt(peer, record, symbols)
                self.figures["sessions rebuilt"] += 1
                break
        yield
        self._begin_writing(device.name, peer, receipt.number, receipt.text, receipt.count)

    def _read_damaged(self, letter: Letter) -> None:
        device, body = self.devices[letter.receiver], bytearray(letter.ciphertext.body)
        place = self.dice.randrange(8 * len(body))
        body[place // 8] ^= 1 << place % 8
        damaged = Ciphertext(letter.ciphertext.type, bytes(body))
        look = device.look(letter.sender)
        try:
            parsed = session.parse(*damaged)
            look = device.look(letter.sender, parsed)
            opened = session.decrypt(
                look.record,
                parsed,
                device.disk.local,
                prekey=look.prekey,
                ratchet=device.entropy(32),
                now=self.now,
            )
        except SignalError as error:
            self.figures[f"damaged: {type(error).__name__}"] += 1
            if look.record is not None and encode_record(look.record) != look.stored:
                raise Violation("a damaged message changed the record") from error
            return
        if opened.plaintext.decode() != letter.text or not _harmless(damaged, letter, opened):
            raise Violation("a damaged message was read")
        self.figures["damaged without harm"] += 1

    # Odds and ends

    def _device(self, choice: int) -> Device:
        return list(self.devices.values())[choice % len(self.devices)]

    def _step(self, job: Job) -> None:
        self.figures["steps"] += 1
        try:
            next(job.steps)
        except StopIteration:
            self.jobs.remove(job)

    def _stop_jobs(self, name: str) -> None:
        """The device goes down: what it was doing is called for again."""
        for job in [job for job in self.jobs if job.device == name]:
            self.jobs.remove(job)
            job.again()

    def _archive(self, device: Device, peer: str) -> None:
        look = device.look(peer)
        if look.record is None or look.symbols.current is None:
            return
        symbols = deepcopy(look.symbols)
        symbols.archive(self.now)
        device.adopt(peer, session.archive_current(look.record, self.now), symbols)


def _base_key(symbols: Symbols) -> bytes | None:
    return symbols.current.base_key if symbols.current is not None else None


def _assert_same(record: Record, symbols: Symbols) -> None:
    """The record holds what is specified: sessions, their order, chains, what was skipped and evicted."""
    implemented = [
        (
            state.base_key,
            state.archived,
            state.used,
            [
                (chain.ratchet_public, chain.next_index, {index for index, _ in chain.skipped})
                for chain in state.receiving
            ],
        )
        for state in record.states
    ]
    specified = [
        (
            each.base_key,
            each.archived,
            each.used,
            [(chain.ratchet, chain.next, chain.skipped) for chain in each.chains],
        )
        for each in symbols.sessions
    ]
    if implemented != specified:
        raise Violation("the record holds other sessions than specified")
    if (list(record.evicted), list(record.superseded)) != (symbols.evicted, symbols.superseded):
        raise Violation("the record remembers other keys than specified")


def _assert_told(opened: Decryption, before: Symbols, after: Symbols, setup: Setup | None) -> None:
    """What `decrypt` says of its changes, for who stores them, is what changed."""
    known = {each.base_key for each in before.sessions}
    founded = any(each.base_key not in known for each in after.sessions)
    identities = (before.identity, after.identity)
    another = before.identity is not None and before.identity != after.identity
    told = (
        opened.new_session,
        opened.consumed_prekey,
        opened.promoted,
        opened.turned,
        opened.identity_change,
    )
    due = (
        founded,
        setup.prekey_id if founded and setup is not None else None,
        not founded and _base_key(before) != _base_key(after),
        _sends_with(before) != _sends_with(after),
        identities if founded and another else None,
    )
    if told != due:
        raise Violation(f"decrypt tells {told} where {due} happened")


def _sends_with(symbols: Symbols) -> tuple[bytes, bytes] | None:
    current = symbols.current
    return (current.base_key, current.ratchet) if current is not None else None


def _harmless(damaged: Ciphertext, letter: Letter, opened: Decryption) -> bool:
    """Whether only what a pkmsg says around its message was damaged: what the session that we have already
    doesn't need, or the registration id, which nothing covers."""
    if damaged.type != "pkmsg":
        return False
    one, other = parse_prekey_message(damaged.body), parse_prekey_message(letter.ciphertext.body)
    if opened.new_session:
        return one._replace(registration_id=0) == other._replace(registration_id=0)
    return (one.message, one.base_key) == (other.message, other.base_key)


def live_up_to_all_limits(seed: int) -> Network:
    """First few sessions of many chains each, then many sessions."""
    network = Network((1, 1), random.Random(seed))
    for emphasis in ({"archive": 0.2, "skip": 0.7}, {"archive": 4, "skip": 0.3}):
        for _ in range(120):
            network.live(25, LONG_MEMORY | emphasis)
            network.settle()
    return network
