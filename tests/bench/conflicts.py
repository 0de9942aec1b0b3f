"""How often writers of the key store get in each other's way, on the emulator's DynamoDB.

A turn is what a received message makes of a session: read, computed, committed in one transaction. All turns
here are of one user's sessions, a device for each writer. That is worse than what happens: the queue hands a
user's stanzas to one function after the other. A send takes its number with one update, never refused.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from statistics import median
from typing import Any

from botocore.config import Config

from tests.bench.measure import Sheet, timed
from tests.bench.surroundings import ConnectorContext, tell
from tests.support.key_peers import End, Vouches
from tests.support.table_contract import make_dynamo_table
from tocsin.dynamo.table import Conflict, DynamoTable, TableError
from tocsin.dynamo.writes import Item, Update, Write
from tocsin.keys.errors import Contended
from tocsin.keys.store import KeyStore
from tocsin_local.emulator import Emulator

WRITERS = (1, 8, 32)
TURNS = 192
SENDS_A_SECOND = 100
MAX_ATTEMPTS = 3

USER = "200@lid"

_names = count(1)


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    aws = bench.emulator
    tell("conflicts of writers")
    turns = TURNS * 5 if bench.thorough else TURNS
    columns = ("turns", "conflicts per 1,000", "attempts each", "given up", "one turn")
    sheet = Sheet("Conflicts at the sessions of one user", columns)
    for writers in WRITERS:
        meeting = Meeting(aws, devices=writers)
        meeting.turn_at_once(turns // writers)
        sheet.add("1 writer" if writers == 1 else f"{writers} concurrent writers", *meeting.cells())
    meeting = Meeting(aws, devices=1)
    with meeting.sends(SENDS_A_SECOND) as sent:
        _, took = timed(lambda: meeting.turn_at_once(turns // 2))
    rate = len(sent) / took * 1e6
    sheet.add(
        f"1 writer, {rate:.0f} sends a second beside it",
        *meeting.cells(),
        aim=f"< {MAX_ATTEMPTS} attempts",
        met=meeting.attempts < MAX_ATTEMPTS,
    )
    refused = meeting.table.refused["update"]
    sheet.add("of those sends refused", str(refused), "", "", "", "", aim="0", met=not refused)
    yield sheet


class Watched(DynamoTable):
    """Counts the transactions, and by operation what was refused."""

    def __init__(self, client: Any, name: str) -> None:
        super().__init__(client, name)
        self.transactions = 0
        self.refused: Counter[str] = Counter()
        self._lock = threading.Lock()

    def update(self, update: Update) -> Item:
        with self._noting("update"):
            return super().update(update)

    def transact(self, writes: list[Write], token: str) -> None:  # type: ignore[override]
        with self._lock:
            self.transactions += 1
        with self._noting("transact"):
            super().transact(writes, token)

    @contextmanager
    def _noting(self, operation: str) -> Iterator[None]:
        try:
            yield
        except TableError as error:
            with self._lock:
                self.refused["conflict" if isinstance(error, Conflict) else operation] += 1
            raise


class Meeting:
    """Our account and one user, whose devices answer every message, so that each answer is a turn."""

    def __init__(self, aws: Emulator, *, devices: int) -> None:
        client = aws.client("dynamodb", config=Config(max_pool_connections=64))
        name = f"conflicts-{next(_names)}"
        make_dynamo_table(client, name)
        self.table = Watched(client, name)
        self.us = End("100@lid", device=3, table=self.table, entropy=os.urandom)
        phone = End(USER, entropy=os.urandom)
        companions = (End(USER, device, entropy=os.urandom, phone=phone) for device in range(1, devices))
        self.peers = [phone, *companions]
        bundles = {peer.device: peer.bundle() for peer in self.peers}
        self.us.keys.sending.make_sessions(
            self.us.profile, self.us.credentials, USER, bundles, devices=list(bundles)
        )
        self.times: list[float] = []
        self.given_up = 0

    @property
    def attempts(self) -> float:
        return self.table.transactions / len(self.times)

    def cells(self) -> tuple[str, ...]:
        turns = len(self.times)
        conflicts = 1000 * self.table.refused["conflict"] / turns
        took = f"{median(self.times) / 1000:.0f} ms"
        return str(turns), f"{conflicts:.0f}", f"{self.attempts:.2f}", str(self.given_up), took

    def turn_at_once(self, times: int) -> None:
        """So many turns of each device's session, all devices at the same time."""
        self.table.transactions = 0
        self.table.refused.clear()
        with ThreadPoolExecutor(len(self.peers)) as pool:
            list(pool.map(lambda peer: self._converse(peer, times), self.peers))

    def _converse(self, peer: End, times: int) -> None:
        us, keys = self.us, self.us.opened()
        for number in range(times):
            message = keys.sending.reserve(us.profile, USER).encrypt(peer.device, us.profile, b"text")
            peer.read(us, message)
            answer = peer.say(us, b"answer")
            arrival = (USER, peer.device, f"A{peer.device}.{number}", answer.type, answer.body)
            _, took = timed(lambda arrival=arrival: self._receive(keys, arrival, peer.voucher))
            self.times.append(took)

    def _receive(self, keys: KeyStore, arrival: tuple[Any, ...], voucher: Vouches | None) -> None:
        """Where it is given up after 16 attempts, the queue brings it again."""
        while True:
            try:
                keys.receiving.receive(self.us.profile, self.us.credentials, *arrival, voucher=voucher)
            except Contended:
                self.given_up += 1
            else:
                return

    @contextmanager
    def sends(self, rate: int) -> Iterator[list[int]]:
        """While the block lasts, numbers are taken so often a second; yields those that were."""
        taken: list[int] = []
        over = threading.Event()
        began = time.monotonic()

        def send(place: int, of: int) -> None:
            keys = self.us.opened()
            for turn in count():
                due = began + (turn * of + place) / rate
                if over.wait(max(due - time.monotonic(), 0)):
                    return
                taken.append(keys.sending.reserve(self.us.profile, USER).number)

        with ThreadPoolExecutor(4) as pool:
            senders = [pool.submit(send, place, 4) for place in range(4)]
            try:
                yield taken
            finally:
                over.set()
        for sender in senders:
            sender.result()
