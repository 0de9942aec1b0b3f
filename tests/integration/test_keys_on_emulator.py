"""The key store on the emulator's DynamoDB: the table's contract, 32 senders at once, and a real peer."""

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from tests.interop.libsignal_peer import LibsignalPeer
from tests.support.key_peers import End, index_of
from tests.support.table_contract import TableContract, make_dynamo_table
from tocsin.dynamo.table import DynamoTable, Table
from tocsin.keys.reserve import Reservation
from tocsin.signal.session import Ciphertext, parse
from tocsin_local.emulator import Emulator

pytestmark = pytest.mark.integration

SENDERS = 32
SENDS_EACH = 12
RECIPIENT_DEVICES = (0, 4, 7)
OWN_DEVICES = (0, 2)

_names = count(1)


@pytest.fixture
def table(aws: Emulator) -> DynamoTable:
    return new_table(aws)


@pytest.fixture
def other(aws: Emulator) -> DynamoTable:
    return new_table(aws)


def new_table(aws: Emulator) -> DynamoTable:
    from botocore.config import Config

    options = Config(max_pool_connections=SENDERS + 8)
    return make_dynamo_table(aws.client("dynamodb", config=options), f"keys-{next(_names)}")


class TestEmulatorTable(TableContract):
    pass


@dataclass
class Traffic:
    """What many threads sent: (user, device, ratchet key, index) of each ciphertext."""

    used: Counter[tuple[str, int, bytes, int]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, reservation: Reservation, device: int, message: Ciphertext) -> None:
        parsed: Any = parse(message.type, message.body)
        inner = getattr(parsed, "message", parsed)
        with self.lock:
            self.used[(reservation.user, device, inner.ratchet_public, inner.counter)] += 1

    def assert_every_index_used_once(self) -> None:
        assert max(self.used.values()) == 1


def test_32_senders_use_every_index_once_and_wait_for_nobody(table: DynamoTable) -> None:
    """To one user and to our own devices, where every send reserves."""
    ann = End("100@lid", device=3, table=table, entropy=os.urandom)
    for user, devices in (("200@lid", RECIPIENT_DEVICES), (ann.user, OWN_DEVICES)):
        phone = End(user)
        companions = {device: End(user, device, phone=phone) for device in devices if device}
        bundles = {device: companions.get(device, phone).bundle() for device in devices}
        ann.keys.sending.make_sessions(ann.profile, ann.credentials, user, bundles, devices=devices)
    traffic, start = Traffic(), threading.Barrier(SENDERS)
    ann.table.requests.clear()

    def send(_: int) -> None:
        keys = ann.opened()
        start.wait()
        for _ in range(SENDS_EACH):
            for user in ("200@lid", ann.user):
                reservation = keys.sending.reserve(ann.profile, user)
                for device in reservation.chains:
                    traffic.sent(reservation, device, reservation.encrypt(device, ann.profile, b"text"))

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, range(SENDERS)))
    sends = SENDERS * SENDS_EACH
    traffic.assert_every_index_used_once()
    assert traffic.used.total() == sends * (len(RECIPIENT_DEVICES) + len(OWN_DEVICES))
    # One request for each reservation: nobody was refused, asked again, or paused.
    assert ann.table.requests == ["update"] * (2 * sends)
    assert ann.pauses == []


def test_32_senders_in_a_group_never_get_the_same_number(table: DynamoTable) -> None:
    ann, group = End("100@lid", device=3, table=table, entropy=os.urandom), "120363000000000001@g.us"
    ann.keys.groups.make_sender_key(ann.profile, group, seen=None)

    def send(_: int) -> list[int]:
        keys = ann.opened()
        return [keys.groups.reserve(ann.profile, group).number for _ in range(SENDS_EACH)]

    with ThreadPoolExecutor(SENDERS) as pool:
        numbers = [number for taken in pool.map(send, range(SENDERS)) for number in taken]
    assert sorted(numbers) == list(range(SENDERS * SENDS_EACH))


