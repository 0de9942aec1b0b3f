"""Sender keys against Baileys' own group ciphers: lost, late, doubled, distributed again, made anew.

Each conversation is driven from one seed, which a failure names. After each step the keys of both ends go
through their stored forms.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.interop.libsignal_peer import NODE, LibsignalPeer, PeerFailed
from tests.proofs.scale import scaled
from tests.support.key_peers import Entropy
from tocsin.signal import sender_key
from tocsin.signal.curve import key_pair
from tocsin.signal.errors import Duplicate
from tocsin.signal.sender_key import SenderKey

pytestmark = pytest.mark.interop

STEPS = 120
# How many messages may overtake each other.
DISORDER = 5


class GroupPeer(LibsignalPeer):
    """Baileys' end of a group, in a process of its own."""

    def __init__(self) -> None:
        if not shutil.which("node") or not (NODE / "node_modules" / "baileys").exists():
            pytest.skip("needs Node, and `npm ci` in tests/interop/node")
        self._process = subprocess.Popen(
            ["node", "group-peer.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self) -> None:
        self._do("reset")

    def distribution(self) -> bytes:
        return bytes.fromhex(self._do("distribution")["body"])

    def take(self, distribution: bytes) -> None:
        self._do("take", body=distribution.hex())

    def write(self, text: bytes) -> bytes:
        return bytes.fromhex(self._do("encrypt", plaintext=text.hex())["body"])

    def read(self, message: bytes) -> bytes:
        return bytes.fromhex(self._do("decrypt", body=message.hex())["plaintext"])

    def rotate(self) -> None:
        self._do("rotate")


@pytest.fixture(scope="module")
def peer() -> Iterator[GroupPeer]:
    peer = GroupPeer()
    yield peer
    peer.close()


@dataclass
class Conversation:
    """We and the peer write; dice decide what comes next, what is lost and what is late."""

    peer: GroupPeer
    seed: int
    to_peer: list[tuple[bytes, bytes]] = field(default_factory=list)
    to_us: list[tuple[bytes, bytes]] = field(default_factory=list)
    read: int = 0

    def __post_init__(self) -> None:
        self.dice, self.entropy = random.Random(self.seed), Entropy(f"group {self.seed}")
        self.theirs = b""
        self.peer.begin()
        self.we_begin_anew()
        self.peer_begins_anew()

    def run(self) -> None:
        steps = {
            self.we_write: 6,
            self.peer_writes: 6,
            self.peer_reads: 8,
            self.we_read: 8,
            self.something_is_lost: 1,
            self.we_begin_anew: 0.3,
            self.peer_begins_anew: 0.3,
            self.keys_are_told_again: 0.5,
            self.we_read_twice: 1,
        }
        for _ in range(STEPS):
            self.dice.choices(list(steps), list(steps.values()))[0]()
        while self.to_peer:
            self.peer_reads()
        while self.to_us:
            self.we_read()

    def text(self) -> bytes:
        return self.dice.randbytes(self.dice.randrange(1, 200))

    def we_begin_anew(self) -> None:
        key_id = int.from_bytes(self.entropy(4), "big") >> 1
        self._keep(sender_key.create(key_id, self.entropy(32), key_pair(self.entropy(32))), 0)
        self.peer.take(sender_key.distribution(self.key))

    def _keep(self, key: SenderKey, following: int) -> None:
        self.ours, self.next = sender_key.encode_key(key), following

    @property
    def key(self) -> SenderKey:
        return sender_key.decode_key(self.ours)

    def peer_begins_anew(self) -> None:
        self.peer.rotate()
        self._take(self.peer.distribution())

    def _take(self, distribution: bytes) -> None:
        record = sender_key.decode_record(self.theirs) if self.theirs else None
        self.theirs = sender_key.encode_record(sender_key.process(record, distribution))

    def keys_are_told_again(self) -> None:
        """Only ours: the peer would go on with a chain that it has moved on from."""
        if not self.to_us:
            self._take(self.peer.distribution())

    def we_write(self) -> None:
        """Under any iteration from the next one on: a crash leaves gaps."""
        iteration, text = self.next + self.dice.choice([0, 0, 0, 1, 40]), self.text()
        message = sender_key.encrypt(self.key, iteration, plaintext=text, entropy=self.entropy(64))
        self.to_peer.append((message, text))
        key = self.key
        if iteration - key.iteration > 100:
            key = sender_key.advance(key, iteration + 1)
        self._keep(key, iteration + 1)

    def peer_writes(self) -> None:
        text = self.text()
        self.to_us.append((self.peer.write(text), text))

    def peer_reads(self) -> None:
        if self.to_peer:
            message, text = self.pick(self.to_peer)
            assert self.peer.read(message) == text
            self.read += 1

    def we_read(self) -> None:
        if self.to_us:
            self._read(*self.pick(self.to_us))

    def _read(self, message: bytes, text: bytes) -> None:
        plaintext, record = sender_key.decrypt(sender_key.decode_record(self.theirs), message)
        assert plaintext == text
        self.theirs = sender_key.encode_record(record)
        self.read += 1

    def we_read_twice(self) -> None:
        if self.to_us:
            message, text = self.pick(self.to_us)
            self._read(message, text)
            with pytest.raises(Duplicate):
                sender_key.decrypt(sender_key.decode_record(self.theirs), message)

    def something_is_lost(self) -> None:
        for way in (self.to_peer, self.to_us):
            if way:
                self.pick(way)

    def pick(self, way: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
        return way.pop(self.dice.randrange(min(len(way), DISORDER)))


@pytest.mark.parametrize("seed", range(scaled(20)))
def test_both_ends_read_each_other_whatever_happens_on_the_way(peer: GroupPeer, seed: int) -> None:
    conversation = Conversation(peer, seed)
    conversation.run()
    assert conversation.read > STEPS / 6


def test_a_message_that_it_has_read_it_reads_no_more(peer: GroupPeer) -> None:
    conversation = Conversation(peer, 0)
    conversation.we_write()
    message, _ = conversation.to_peer[0]
    conversation.peer_reads()
    with pytest.raises(PeerFailed, match="old counter"):
        peer.read(message)


def test_a_forged_signature_is_refused_by_both(peer: GroupPeer) -> None:
    conversation = Conversation(peer, 0)
    conversation.we_write()
    message, text = conversation.to_peer[0]
    with pytest.raises(PeerFailed):
        peer.read(message[:-1] + bytes([message[-1] ^ 1]))
    assert peer.read(message) == text
