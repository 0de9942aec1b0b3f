"""The records of a stack as an earlier version left them: both tables, and the people it had written to.

`tests/scenarios/data/stored` was written once, by the code of before there was a tagged content, and is never
written again: it stands for the tables of those who deploy a newer version over it.
"""

from __future__ import annotations

import base64
import json
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.fake_whatsapp import Device, Network, Person
from tests.support.paired_account import ACCOUNT, Lease, PairedAccount
from tocsin.dynamo.attributes import from_item
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.multidevice.socket import RememberedLeases
from tocsin.notify.store.stores import Stores
from tocsin.sealing import Sealer
from tocsin.signal.curve import key_pair
from tocsin.signal.state import decode_record
from tocsin.whatsapp.jid import JID

DATA = Path(__file__).parents[1] / "scenarios" / "data" / "stored"


def frozen(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def frozen_table(name: str) -> MemoryTable:
    """A table with the frozen items."""
    table = MemoryTable()
    for attributes in frozen(name):
        item = from_item({attribute: _decoded(value) for attribute, value in attributes.items()})
        table.put(Put((item.pop("pk"), item.pop("sk")), item))
    return table


def _decoded(attribute: dict[str, Any]) -> dict[str, Any]:
    """An attribute value whose bytes aren't in base64 any more."""
    ((kind, value),) = attribute.items()
    if kind == "B":
        return {"B": base64.b64decode(value)}
    if kind == "M":
        return {"M": {name: _decoded(inner) for name, inner in value.items()}}
    if kind == "L":
        return {"L": [_decoded(member) for member in value]}
    return attribute


class FrozenStage(PairedAccount):
    """The account, its keys and its people as they were; only the socket is new."""

    def __init__(self, table: MemoryTable, stores: Stores) -> None:
        around = frozen("around")
        self.now = float(around["now"] + 60)
        self.stores = stores
        self.table = table
        self.sealer = Sealer({"k1": bytes(32)}, "k1")
        self.keys = self.open_keys(ACCOUNT)
        self.network = Network()
        self.own = self._person("6280000000001", around["own"])
        self.siti = self._person("6281234567890", around["siti"])
        self.lease: Lease | None = Lease()
        self.lease_reads = 0
        self.leases = RememberedLeases(self._read_lease)
        self.uploads = None
        self.transport = self.new_transport()

    def _person(self, phone: str, devices: list[dict[str, Any]]) -> Person:
        thawed = [_device(one) for one in devices]
        lid = thawed[0].jid.user
        self.network.people[lid] = person = Person(phone, lid, {one.jid.device: one for one in thawed})
        return person


def _device(told: dict[str, Any]) -> Device:
    """A device with its keys and its session as they were."""
    return Device(
        JID.parse(told["jid"]),
        identity=key_pair(bytes.fromhex(told["identity"])),
        signed=key_pair(bytes.fromhex(told["signed"])),
        registration_id=told["registration_id"],
        prekeys={int(number): key_pair(bytes.fromhex(pair)) for number, pair in told["prekeys"].items()},
        record=decode_record(bytes.fromhex(told["record"])),
        fresh_ids=count(1000),
    )
