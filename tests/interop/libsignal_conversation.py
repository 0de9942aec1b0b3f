"""A random conversation between Tocsin's sessions and those of libsignal-node."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from tests.interop.libsignal_peer import LibsignalPeer
from tests.support.signal_peers import Person
from tocsin.signal import session
from tocsin.signal.errors import Duplicate
from tocsin.signal.session import Ciphertext
from tocsin.signal.state import decode_record, encode_record
from tocsin.signal.wire import PreKeyMessage

Letter = tuple[Ciphertext, str]


def ratchet_key(message: Ciphertext) -> bytes:
    parsed = session.parse(*message)
    return (parsed.message if isinstance(parsed, PreKeyMessage) else parsed).ratchet_public


@dataclass
class Conversation:
    """We (a `Person`) and the peer; letters under way each way, and how many each side has read."""

    we: Person
    peer: LibsignalPeer
    dice: random.Random
    to_us: list[Letter] = field(default_factory=list)
    to_peer: list[Letter] = field(default_factory=list)
    read_by_us: int = 0
    read_by_peer: int = 0
    written: int = 0

    def text(self) -> str:
        self.written += 1
        return f"text {self.written} " + "x" * self.dice.randrange(300)

    def we_start(self) -> None:
        self.we.start(self.peer.bundle(with_prekey=self.dice.random() < 0.8))

    def peer_starts(self) -> None:
        self.peer.start(self.we.offer() if self.dice.random() < 0.8 else self.we.bundle(None))

    def we_write(self) -> None:
        text = self.text()
        self.to_peer.append((self.we.say(text), text))

    def peer_writes(self) -> None:
        text = self.text()
        self.to_us.append((self.peer.say(text), text))

    def we_read(self) -> None:
        message, text = self.pick(self.to_us)
        try:
            assert self.we.hear(message) == text
        except Duplicate:
            assert ratchet_key(message) in self.we.record.evicted, "only a chain of long ago may be lost"
            return
        self.read_by_us += 1
        if self.dice.random() < 0.2:
            with pytest.raises(Duplicate):
                self.we.decrypt(message)

    def peer_reads(self) -> None:
        message, text = self.pick(self.to_peer)
        assert self.peer.hear(message) == text
        self.read_by_peer += 1

    def lose(self) -> None:
        letters = self.dice.choice([letters for letters in (self.to_us, self.to_peer) if letters])
        self.pick(letters)

    def pick(self, letters: list[Letter]) -> Letter:
        """Mostly the oldest one, now and then any."""
        return letters.pop(0 if self.dice.random() < 0.6 else self.dice.randrange(len(letters)))

    def step(self) -> None:
        can = [self.we_write, self.peer_writes]
        can += [self.we_read] * 2 * bool(self.to_us) + [self.peer_reads] * 2 * bool(self.to_peer)
        if self.dice.random() < 0.1 and (self.to_us or self.to_peer):
            can = [self.lose]
        self.dice.choice(can)()
        self.store()

    def store(self) -> None:
        stored = encode_record(self.we.record)
        assert decode_record(stored) == self.we.record
        self.we.record = decode_record(stored)

    def finish(self) -> None:
        while self.to_us:
            self.we_read()
        while self.to_peer:
            self.peer_reads()
