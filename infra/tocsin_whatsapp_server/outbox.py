"""What a phone sends: to every device of its recipients, and again to one that asks."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.signal.errors import SignalError
from tocsin.signal.sender_key import distribution
from tocsin.signal.session import Ciphertext
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp.jid import JID, LID, mask, phash
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import device_sent
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin_whatsapp_server.directory import Account, Device
from tocsin_whatsapp_server.endpoint import Address, Endpoint
from tocsin_whatsapp_server.group_keys import GroupKeys
from tocsin_whatsapp_server.groups import Group
from tocsin_whatsapp_server.phone_receipts import MAX_RETRIES, offered_bundle
from tocsin_whatsapp_server.switchboard import Switchboard

log = logging.getLogger(__name__)


@dataclass
class Sent:
    """A message that the phone sent. `message` is kept, so that it can be sent again when asked for."""

    id: str
    to: Account | Group
    text: str
    message: bytes = field(repr=False)
    at: float
    acked: bool = False
    error: int | None = None
    receipts: dict[str, list[str]] = field(default_factory=dict)
    reactions: dict[str, str] = field(default_factory=dict)
    resent: Counter[Address] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "to": str(self.to.jid) if isinstance(self.to, Group) else self.to.number,
            "text": self.text,
            "time": round(self.at, 3),
            "acked": self.acked,
            "error": self.error,
            "reactions": self.reactions,
            "delivered": self.receipts.get("delivered", []),
            "read": self.receipts.get("read", []),
            "resent": {str(peer): times for peer, times in self.resent.items()},
        }


class Outbox:
    """`device`: the phone's, which another one replaces when it is reinstalled."""

    def __init__(
        self,
        account: Account,
        device: Callable[[], Device],
        board: Switchboard,
        endpoint: Endpoint,
        group_keys: GroupKeys,
    ) -> None:
        self._account = account
        self._device = device
        self._board = board
        self._endpoint = endpoint
        self._group_keys = group_keys
        self.sent: dict[str, Sent] = {}

    def add(self, to: Account | Group, message: Message, text: str) -> Sent:
        sent = Sent(
            id=self._board.random(16).hex().upper(),
            to=to,
            text=text,
            message=message.SerializeToString(),
            at=self._board.clock(),
        )
        self.sent[sent.id] = sent
        return sent

    def on_ack(self, ack: Node) -> None:
        sent = self.sent.get(ack.attr_str("id"))
        if sent is not None and ack.optional_str("class") == "message":
            sent.acked, sent.error = True, ack.optional_int("error")

    def on_receipt(self, receipt: Node) -> None:
        """A receipt of any type but `retry`."""
        kind = receipt.optional_str("type") or "delivered"
        kind = "delivered" if kind == "inactive" else kind
        reader = self._board.directory.device(receipt.optional_jid("participant") or receipt.attr_jid("from"))
        listed = receipt.child("list")
        items = listed.children("item") if listed else ()
        for message_id in (receipt.attr_str("id"), *(item.attr_str("id") for item in items)):
            sent = self.sent.get(message_id)
            if sent is not None:
                sent.receipts.setdefault(kind, []).append(str(reader) if reader else "unknown")

    def resend(self, receipt: Node) -> Node | None:
        """Somebody couldn't read a message of ours: a new session, and the same message again, to that one
        device under the same id. None if there is nothing to be sent."""
        requester = receipt.optional_jid("participant") or receipt.attr_jid("from")
        sent = self.sent.get(receipt.attr_str("id"))
        device = self._board.directory.device(requester)
        if sent is None or device is None:
            log.warning("phone %s: asked for a message that it never sent", mask(self._account.number))
            return None
        peer = self.address(requester)
        if sent.resent[peer] >= MAX_RETRIES:
            return None
        sent.resent[peer] += 1
        offered = receipt.child("keys")
        registration_id = int.from_bytes(receipt.require_child("registration").bytes(4), "big")
        try:
            bundle = offered_bundle(offered, registration_id) if offered else self._bundle_of(device)
            self._endpoint.start_session(peer, bundle)
        except SignalError as error:
            log.warning("phone %s: bad keys in a retry receipt: %s", mask(self._account.number), error)
            return None
        self._group_keys.missed(peer)
        count = receipt.require_child("retry").attr_str("count")
        ciphertext = self._endpoint.encrypt(peer, self._message_for(device, sent))
        attrs: dict[str, str | JID] = {
            "id": sent.id,
            "to": requester,
            "type": "text",
            "t": receipt.require_child("retry").optional_str("t") or str(self._board.now),
        }
        if isinstance(sent.to, Group):
            attrs |= {"to": sent.to.jid, "participant": requester}
        else:
            attrs["device_fanout"] = "false"
            if device.account is self._account:
                attrs["recipient"] = sent.to.bare(requester.server)
        return Node("message", attrs, (enc_node(ciphertext, {"count": count}),))

    def address(self, jid: JID) -> Address:
        """Sessions are kept under the LID, however the stanza was addressed."""
        account = self._board.directory.account(jid)
        return Address(account.lid_user if account else jid.user, jid.device)

    def _bundle_of(self, device: Device) -> PreKeyBundle:
        bundle = device.take_bundle()
        prekey = None
        if bundle.prekey_id is not None and bundle.prekey is not None:
            prekey = (bundle.prekey_id, bundle.prekey)
        self._board.bundle_taken(device, prekey)
        return bundle

    def stanza(self, sent: Sent) -> Node:
        """To every device of the recipient, and to the own companions as a device-sent message."""
        if isinstance(sent.to, Group):
            return self._group_message_stanza(sent, sent.to)
        devices = [*sent.to.devices.values(), *self._account.devices.values()]
        entries = [
            Node("to", {"jid": device.lid}, (enc_node(ciphertext, {}),))
            for device in dict.fromkeys(devices)
            if device is not self._device()
            and (ciphertext := self.encrypted(device, self._message_for(device, sent)))
        ]
        attrs: dict[str, str | JID] = {
            "id": sent.id,
            "to": sent.to.lid,
            "type": "text",
            "peer_recipient_pn": sent.to.pn,
        }
        return Node("message", attrs, (Node("participants", {}, tuple(entries)),))

    def encrypted(self, device: Device, message: bytes) -> Ciphertext | None:
        """`message` for one device, in a session made now if there is none; None if none can be made."""
        peer = Address(device.account.lid_user, device.number)
        try:
            if not self._endpoint.has_session(peer):
                self._endpoint.start_session(peer, self._bundle_of(device))
            return self._endpoint.encrypt(peer, message)
        except SignalError as error:
            log.warning("phone %s: no session with a device: %s", mask(self._account.number), error)
            return None

    def _group_message_stanza(self, sent: Sent, group: Group) -> Node:
        """Once for everybody, and the sender key for each device that has it not."""
        own = self._group_keys.own(str(group.jid))
        key = self._with_sender_key(group)
        entries = []
        for device in group.devices:
            peer = Address(device.account.lid_user, device.number)
            if device is self._device() or peer in own.holders:
                continue
            ciphertext = self.encrypted(device, key)
            if ciphertext is not None:
                own.holders.add(peer)
                entries.append(Node("to", {"jid": device.address(group.server)}, (enc_node(ciphertext, {}),)))
        attrs: dict[str, str | JID] = {
            "id": sent.id,
            "to": group.jid,
            "type": "text",
            "phash": phash(device.address(group.server) for device in group.devices),
            "addressing_mode": group.mode,
        }
        shared = Node(
            "enc", {"v": "2", "type": "skmsg"}, self._group_keys.encrypt(str(group.jid), sent.message)
        )
        participants = [Node("participants", {}, tuple(entries))] if entries else []
        return Node("message", attrs, (*participants, shared))

    def _with_sender_key(self, group: Group, message: bytes = b"") -> bytes:
        """`message` with our key for the group in it."""
        whole = Message.FromString(message)
        whole.sender_key_distribution.group_id = str(group.jid)
        whole.sender_key_distribution.distribution = distribution(self._group_keys.own(str(group.jid)).key)
        return whole.SerializeToString()

    def _message_for(self, device: Device, sent: Sent) -> bytes:
        if isinstance(sent.to, Group):
            message = self._with_sender_key(sent.to, sent.message)
            return device_sent(sent.to.jid, message) if device.account is self._account else message
        if device.account is not self._account:
            return sent.message
        copy = Message()
        copy.device_sent.destination_jid = str(sent.to.bare(LID))
        copy.device_sent.message.ParseFromString(sent.message)
        return copy.SerializeToString()


def enc_node(ciphertext: Ciphertext, more: Mapping[str, str]) -> Node:
    return Node("enc", {"v": "2", "type": ciphertext.type, **more}, ciphertext.body)
