"""A simulated phone: device 0 of an account, a real Signal endpoint with somebody's thumbs.

It decrypts what it gets, answers with receipts, asks again for what it can't read, answers when it is asked
again, links companions, and can be broken in the ways in which phones break. It speaks through the
switchboard like any other device. What it shows is in `inbox`, what it sends in `outbox`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import KeyPair
from tocsin.signal.errors import Duplicate, SignalError
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, mask
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import HistorySync, Message
from tocsin_whatsapp_server.control_messages import (
    FIRST_HISTORY,
    history,
    history_by_reference,
    resent_placeholder,
)
from tocsin_whatsapp_server.directory import PHONE, Account, Device
from tocsin_whatsapp_server.endpoint import Address, Endpoint
from tocsin_whatsapp_server.group_keys import GroupKeys
from tocsin_whatsapp_server.groups import Group
from tocsin_whatsapp_server.inbox import Inbox, InvalidRequest, Received
from tocsin_whatsapp_server.outbox import Outbox, Sent, enc_node
from tocsin_whatsapp_server.pairing import QrCode, Voucher, key_index_list, vouch
from tocsin_whatsapp_server.passkey import Passkey
from tocsin_whatsapp_server.phone_receipts import (
    MAX_RETRIES,
    acknowledgement,
    delivery_receipt,
    offered_keys,
    retry_receipt,
)
from tocsin_whatsapp_server.switchboard import Random, Switchboard
from tocsin_whatsapp_server.timers import Timer, change, with_timer

if TYPE_CHECKING:
    from tocsin_whatsapp_server.passkey_gate import PasskeyGate

log = logging.getLogger(__name__)

PREKEYS = 30


class Phone:
    """`reads`: whether its owner looks at messages at once, so that senders get read receipts. `at_gate`:
    the last companion that its passkey was wanted for."""

    def __init__(self, account: Account, switchboard: Switchboard, *, reads: bool = False) -> None:
        self.account = account
        self.reads = reads
        self._board = switchboard
        self._random: Random = switchboard.random
        self._endpoint = Endpoint(switchboard.random, switchboard.clock)
        self._group_keys = GroupKeys(switchboard.random)
        self._signs_keys = True
        self.device = self._install()
        self._outbox = Outbox(account, lambda: self.device, switchboard, self._endpoint, self._group_keys)
        self._inbox = Inbox(account, self.device.number, switchboard, self._outbox.sent)
        self._tries: Counter[tuple[str, Address]] = Counter()
        self.at_gate: PasskeyGate | None = None
        self.go_online()

    @cached_property
    def passkey(self) -> Passkey:
        """The account's, made when it is first needed."""
        return Passkey.made(self._random)

    def _install(self) -> Device:
        self.account.key_indexes = self._key_indexes
        return self._register(PHONE, "phone")

    def _key_indexes(self) -> bytes:
        return key_index_list(
            self.identity,
            (device.key_index for device in self.account.devices.values() if device.number != PHONE),
            current=self.account.last_key_index,
            now=self._board.now,
            random=self._random,
        )

    def _register(self, number: int, platform: str, key_index: int = 0) -> Device:
        keys = self._endpoint.keys
        device = Device(
            account=self.account,
            number=number,
            identity=keys.identity.public,
            registration_id=keys.registration_id,
            signed_prekey=keys.signed_prekey,
            key_index=key_index,
            linked_at=self._board.now,
            platform=platform,
        )
        self.account.devices[number] = device
        self._top_up(device)
        return device

    def _top_up(self, device: Device) -> None:
        device.prekeys |= self._endpoint.keys.new_prekeys(PREKEYS, self._random)
        self._board.audit.prekeys_uploaded(device, PREKEYS)

    # -- its owner ---------------------------------------------------------------------------------------

    @property
    def online(self) -> bool:
        return self._board.is_online(self.device)

    def messages(self) -> list[Received]:
        """What its owner can read, in the order in which it could first be read. What they wrote themselves,
        on another device, is not among it."""
        return self._inbox.messages()

    def from_own_devices(self) -> list[Received]:
        return self._inbox.from_own_devices()

    def waiting(self) -> list[Received]:
        """What is shown as "Waiting for this message"."""
        return self._inbox.waiting()

    def sent(self) -> list[Sent]:
        return list(self._outbox.sent.values())

    def file(self, message_id: str) -> bytes:
        """The file of a message. Raises InvalidRequest."""
        return self._inbox.file(message_id)

    @property
    def timers(self) -> dict[str, Timer]:
        """Of its chats, by number."""
        return self._inbox.timers

    @property
    def identity(self) -> KeyPair:
        """The account key: what vouches for companions."""
        return self._endpoint.keys.identity

    def scan(self, qr: QrCode, key_index: int) -> Voucher:
        """Vouch for the companion whose code was scanned."""
        return vouch(
            self._endpoint.keys.identity,
            qr,
            key_index=key_index,
            raw_id=int.from_bytes(self._random(4), "big"),
            now=self._board.now,
            random=self._random,
        )

    def write(self, to: Account | Group, text: str, *, quote: str | None = None) -> Sent:
        """Send a text to every device of `to`, or of a group's members, and to the own companions. Raises
        InvalidRequest."""
        if not text:
            raise InvalidRequest("text must not be empty")
        message = Message()
        if quote is None:
            message.conversation = text
        else:
            message.extended_text.text = text
            message.extended_text.context_info.stanza_id = quote
            message.extended_text.context_info.participant = str(self._inbox.author_of(quote))
        return self.say(to, message, text)

    def say(self, to: Account | Group, message: Message, text: str = "") -> Sent:
        """Send a message of any kind, as `write` does. `text`: what is shown of it here."""
        if not self.online:
            raise InvalidRequest("the phone is offline; POST a fault of kind online first")
        message = with_timer(message, self._inbox.timer_of(to))
        if isinstance(to, Group) and self.account not in to.members:
            raise InvalidRequest("the phone's account isn't in this group")
        sent = self._outbox.add(to, message, text)
        self._board.submit(self.device, self._outbox.stanza(sent))
        if isinstance(to, Account) and to is not self.account and to.number not in self.account.trusts:
            self._board.trust(self.account, to)
        return sent

    def set_timer(self, to: Account, seconds: int) -> Sent:
        """The owner sets after how long messages in this chat disappear; 0: never."""
        timer = self.timers[to.number] = Timer(seconds, self._board.now)
        return self.say(to, change(timer))

    def read(self, message_id: str) -> None:
        """Its owner looks at a message. Raises InvalidRequest if there is none with this id to be read."""
        for entry in self.messages():
            if entry.id == message_id:
                self._read(entry)
                return
        raise InvalidRequest("no readable message with this id on this phone")

    def _read(self, entry: Received) -> None:
        if entry.sender is None or entry.read_at is not None:
            return
        entry.read_at = self._board.clock()
        attrs: dict[str, str | JID] = {
            "id": entry.id,
            "to": entry.sender.lid,
            "type": "read",
            "t": str(self._board.now),
        }
        if entry.group is not None:
            author = entry.sender.bare(entry.group.server).with_device(entry.sender_device)
            attrs |= {"to": entry.group.jid, "participant": author}
        self._board.submit(self.device, Node("receipt", attrs))

    # -- faults ------------------------------------------------------------------------------------------

    def go_offline(self) -> None:
        self._board.disconnect(self.device, self)

    def go_online(self) -> None:
        if not self.online:
            self._board.connect(self.device, self)

    def reinstall(self) -> None:
        """New keys, no sessions, companions unlinked; contacts learn of the new identity. What the phone had
        received stays on record here."""
        was_online = self.online
        self.go_offline()
        self._endpoint.reinstall()
        self._group_keys.clear()
        mailbox = self.device.mailbox
        self.device = self._install()
        self.device.mailbox = mailbox
        self._tries.clear()
        self._board.identity_changed(self.account)
        if was_online:
            self.go_online()

    def sessions_with(self, contact: Account | None, device: int | None) -> list[Address]:
        """The sessions that a fault is aimed at; all if no contact is named."""
        return [
            peer
            for peer in self._endpoint.peers
            if (contact is None or peer.user == contact.lid_user) and device in (None, peer.device)
        ]

    def forget_sessions(self, contact: Account | None = None, device: int | None = None) -> int:
        peers = self.sessions_with(contact, device)
        for peer in peers:
            self._endpoint.forget_session(peer)
        return len(peers)

    def forget_sender_keys(self, contact: Account | None = None, device: int | None = None) -> int:
        return sum(self._group_keys.forget(peer) for peer in self.sessions_with(contact, device))

    def corrupt_sender_keys(self, contact: Account | None = None, device: int | None = None) -> int:
        return sum(self._group_keys.corrupt(peer) for peer in self.sessions_with(contact, device))

    def spoil_retry_keys(self, contact: Account | None = None, device: int | None = None) -> int:
        """The keys in its retry receipts bear a wrong signature from now on."""
        self._signs_keys = False
        return 0

    def corrupt_sessions(self, contact: Account | None = None, device: int | None = None) -> int:
        peers = self.sessions_with(contact, device)
        for peer in peers:
            self._endpoint.corrupt_session(peer)
        return len(peers)

    # -- its link to the switchboard ---------------------------------------------------------------------

    def send(self, stanza: Node) -> None:
        """A stanza arrives. What can't be understood is logged and acknowledged, or it would come again."""
        handler = HANDLERS.get(stanza.tag)
        if handler is None:
            return
        try:
            handler(self, stanza)
        except InvalidStanza as error:
            log.warning("phone %s: bad <%s>: %s", mask(self.account.number), stanza.tag, error.reason)
            self._acknowledge(stanza)

    def send_plain(self, plain: bytes, *, sealed: bool = True) -> None:
        self.send(decode(plain))

    def end(self, last: Node | None) -> None:
        """Phones are never thrown out."""

    def drop(self) -> None:
        """Nor is there a network between them and the server."""

    def _on_message(self, stanza: Node) -> None:
        sender = stanza.optional_jid("participant") or stanza.attr_jid("from")
        peer = self._outbox.address(sender)
        if stanza.optional_str("category") == "peer":
            self._on_control(stanza, sender, peer)
            return
        entry = self._inbox.entry(stanza, sender)
        encs = stanza.children("enc")
        if not encs:
            self._acknowledge(stanza)
            return
        for enc in encs:
            try:
                plaintext = self._decrypt(entry, peer, enc)
                understood = self._take_sender_key(entry, peer, plaintext)
            except Duplicate:
                self._inbox.show(entry)
            except SignalError as error:
                self._ask_again(stanza, peer, error, entry)
                return
            else:
                if understood:
                    self._inbox.understand(entry, plaintext)
        self._tries.pop((entry.id, peer), None)
        self._confirm(stanza, sender)
        if self.reads and not self._inbox.is_own(entry) and entry.text is not None:
            self._read(entry)

    def _on_control(self, stanza: Node, sender: JID, peer: Address) -> None:
        """A control message of a companion of ours, which is shown to nobody."""
        enc = stanza.require_child("enc")
        try:
            message = Message.FromString(self._endpoint.decrypt(peer, enc.attr_str("type"), enc.bytes()))
        except SignalError as error:
            entry = Received(stanza.attr_str("id"), self.account, sender.device, self.account.number)
            self._ask_again(stanza, peer, error, entry)
            return
        except ProtobufError:
            message = Message()
        self._confirm(stanza, sender)
        companion = self.account.devices.get(sender.device)
        if companion is not None and self._board.directory.account(sender) is self.account:
            for placeholder in message.protocol.peer_data_request.placeholders:
                self._give_on(companion, placeholder.key.id, stanza.attr_str("id"))

    def _give_on(self, companion: Device, message_id: str, request_id: str) -> None:
        """A message that the companion had no copy of."""
        for entry in self._inbox.readable():
            if entry.id == message_id and entry.sender is not None and entry.group is None:
                self._tell(companion, resent_placeholder(entry, entry.sender, request_id))

    def tell_history(
        self,
        companion: Device,
        chunk: HistorySync,
        *,
        by_reference: bool = False,
        kind: str = FIRST_HISTORY,
    ) -> None:
        """A piece of history for a companion: in the message itself, or left at the media host as phones with
        many chats do. `kind`: as the protocol calls it."""
        if by_reference:
            self._tell(companion, history_by_reference(chunk, kind, self._board.media, self._random))
        else:
            self._tell(companion, history(chunk, kind))

    def _tell(self, companion: Device, message: Message) -> None:
        """A control message to a companion of ours."""
        ciphertext = self._outbox.encrypted(companion, message.SerializeToString())
        if ciphertext is None:
            return
        attrs: dict[str, str | JID] = {
            "id": self._random(16).hex().upper(),
            "to": companion.lid,
            "type": "text",
            "category": "peer",
        }
        self._board.submit(self.device, Node("message", attrs, (enc_node(ciphertext, {}),)))

    def _decrypt(self, entry: Received, peer: Address, enc: Node) -> bytes:
        kind = enc.attr_str("type")
        if kind == "skmsg" and entry.group is not None:
            return self._group_keys.decrypt(entry.chat, peer, enc.bytes())
        return self._endpoint.decrypt(peer, kind, enc.bytes())

    def _take_sender_key(self, entry: Received, peer: Address, plaintext: bytes) -> bool:
        """Keep the sender key that came along; whether there is anything to be shown besides."""
        try:
            message = Message.FromString(plaintext)
        except ProtobufError:
            return True
        if message.HasField("device_sent"):
            message = message.device_sent.message
        if not message.HasField("sender_key_distribution"):
            return True
        key = message.sender_key_distribution
        if entry.group is not None and key.group_id == entry.chat:
            self._group_keys.process(entry.chat, peer, key.distribution)
        message.ClearField("sender_key_distribution")
        message.ClearField("message_context_info")
        return bool(message.ListFields())

    def _ask_again(self, stanza: Node, peer: Address, error: SignalError, entry: Received) -> None:
        """A retry receipt, with fresh keys from the second time on or where nothing else can help."""
        entry.failures.append(type(error).__name__)
        known = max((enc.optional_int("count") or 0 for enc in stanza.children("enc")), default=0)
        tries = max(self._tries[entry.id, peer], known) + 1
        self._tries[entry.id, peer] = tries
        self._board.events.add(
            "phone-retry",
            phone=self.account.number,
            device=self.device.number,
            id=entry.id,
            sender=entry.sender.number if entry.sender else None,
            error=type(error).__name__,
            count=tries,
        )
        if tries > MAX_RETRIES:
            self._acknowledge(stanza)
            return
        if tries >= 2:
            self._endpoint.archive_session(peer)
        keys = self._fresh_keys() if tries >= 2 or error.keys_at_once else None
        registration_id = self._endpoint.keys.registration_id
        receipt = retry_receipt(stanza, tries, error.retry_code, registration_id, keys)
        self._board.submit(self.device, receipt)
        self._acknowledge(stanza)

    def _fresh_keys(self) -> Node:
        """A bundle of its own, with a prekey never uploaded. A companion shows who vouches for it."""
        keys = self._endpoint.keys
        ((prekey_id, prekey),) = keys.new_prekeys(1, self._random).items()
        signature = keys.signed_prekey.signature if self._signs_keys else bytes(64)
        return offered_keys(keys, prekey_id, prekey, signature, self.device.device_identity)

    def _on_receipt(self, receipt: Node) -> None:
        self._acknowledge(receipt)
        if receipt.optional_str("type") != "retry":
            self._outbox.on_receipt(receipt)
        elif message := self._outbox.resend(receipt):
            self._board.submit(self.device, message)

    def _on_ack(self, ack: Node) -> None:
        self._outbox.on_ack(ack)

    def _on_notification(self, notification: Node) -> None:
        self._acknowledge(notification)
        if notification.child("count") is not None:
            self._top_up(self.device)
        elif notification.child("identity") is not None:
            contact = self._board.directory.account(notification.attr_jid("from"))
            for peer in self.sessions_with(contact, None) if contact else ():
                self._endpoint.archive_session(peer)
                self._group_keys.missed(peer)
        elif notification.optional_str("type") == "w:gp2" and any(
            notification.child(action) for action in ("remove", "leave")
        ):
            self._group_keys.rotate(str(notification.attr_jid("from")))

    def _acknowledge(self, stanza: Node) -> None:
        self._board.submit(self.device, acknowledgement(stanza))

    def _confirm(self, stanza: Node, sender: JID) -> None:
        is_own = self._board.directory.account(sender) is self.account
        self._board.submit(self.device, delivery_receipt(stanza, sender, self.account, is_own=is_own))


HANDLERS: dict[str, Callable[[Phone, Node], None]] = {
    "message": Phone._on_message,
    "receipt": Phone._on_receipt,
    "ack": Phone._on_ack,
    "notification": Phone._on_notification,
}
