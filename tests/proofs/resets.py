"""Two endpoints to which everything happens that can happen to sessions, as official libsignal tests itself.

Its property: up to forty random events of {archive the session, take a snapshot of everything, restore an old
snapshot, receive what waits, drop a message, shuffle, send 0 to 31}; then, with nothing lost any more, both
sides are on one session within ten messages each way. A message that can't be read is answered with the
ratchet key that it bore; who still sends under that key archives the session, and sends the message again.
"""

import random
from dataclasses import dataclass, field
from typing import Protocol

from tests.support.signal_peers import Person
from tocsin.signal import session
from tocsin.signal.session import Ciphertext
from tocsin.signal.state import Record, decode_record, encode_record
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import PreKeyBundle

MAX_MESSAGES_TO_AGREE = 10
MAX_ROUNDS_TO_SETTLE = 100


class Endpoint(Protocol):
    """What an implementation must be able to do to take part. `hear` may fail, with `failures`."""

    failures: tuple[type[Exception], ...]

    def bundle(self, *, with_prekey: bool) -> PreKeyBundle: ...
    def start(self, bundle: PreKeyBundle) -> None: ...
    def can_send(self) -> bool: ...
    def say(self, text: str) -> Ciphertext: ...
    def hear(self, message: Ciphertext) -> str: ...
    def archive(self) -> None: ...
    def snapshot(self) -> int: ...
    def restore(self, snapshot: int) -> None: ...
    def sends_with(self, ratchet_public: bytes) -> bool: ...


class OurEndpoint:
    """Our implementation. The record goes through its stored form after each operation."""

    failures: tuple[type[Exception], ...] = (session.SignalError,)

    person_type: type[Person] = Person

    def __init__(self, name: str) -> None:
        self.person = self.person_type(name, 1)
        self._offered = 0
        self._snapshots: list[tuple[Record | None, dict, int]] = []

    def bundle(self, *, with_prekey: bool) -> PreKeyBundle:
        if not with_prekey:
            return self.person.bundle(None)
        self._offered += 1
        self.person.prekeys[self._offered] = self.person.pair()
        return self.person.bundle(self._offered)

    def start(self, bundle: PreKeyBundle) -> None:
        self.person.start(bundle)

    def can_send(self) -> bool:
        return self.person.record is not None and self.person.record.current is not None

    def say(self, text: str) -> Ciphertext:
        message = self.person.say(text)
        self._store()
        return message

    def hear(self, message: Ciphertext) -> str:
        text = self.person.hear(message)
        self._store()
        return text

    def archive(self) -> None:
        if self.person.record is not None:
            self.person.record = session.archive_current(self.person.record, self.person.now)

    def snapshot(self) -> int:
        self._snapshots.append((self.person.record, dict(self.person.prekeys), self._offered))
        return len(self._snapshots) - 1

    def restore(self, snapshot: int) -> None:
        record, prekeys, self._offered = self._snapshots[snapshot]
        self.person.record, self.person.prekeys = record, dict(prekeys)

    def sends_with(self, ratchet_public: bytes) -> bool:
        return self.can_send() and self.person.current.sending.ratchet_public == ratchet_public

    def _store(self) -> None:
        assert self.person.record is not None
        self.person.record = decode_record(encode_record(self.person.record))


@dataclass(frozen=True)
class Letter:
    """A message under way, or (with `unreadable`) the complaint that one could not be read."""

    number: int
    message: Ciphertext | None
    unreadable: bytes = b""


@dataclass
class Side:
    """An endpoint, its letter box, and what became of the messages that it sent."""

    endpoint: Endpoint
    box: list[Letter] = field(default_factory=list)
    snapshots: list[int] = field(default_factory=list)
    sent: int = 0
    arrived: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    complaints: int = 0


