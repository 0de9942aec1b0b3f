"""Wired functions and the local server's phones in one process, without a socket.

The connector is played by a link to the switchboard. `hear` hands over to the receiving function whatever the
server has sent since, as the queue would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.support.fake_aws import Cloud
from tests.support.key_peers import Interposed
from tests.support.local_server import LocalServer
from tests.support.memory_aws import MemoryAws
from tests.support.notifications import a_notification, an_id
from tests.support.paired_account import ACCOUNT, OWN_PHONE, Lease, PairedAccount
from tests.support.sealed_texts import TEXTS
from tests.support.wired_functions import WiredFunctions
from tocsin.connector_client.errors import DownloadFailed, IqError
from tocsin.dynamo.memory import MemoryTable
from tocsin.multidevice.inbound.envelope import Report
from tocsin.multidevice.socket import RememberedLeases
from tocsin.notify.content import Text
from tocsin.notify.notification import Notification
from tocsin.notify.store.stores import Stores
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.iq import IqRefused, checked
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.pairing_pb2 import SignedDeviceIdentity
from tocsin.whatsapp.receipts import ack
from tocsin_whatsapp_server.directory import Device, SignedPreKey
from tocsin_whatsapp_server.groups import Group
from tocsin_whatsapp_server.media import MediaRefused
from tocsin_whatsapp_server.phone import Phone

SITI, BUDI, DEWI = "6281200000001", "6281200000002", "6281200000003"


class Line:
    """Tocsin's device at the switchboard, and the connector's three doors."""

    def __init__(self, local: LocalServer) -> None:
        self.local = local
        self.got: list[Node] = []
        self.sent: list[Node] = []
        self.asked: list[Node] = []
        self.downloaded: list[str] = []
        self.device: Device

    # A link of the switchboard

    def send(self, stanza: Node | Any, node: Node | None = None) -> None:
        """From the server (one argument), or from a function (profile and node)."""
        if node is None:
            self.got.append(decode(encode(stanza)))
        else:
            self._submit(node)

    def end(self, last: Node | None) -> None:
        pass

    def drop(self) -> None:
        pass

    # The connector

    def request(self, profile: Any, node: Node, timeout: int = 30) -> Node:
        self.asked.append(node)
        attrs = {**node.attrs, "id": f"q{len(self.asked)}"}
        self._submit(Node(node.tag, attrs, node.content))
        answer = self._taken("iq", attrs["id"])
        try:
            return checked(answer)
        except IqRefused as refused:
            raise IqError(refused.code, refused.text, refused.backoff) from refused

    def send_message(self, profile: Any, node: Node, **options: Any) -> Node:
        self.sent.append(decode(encode(node)))
        self._submit(node)
        return self._taken("ack", node.attr_str("id"))

    def upload(self, profile: Any, kind: str, blob: bytes) -> tuple[str, str]:
        return "https://media.test/1", "/v/1?x=1"

    def download(self, profile: Any, direct_path: str, file_enc_sha256: bytes) -> bytes:
        self.downloaded.append(direct_path)
        try:
            return self.local.board.media.fetch(direct_path)
        except MediaRefused as refused:
            raise DownloadFailed(str(refused)) from refused

    def _submit(self, node: Node) -> None:
        self.local.board.submit(self.device, decode(encode(node)))

    def _taken(self, tag: str, identity: Any) -> Node:
        for stanza in self.got:
            if stanza.tag == tag and stanza.optional_str("id") == identity:
                self.got.remove(stanza)
                return stanza
        raise AssertionError(f"no {tag} {identity}")

    def queries(self) -> list[str]:
        """What was asked since the last look: namespaces, with the number of users."""
        found = [node.attr_str("xmlns") for node in self.asked]
        self.asked.clear()
        return found


class WiredGroup(WiredFunctions):
    """Tocsin is a companion of `phone`; Siti, Budi and Dewi are its colleagues."""

    def __init__(self, aws: Cloud | MemoryAws, *, mode: str = "lid") -> None:
        self.local = LocalServer()
        self.line = Line(self.local)
        self.phone = self.local.phone(OWN_PHONE, "Help desk")
        super().__init__(aws)
        self.colleagues = [self.local.phone(number, number) for number in (SITI, BUDI, DEWI)]
        self.group = self.found(self.colleagues, mode=mode)
        self.hear()

    def _paired_on(self, aws: Cloud | MemoryAws) -> tuple[PairedAccount, Stores]:
        stores = Stores(
            aws.notifications_table, aws.keys_table, texts=TEXTS, clock=lambda: self.local.clock.now
        )
        # moto bears one thread only, and a group's users are asked after side by side.
        table = aws.keys_table if isinstance(aws.keys_table, MemoryTable) else MemoryTable()
        paired = PairedOnServer(self, table, stores)
        return paired, stores

    def found(self, members: Iterable[Phone], *, mode: str = "lid") -> Group:
        accounts = [member.account for member in members]
        change = self.local.board.groups.create("Technicians", self.phone.account, accounts, now=1, mode=mode)
        self.local.board.group_changed(change)
        return change.group

    def remove(self, member: Phone) -> None:
        groups = self.local.board.groups
        self.local.board.group_changed(groups.remove(self.group, self.group.creator, [member.account]))

    def add(self, member: Phone) -> None:
        groups = self.local.board.groups
        self.local.board.group_changed(groups.add(self.group, self.group.creator, [member.account]))

    # -- both ways ---------------------------------------------------------------------------------------

    def plan_for_group(self, number: int = 1, text: str | None = None) -> Notification:
        group = str(self.group.jid)
        planned = a_notification(
            id=an_id(ACCOUNT, f"TCK-{number}", "TicketCreated", 1, "group", group),
            account=ACCOUNT,
            ticket_id=f"TCK-{number}",
            audience="group",
            recipient=group,
            recipient_name="",
            content=Text(text or f"Tiket {number}"),
            created_at=int(self.paired.now * 1000),
            expires_at=int(self.paired.now + 86400) * 1000,
        )
        self.stores.notifications.put_new(planned)
        return planned

    def tell_group(self, number: int = 1, text: str | None = None) -> Notification:
        """Plan a notification to the group, deliver it, and hear what comes back."""
        planned = self.plan_for_group(number, text)
        verdict = self.deliver(planned)
        assert verdict.outcome == "sent", verdict
        self.hear()
        return planned

    def hear(self) -> list[Report]:
        """Hand what the server sent to the receiving function, until nothing more comes."""
        reports = []
        while waiting := [
            node for node in self.line.got if node.tag in ("message", "receipt", "notification")
        ]:
            self.line.got.clear()
            for node in waiting:
                if node.tag != "message":
                    self.line._submit(ack(node))
                reports.append(self.receive(node))
            assert len(reports) < 100, "two peers go round in circles"
        return reports

    def audit(self) -> dict[str, Any]:
        return self.local.board.audit.report()


class PairedOnServer(PairedAccount):
    """A paired account with the local server's people in place of the fake network."""

    def __init__(self, wired: WiredGroup, table: MemoryTable, stores: Stores) -> None:
        self._wired = wired
        self.stores = stores
        self.table = table
        from tocsin.sealing import Sealer

        self.sealer = Sealer({"k1": bytes(32)}, "k1")
        self.keys = self.open_keys(ACCOUNT)
        self.keys.account.create()
        account = wired.phone.account
        number, key_index = account.next_device()
        vouched = SignedDeviceIdentity(account_signature_key=wired.phone.identity.public)
        device_identity = vouched.SerializeToString()
        credentials = self.keys.account.save_pairing(
            jid=str(account.pn.with_device(number)),
            lid=str(account.lid.with_device(number)),
            device_identity=device_identity,
        )
        signed = credentials.signed_prekey
        wired.line.device = account.devices[number] = Device(
            account=account,
            number=number,
            identity=credentials.identity.public,
            registration_id=credentials.registration_id,
            signed_prekey=SignedPreKey(signed.id, signed.pair.public, signed.signature),
            device_identity=device_identity,
            key_index=key_index,
            prekeys={prekey.id: prekey.pair.public for prekey in self.keys.account.new_prekeys(30)},
        )
        wired.local.board.connect(wired.line.device, wired.line)
        self.network = wired.line  # type: ignore[assignment]
        self.siti = None  # type: ignore[assignment]
        self.lease: Lease | None = Lease()
        self.lease_reads = 0
        self.leases = RememberedLeases(self._read_lease)
        self.uploads = None
        self.transport = self.new_transport()

    def observe(self, hear: Callable[[str], object]) -> None:
        """Tell of each request to the keys table from now on."""
        watched = Interposed(self.table)
        watched.before = lambda name, argument: hear(name)
        self.table = watched

    @property
    def now(self) -> float:  # type: ignore[override]
        return self._wired.local.clock.now

    @now.setter
    def now(self, value: float) -> None:
        self._wired.local.clock.now = value


def texts(phone: Phone) -> list[str | None]:
    return [entry.text for entry in phone.messages()]