def test_senders_and_receivers_mixed_and_a_real_peer_reads_all(table: DynamoTable) -> None:
    """Eight Lambdas send while four receive, libsignal-node at the other end; once the session is rebuilt."""
    peer = LibsignalPeer()
    try:
        conversation = Conversation(table, peer)
        conversation.run()
    finally:
        peer.close()
    conversation.traffic.assert_every_index_used_once()
    assert conversation.unread == []
    assert sorted(conversation.read_by_peer) == sorted(conversation.said)
    assert sorted(conversation.read_by_us) == sorted(conversation.answers)
    assert conversation.peer_keys_differ() > 3


class Conversation:
    """One device of ours, many Lambdas, and a peer who reads in disorder and answers now and then."""

    def __init__(self, table: Table, peer: LibsignalPeer) -> None:
        peer.reset(copies=True)
        self.peer = peer
        self.ann = End("100@lid", device=3, table=table, entropy=os.urandom)
        self.traffic = Traffic()
        self.said: list[str] = []
        self.answers: list[str] = []
        self.read_by_peer: list[str] = []
        self.read_by_us: list[str] = []
        self.unread: list[str] = []
        # The peer is one device: it does one thing after the other.
        self.desk = threading.Lock()
        self.dice = random.Random(20)
        self.on_the_way: list[tuple[Ciphertext, Reservation]] = []
        self.to_us: list[tuple[str, Ciphertext]] = []

    def run(self) -> None:
        ann = self.ann
        ann.keys.sending.make_sessions(
            ann.profile, ann.credentials, "200@lid", {0: self.peer.bundle()}, devices=[0]
        )
        with ThreadPoolExecutor(13) as pool:
            senders = [pool.submit(self.send, name) for name in range(8)]
            receivers = [pool.submit(self.receive, senders) for _ in range(4)]
            pool.submit(self.rebuild).result()
            for thread in (*senders, *receivers):
                thread.result()
        self.deliver(everything=True)
        self.receive([])

    def send(self, name: int) -> None:
        keys = self.ann.opened()
        for number in range(20):
            text = f"{name}.{number}"
            reservation = keys.sending.reserve(self.ann.profile, "200@lid")
            message = reservation.encrypt(0, self.ann.profile, text.encode())
            self.traffic.sent(reservation, 0, message)
            with self.desk:
                self.said.append(text)
                self.on_the_way.append((message, reservation))
            self.deliver()

    def deliver(self, *, everything: bool = False) -> None:
        """Let the peer read some of what is on the way, in any order, and answer sometimes."""
        with self.desk:
            while self.on_the_way and (everything or self.dice.random() < 0.6):
                place = self.dice.randrange(len(self.on_the_way))
                message, reservation = self.on_the_way.pop(place)
                try:
                    self.read_by_peer.append(self.peer.hear(message))
                except Exception as error:  # noqa: BLE001 - whatever the library says, the message is unread
                    self.unread.append(f"{index_of(message)}: {error}")
                # Of a session's receiving chains five are kept: more answers under way would outlive theirs.
                if len(self.answers) - len(self.read_by_us) < 4 and self.dice.random() < 0.4:
                    answer = f"answer {len(self.answers)}"
                    self.answers.append(answer)
                    self.to_us.append((f"P{len(self.answers)}", self.peer.say(answer)))
                self.ann.keys.sending.checkpoint(reservation, [0])

    def receive(self, senders: list[Any]) -> None:
        """Read what the peer answered until nobody sends any more."""
        keys = self.ann.opened()
        while True:
            last_look = all(sender.done() for sender in senders)
            with self.desk:
                arrived = self.to_us.pop(self.dice.randrange(len(self.to_us))) if self.to_us else None
            if arrived is None:
                if last_look:
                    return
                continue
            stanza_id, message = arrived
            ann = self.ann
            received = keys.receiving.receive(
                ann.profile, ann.credentials, "200@lid", 0, stanza_id, message.type, message.body
            )
            assert received.plaintext is not None
            with self.desk:
                self.read_by_us.append(received.plaintext.decode())

    def rebuild(self) -> None:
        """In the middle of it all, a new session replaces the one in use."""
        with self.desk:
            bundle = self.peer.bundle()
        assert self.ann.opened().sending.rebuild(self.ann.profile, self.ann.credentials, "200@lid", 0, bundle)

    def peer_keys_differ(self) -> int:
        """How many sending chains were used, that is, how often the session turned."""
        return len({ratchet_key for _, _, ratchet_key, _ in self.traffic.used})
