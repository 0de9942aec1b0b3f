"""A stack whose keys table somebody else writes to, at random: what may never happen, whatever they write."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions, texts
from tocsin.accounts.lease import LeaseKeeper
from tocsin.accounts.whereabouts import LeaseRefused, read_whereabouts
from tocsin.connector.gateway.used_keys import UsedKeys
from tocsin.connector_client.errors import KeyUsed
from tocsin.dynamo.writes import Delete, Key, Put, Value
from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.multidevice.socket import RememberedLeases
from tocsin.sealing import DamagedRecord
from tocsin.tables.keys import credentials_key
from tocsin.whatsapp.node import Node

URL, CERTIFICATE = "https://127.0.0.1:1", "PEM of ours"
LIE_AT_MOST = 3
"""Writes between two looks."""


class HostileTable(WiredFunctions):
    """Three customers, one of whom (Eve) also writes to the table. She holds no sealing key, but has kept
    every version of every item that she saw."""

    used_keys: UsedKeys | None

    def __init__(self, seed: int) -> None:
        super().__init__(MemoryAws())
        self._chance = random.Random(seed)
        self.used_keys = UsedKeys()
        self.network.before_delivery = self._look
        budi, eve = self.network.person("6281322220000", "5678"), self.network.person("6281399990000", "666")
        self.people = {"Siti": self.siti, "Budi": budi, "Eve": eve}
        self._sent = self.went = 0
        self._kept: dict[Key, list[dict[str, Value]]] = {}
        keeper = LeaseKeeper(
            self.paired.table, "c1", url=URL, certificate=CERTIFICATE, sealer=self.paired.sealer
        )
        keeper.set_state(ACCOUNT, keeper.acquire(ACCOUNT), "connected")
        self.paired.leases = RememberedLeases(self._read)
        self.restart()
        for name in self.people:
            self.send(name)
        self.keep()

    def _read(self, account: str) -> Any:
        return read_whereabouts(self.paired.table, account, self.paired.sealer)

    def _look(self, message: Node) -> None:
        """The connector's last look at a message."""
        refused = self.used_keys.claim(message) if self.used_keys is not None else []
        if refused:
            raise KeyUsed("its key went out before with other content", tuple(refused))

    # -- what goes on -------------------------------------------------------------------------------------

    def send(self, name: str) -> bool:
        """Tell somebody something; whether it went. What was damaged may keep it from going."""
        self._sent += 1
        self.siti = self.people[name]
        planned = self.plan(self._sent, text=f"for {name}, {self._sent}")
        for _ in range(3):
            try:
                verdict = self.deliver(self.stored(planned))
            except Exception:  # noqa: BLE001, S112  unforeseen: the queue brings it again, and buries it
                continue
            if verdict.outcome == "sent":
                self.went += 1
                return True
        return False

    def answer(self, name: str) -> None:
        """Somebody writes to us, which turns the ratchet."""
        self._sent += 1
        self.siti = self.people[name]
        try:
            self.reply("thanks", f"R{self._sent}")
        except Exception:  # noqa: BLE001  of no account here: what is received is another proof's
            return

    # -- what Eve does ------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Eve copies the whole table."""
        for key, item in self._items().items():
            versions = self._kept.setdefault(key, [])
            if item not in versions:
                versions.append(item)

    def lie(self) -> None:
        for _ in range(self._chance.randint(1, LIE_AT_MOST)):
            self._chance.choice([self._change, self._change, self._put_back, self._move, self._remove])()
        self._mend()
        self.restart()

    def _mend(self) -> None:
        """An account that can't be opened does nothing at all: an operator puts it right."""
        try:
            self.paired.keys.account.profile()
        except (DamagedRecord, NoAccount, NotPaired):
            self._write(credentials_key(ACCOUNT), self._kept[credentials_key(ACCOUNT)][0])

    def _change(self) -> None:
        """Another value in one attribute: her own, or one that stood somewhere else."""
        key, item = self._any_item()
        name = self._chance.choice([*item, "moved", "next"])
        if self._chance.random() < 0.2:  # who we are, which one item of many says
            key, name = credentials_key(ACCOUNT), self._chance.choice(["jid", "lid"])
            item = self._items().get(key, {})
        self._write(key, {**item, name: self._any_value(name)})

    def _put_back(self) -> None:
        key = self._chance.choice(sorted(self._kept))
        self._write(key, self._chance.choice(self._kept[key]))

    def _move(self) -> None:
        """One item in the place of another one of its kind."""
        key, item = self._any_item()
        alike = [other for other in self._items() if other[1] == key[1] and other != key]
        if alike:
            self._write(self._chance.choice(alike), item)

    def _remove(self) -> None:
        key, item = self._any_item()
        if self._chance.random() < 0.3:
            self.paired.table.delete(Delete(key))
            return
        gone = self._chance.choice(sorted(item) or ["nothing"])
        self._write(key, {name: value for name, value in item.items() if name != gone})

    def _any_value(self, name: str) -> Value:
        elsewhere = [item[name] for versions in self._kept.values() for item in versions if name in item]
        hers: list[Value] = ["666@lid", "666:0@lid", "6281399990000@s.whatsapp.net", 0, 1, b"\x02k1", "x"]
        return self._chance.choice([*elsewhere, *hers])

    def _any_item(self) -> tuple[Key, dict[str, Value]]:
        items = self._items()
        key = self._chance.choice(sorted(items))
        return key, items[key]

    def _items(self) -> dict[Key, dict[str, Value]]:
        return {
            (str(item["pk"]), str(item["sk"])): {
                name: value for name, value in item.items() if name not in ("pk", "sk")
            }
            for item in self.paired.table.scan().items
        }

    def _write(self, key: Key, attributes: dict[str, Value]) -> None:
        self.paired.table.put(Put(key, attributes))

    # -- what may never happen ----------------------------------------------------------------------------

    def assert_kept(self) -> None:
        for name, person in self.people.items():
            read = [text for device in person.devices.values() for text in texts(device)]
            assert all(text.startswith(f"for {name},") for text in read), f"{name} read {read}"
        assert self.network.keys_used_twice() == [], "a message key was used twice"
        try:
            where = self._read(ACCOUNT)
        except LeaseRefused:
            return
        told = (where.url, where.certificate) if where is not None else (None, None)
        assert told in ((URL, CERTIFICATE), (None, None)), "the token would go elsewhere"


EVENTS: dict[str, Callable[[HostileTable], object]] = {
    "send to Siti": lambda stack: stack.send("Siti"),
    "send to Budi": lambda stack: stack.send("Budi"),
    "send to Eve": lambda stack: stack.send("Eve"),
    "Siti answers": lambda stack: stack.answer("Siti"),
    "Eve answers": lambda stack: stack.answer("Eve"),
    "Eve copies": HostileTable.keep,
    "Eve lies": HostileTable.lie,
}


def live(stack: HostileTable, events: list[str]) -> None:
    for event in events:
        EVENTS[event](stack)
        stack.assert_kept()
