"""A local server without sockets: a switchboard, phones, and companions that note what they are sent."""

import random
from dataclasses import dataclass, field

from tocsin.signal.session import Ciphertext
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin_whatsapp_server.directory import Account, Device
from tocsin_whatsapp_server.endpoint import Address, Endpoint
from tocsin_whatsapp_server.pairing import device_identity
from tocsin_whatsapp_server.phone import Phone
from tocsin_whatsapp_server.switchboard import Switchboard

SITI, BUDI, DEWI = "6281200000001", "6281200000002", "6281200000003"
START = 1_790_000_000


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Companion:
    """A linked device: a Signal endpoint whose stanzas are written by the test."""

    device: Device
    endpoint: Endpoint
    board: Switchboard
    got: list[Node] = field(default_factory=list)
    ended: list[Node | None] = field(default_factory=list)

    def send(self, stanza: Node) -> None:
        self.got.append(stanza)

    def end(self, last: Node | None) -> None:
        self.ended.append(last)

    def drop(self) -> None:
        self.ended.append(None)

    def log_in(self) -> None:
        self.board.connect(self.device, self)

    def log_out(self) -> None:
        self.board.disconnect(self.device, self)

    def submit(self, stanza: Node) -> None:
        self.board.submit(self.device, stanza)

    def taken(self, tag: str) -> list[Node]:
        """What it got with this tag, and forget it."""
        found = [stanza for stanza in self.got if stanza.tag == tag]
        self.got = [stanza for stanza in self.got if stanza.tag != tag]
        return found

    def seal(self, target: Device, text: str, *, fresh: bool = False) -> Ciphertext:
        """Encrypt a text for a device, with a new session if there is none or a fresh one is wanted."""
        peer = Address(target.account.lid_user, target.number)
        if fresh or not self.endpoint.has_session(peer):
            self.endpoint.start_session(peer, target.take_bundle())
        return self.endpoint.encrypt(peer, Message(conversation=text).SerializeToString())

    def write(self, to: Account, text: str, *, message_id: str = "3EB0AA") -> Node:
        """Send a text to every device of an account, by LID; return the stanza."""
        entries = [(device.lid, self.seal(device, text)) for device in to.devices.values()]
        stanza = message_to(to.lid, entries, message_id=message_id)
        self.submit(stanza)
        return stanza


def enc(ciphertext: Ciphertext, **attrs: str) -> Node:
    return Node("enc", {"v": "2", "type": ciphertext.type, **attrs}, ciphertext.body)


def message_to(
    to: JID, entries: list[tuple[JID, Ciphertext]], *, message_id: str = "3EB0AA", **attrs: str
) -> Node:
    participants = tuple(Node("to", {"jid": jid}, (enc(ciphertext),)) for jid, ciphertext in entries)
    return Node(
        "message",
        {"id": message_id, "to": to, "type": "text", **attrs},
        (Node("participants", {}, participants),),
    )


class LocalServer:
    def __init__(self) -> None:
        self.clock = Clock()
        self.random = random.Random(1).randbytes
        self.board = Switchboard(clock=self.clock, random=self.random)
        self.phones: dict[str, Phone] = {}

    def phone(self, number: str, name: str = "Somebody", *, reads: bool = False) -> Phone:
        phone = Phone(self.board.directory.register(number, name), self.board, reads=reads)
        self.phones[number] = phone
        return phone

    def companion(self, account: Account, *, online: bool = True) -> Companion:
        """Link one without the ceremony."""
        endpoint = Endpoint(self.random, self.clock)
        number, key_index = account.next_device()
        device = Device(
            account=account,
            number=number,
            identity=endpoint.keys.identity.public,
            registration_id=endpoint.keys.registration_id,
            signed_prekey=endpoint.keys.signed_prekey,
            noise_key=self.random(32),
            device_identity=device_identity(
                self.phones[account.number].identity,
                endpoint.keys.identity,
                key_index=key_index,
                now=START,
                random=self.random,
            ),
            key_index=key_index,
            linked_at=START,
        )
        device.prekeys |= endpoint.keys.new_prekeys(20, self.random)
        account.devices[number] = device
        companion = Companion(device, endpoint, self.board)
        if online:
            companion.log_in()
            companion.got.clear()
        return companion
