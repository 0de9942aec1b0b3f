"""A paired account on tables in memory or on moto, its transport, and the people it writes to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.fake_aws import Cloud
from tests.support.fake_whatsapp import NOW, Network
from tests.support.memory_aws import MemoryAws
from tests.support.sealed_texts import TEXTS
from tocsin.connector_client import protocol
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Table
from tocsin.keys.addresses import KnownAddress
from tocsin.keys.observe import IdentityChange
from tocsin.keys.store import KeyStore
from tocsin.multidevice.identity import tell_change, tell_moved
from tocsin.multidevice.numbers import HOLD, NumberOwners
from tocsin.multidevice.socket import RememberedLeases
from tocsin.multidevice.transport import MultiDevice
from tocsin.multidevice.uploads import Uploads
from tocsin.notify.store.stores import Stores
from tocsin.sealing import Sealer
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.proto.pairing_pb2 import SignedDeviceIdentity

ACCOUNT = "default"
OWN_PHONE = "6280000000001"
OWN_LID = "9999"
OWN_DEVICE = 4


@dataclass
class Lease:
    """What is read of the account's lease."""

    state: str = "connected"
    url: str | None = "https://127.0.0.1:1"
    certificate: str | None = "pem"
    protocol: int = protocol.VERSION


class PairedAccount:
    """Everything but the notifications: keys, network, transport, and a clock to be moved by hand."""

    stores: Stores | None
    """Where changes of identity are told; nobody hears of them without."""
    on_number_moved = HOLD

    def __init__(self, table: Table | None = None, stores: Stores | None = None) -> None:
        self.now = float(NOW)
        self.stores = stores
        self.table = table or MemoryTable()
        self.sealer = Sealer({"k1": bytes(32)}, "k1")
        self.keys = self.open_keys(ACCOUNT)
        self.keys.account.create()
        self.network = Network()
        self.own = self.network.person(OWN_PHONE, OWN_LID)
        self.pair(OWN_DEVICE)
        self.siti = self.network.person("6281234567890", "1234", devices=2)
        self.lease: Lease | None = Lease()
        self.lease_reads = 0
        self.leases = RememberedLeases(self._read_lease)
        self.uploads: Callable[[], Uploads] | None = None
        self.transport = self.new_transport()

    def pair(self, device: int) -> None:
        """Our phone links us as this device, and vouches for us."""
        account_key = self.own.devices[0].identity.public
        self.keys.account.save_pairing(
            jid=str(JID(OWN_PHONE, PN, device)),
            lid=str(JID(OWN_LID, LID, device)),
            device_identity=SignedDeviceIdentity(account_signature_key=account_key).SerializeToString(),
        )

    def open_keys(self, account: str, table: Table | None = None) -> KeyStore:
        keys = KeyStore(
            table or self.table,
            self.sealer,
            account,
            clock=lambda: self.now,
            random=os.urandom,
            sleep=lambda _: None,
            on_identity_change=lambda change: self._tell(keys, change),
        )
        return keys

    def _tell(self, keys: KeyStore, change: IdentityChange) -> None:
        if self.stores is not None:
            tell_change(self.stores, keys, change, clock=lambda: self.now)

    def _tell_moved(self, account: str, known: KnownAddress, to: str | None) -> None:
        if self.stores is not None:
            tell_moved(self.stores, account, known, to, clock=lambda: self.now)

    def _count_question(self, account: str, at: int) -> int:
        return self.stores.people.count_number_question_in_hour(account, at) if self.stores else 1

    @property
    def numbers(self) -> NumberOwners:
        return NumberOwners(
            self._tell_moved, self._count_question, on_moved=self.on_number_moved, clock=lambda: self.now
        )

    def new_transport(self) -> MultiDevice:
        """As a Lambda container that just started has it."""
        return MultiDevice(
            self.open_keys,
            self.network,
            self.leases,
            self.numbers,
            uploads=self.uploads,
            clock=lambda: self.now,
        )

    def _read_lease(self, account: str) -> Lease | None:
        self.lease_reads += 1
        return self.lease

    @property
    def profile(self):
        return self.keys.account.profile()


def paired_on(aws: Cloud | MemoryAws) -> tuple[PairedAccount, Stores]:
    """A paired account on the tables of `aws`."""
    stores = Stores(aws.notifications_table, aws.keys_table, texts=TEXTS, clock=lambda: paired.now)
    paired = PairedAccount(aws.keys_table, stores)
    return paired, stores
