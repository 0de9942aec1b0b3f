"""A paired account on tables in memory or on moto, its transport, and the people it writes to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.fake_aws import Cloud
from tests.support.fake_whatsapp import NOW, Network
from tests.support.memory_aws import MemoryAws
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Table
from tocsin.keys.observe import IdentityChange
from tocsin.keys.store import KeyStore
from tocsin.multidevice.identity import tell_change
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


class PairedAccount:
    """Everything but the notifications: keys, network, transport, and a clock to be moved by hand."""

    def __init__(
        self, table: Table | None = None, tell: Callable[[KeyStore, IdentityChange], None] | None = None
    ) -> None:
        self.now = float(NOW)
        self._tell = tell or (lambda keys, change: None)
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

    def open_keys(self, account: str) -> KeyStore:
        keys = KeyStore(
            self.table,
            self.sealer,
            account,
            clock=lambda: self.now,
            random=os.urandom,
            sleep=lambda _: None,
            on_identity_change=lambda change: self._tell(keys, change),
        )
        return keys

    def new_transport(self) -> MultiDevice:
        """As a Lambda container that just started has it."""
        return MultiDevice(
            self.open_keys, self.network, self.leases, uploads=self.uploads, clock=lambda: self.now
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
    paired = PairedAccount(
        aws.keys_table,
        tell=lambda keys, change: tell_change(stores, keys, change, clock=lambda: paired.now),
    )
    return paired, stores
