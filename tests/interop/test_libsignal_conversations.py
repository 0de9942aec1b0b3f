"""Conversations with libsignal-node: whoever begins, whatever is lost or late, both sides read every message.

Our side's record goes through its stored form after each step. A failure names the seed that repeats it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.interop.libsignal_peer import LibsignalPeer, PeerFailed
from tests.support.signal_peers import Person
from tocsin.signal import session
from tocsin.signal.errors import Duplicate
from tocsin.signal.session import Ciphertext
from tocsin.signal.state import decode_record, encode_record
from tocsin.signal.wire import PreKeyMessage

pytestmark = pytest.mark.interop

Letter = tuple[Ciphertext, str]


@pytest.fixture(scope="module")
def node() -> Iterator[LibsignalPeer]:
    peer = LibsignalPeer()
    yield peer
    peer.close()


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


def conversation(node: LibsignalPeer, seed: int, *, copies: bool) -> Conversation:
    node.reset(copies=copies)
    return Conversation(Person(f"seed {seed}", 1 + seed), node, random.Random(seed))


@pytest.mark.parametrize("seed", range(8))
def test_we_begin(node: LibsignalPeer, seed: int) -> None:
    talk = conversation(node, seed, copies=False)
    talk.we_start()
    talk.we_write()
    talk.we_write()
    talk.peer_reads()
    for _ in range(150):
        talk.step()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


@pytest.mark.parametrize("seed", range(8))
def test_the_peer_begins(node: LibsignalPeer, seed: int) -> None:
    talk = conversation(node, seed, copies=False)
    talk.peer_starts()
    talk.peer_writes()
    talk.peer_writes()
    talk.we_read()
    for _ in range(150):
        talk.step()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


@pytest.mark.parametrize("seed", range(8))
def test_both_begin_at_once_and_begin_again_later(node: LibsignalPeer, seed: int) -> None:
    talk = conversation(node, seed, copies=True)
    talk.we_start()
    talk.peer_starts()
    for number in range(200):
        talk.step()
        if number % 40 == 39:
            talk.dice.choice((talk.we_start, talk.peer_starts))()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


def test_the_peer_refuses_what_it_has_read(node: LibsignalPeer) -> None:
    talk = conversation(node, 0, copies=False)
    talk.we_start()
    message = talk.we.say("once")
    assert talk.peer.hear(message) == "once"
    with pytest.raises(PeerFailed, match="Key used already"):
        talk.peer.hear(message)


def test_a_gap_as_wide_as_the_peer_allows(node: LibsignalPeer) -> None:
    talk = conversation(node, 0, copies=False)
    talk.we_start()
    talk.peer.hear(talk.we.say("first"))
    for _ in range(1999):
        talk.we.say("lost")
    assert talk.peer.hear(talk.we.say("after the gap")) == "after the gap"
    talk.we.hear(talk.peer.say("turn"))
    assert talk.peer.hear(talk.we.say("and on")) == "and on"