class Resets:
    """A run of the property; `one` and `other` are fresh endpoints."""

    def __init__(self, one: Endpoint, other: Endpoint, dice: random.Random) -> None:
        self.sides = (Side(one), Side(other))
        self._dice = dice

    def live(self, count: int) -> None:
        """So many events, as the dice fall."""
        for _ in range(count):
            event, who = self._dice.choice(EVENTS), self._dice.randrange(2)
            self.happen(event, who, self._dice.randint(0, MAX_SENT_AT_ONCE))

    def happen(self, event: str, who: int, choice: int) -> None:
        """One event on the side `who`. `choice`, 0 to 31: how many to send, or which snapshot to restore."""
        acts = {
            "archive": lambda: self.sides[who].endpoint.archive(),
            "snapshot": lambda: self.snapshot(who),
            "restore": lambda: self.restore(who, choice),
            "receive": lambda: self.receive(who),
            "drop": lambda: self.drop(who),
            "shuffle": lambda: self._dice.shuffle(self.sides[who].box),
            "send": lambda: self.send(who, choice),
        }
        acts[event]()

    # Events

    def snapshot(self, who: int) -> None:
        side = self.sides[who]
        side.snapshots.append(side.endpoint.snapshot())

    def restore(self, who: int, choice: int) -> None:
        side = self.sides[who]
        if side.snapshots:
            side.endpoint.restore(side.snapshots.pop(choice % len(side.snapshots)))

    def receive(self, who: int) -> None:
        waiting, self.sides[who].box = self.sides[who].box, []
        for letter in waiting:
            if letter.message is None:
                self._again(who, letter)
            else:
                self._read(who, letter, letter.message)

    def drop(self, who: int) -> None:
        if self.sides[who].box:
            letter = self.sides[who].box.pop()
            # With a complaint, the message that it was about is lost.
            sender = who if letter.message is None else 1 - who
            self.sides[sender].dropped.add(letter.number)

    def send(self, who: int, count: int) -> None:
        for _ in range(count):
            number = self.sides[who].sent
            self.sides[who].sent += 1
            self._write(who, number)

    # The end

    def settle(self) -> None:
        """Let everything under way arrive. AssertionError if complaints lead to complaints for ever."""
        for _ in range(MAX_ROUNDS_TO_SETTLE):
            if not any(side.box for side in self.sides):
                return
            self.receive(0)
            self.receive(1)
        raise AssertionError("never quiet")

    def messages_to_agree(self) -> int:
        """How many messages each way it takes until both are on one session. AssertionError if too many."""
        for count in range(1, MAX_MESSAGES_TO_AGREE + 1):
            agreed = []
            for who in (0, 1):
                self.send(who, 1)
                self.receive(1 - who)
                agreed.append(self._reads_what_the_other_sends(1 - who))
            if all(agreed):
                return count
        raise AssertionError(f"two sessions still, after {MAX_MESSAGES_TO_AGREE} messages each way")

    def assert_kept(self) -> None:
        """In the end every message was read or dropped, none of them both."""
        self.settle()
        for side in self.sides:
            assert side.arrived | side.dropped == set(range(side.sent))
            assert not side.arrived & side.dropped

    def _reads_what_the_other_sends(self, who: int) -> bool:
        """Whether the side that just read something sends in the session that it came in, if we can see."""
        reader, writer = self.sides[who].endpoint, self.sides[1 - who].endpoint
        if not isinstance(reader, OurEndpoint):
            return True
        record = reader.person.record
        heard = record.current.receiving if record is not None and record.current is not None else ()
        return bool(heard) and writer.sends_with(heard[0].ratchet_public)

    # Messages

    def _write(self, who: int, number: int) -> None:
        me, peer = self.sides[who], self.sides[1 - who]
        if not me.endpoint.can_send():
            me.endpoint.start(peer.endpoint.bundle(with_prekey=self._dice.random() < 0.75))
        peer.box.append(Letter(number, me.endpoint.say(f"message {number}")))

    def _read(self, who: int, letter: Letter, message: Ciphertext) -> None:
        me, peer = self.sides[who], self.sides[1 - who]
        try:
            text = me.endpoint.hear(message)
        except me.endpoint.failures:
            me.complaints += 1
            peer.box.append(Letter(letter.number, None, ratchet_key(message)))
            return
        assert text == f"message {letter.number}"
        assert letter.number not in peer.arrived, "read twice"
        peer.arrived.add(letter.number)

    def _again(self, who: int, complaint: Letter) -> None:
        assert complaint.number not in self.sides[who].arrived, "a complaint about what was read"
        endpoint = self.sides[who].endpoint
        if endpoint.sends_with(complaint.unreadable):
            endpoint.archive()
        self._write(who, complaint.number)


EVENTS = ("archive", "snapshot", "restore", "receive", "drop", "shuffle", "send")
MAX_EVENTS = 40
MAX_SENT_AT_ONCE = 31


def ratchet_key(message: Ciphertext) -> bytes:
    parsed = session.parse(*message)
    return (parsed.message if isinstance(parsed, PreKeyMessage) else parsed).ratchet_public
