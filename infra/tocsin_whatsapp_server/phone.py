"""A simulated phone: device 0 of an account, a real Signal endpoint with somebody's thumbs.

It decrypts what it gets, answers with receipts, asks again for what it can't read, answers when it is asked
again, links companions, and can be broken in the ways in which phones break. It speaks through the
switchboard like any other device.
"""

from __future__ import annotations

import logging
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import KeyPair, encode_point, verify
from tocsin.signal.errors import Duplicate, SignalError
from tocsin.signal.sender_key import distribution
from tocsin.signal.session import Ciphertext
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp import media
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, LID, mask, phash
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import device_sent
from tocsin.whatsapp.proto.message_pb2 import (
    HistorySync,
    HistorySyncNotification,
    Message,
    WebMessageInfo,
)
from tocsin_whatsapp_server.directory import PHONE, Account, Device
from tocsin_whatsapp_server.display import EDIT_SECONDS, Shown, show
from tocsin_whatsapp_server.endpoint import Address, Endpoint
from tocsin_whatsapp_server.group_keys import GroupKeys
from tocsin_whatsapp_server.groups import Group
from tocsin_whatsapp_server.pairing import QrCode, Voucher, device_identity, key_index_list, vouch
from tocsin_whatsapp_server.passkey import Passkey
from tocsin_whatsapp_server.switchboard import Random, Switchboard
from tocsin_whatsapp_server.timers import Timer, carried, change, setting, warns, with_timer

if TYPE_CHECKING:
    from tocsin_whatsapp_server.passkey_gate import PasskeyGate

log = logging.getLogger(__name__)

PREKEYS = 30
PEER_DATA_RESPONSE, PLACEHOLDER_RESEND = 17, 4
HISTORY_SYNC, FIRST_HISTORY = 5, "INITIAL_BOOTSTRAP"
MAX_RETRIES = 5
"""So often a phone asks for one message, and so often it answers when it is asked."""


class InvalidRequest(ValueError):
    """The phone can't do what it was told; the text says why."""


@dataclass
class Received:
    """A message as the phone shows it. `at`: every time that it arrived, in seconds; a repeat isn't shown
    twice. `failures`: how often it couldn't be read; `text` is None until it can. `spent`: an edit,
    which another message shows now. `timer`: what it carries; `warns`: not that of the chat, which the reader
    is told below it."""

    id: str
    sender: Account | None
    sender_device: int
    chat: str
    text: str | None = None
    kind: str = "text"
    quoted_id: str | None = None
    at: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    read_at: float | None = None
    message: bytes = field(default=b"", repr=False)
    group: Group | None = None
    shown: Shown | None = None
    edited_at: float | None = None
    spent: bool = False
    timer: Timer | None = None
    warns: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "sender": self.sender.number if self.sender else None,
            "sender_name": self.sender.name if self.sender else None,
            "sender_device": self.sender_device,
            "chat": self.chat,
            "kind": self.kind,
            "text": self.text,
            "quoted_id": self.quoted_id,
            **(self.shown.as_json() if self.shown else {}),
            "edited": self.edited_at is not None,
            "time": round(self.at[0], 3) if self.at else None,
            "times_received": len(self.at),
            "received": [round(at, 3) for at in self.at],
            "failures": self.failures,
            "read": self.read_at is not None,
            **({"timer": {"seconds": self.timer.seconds, "at": self.timer.at}} if self.timer else {}),
            **({"warning": "won't disappear"} if self.warns else {}),
        }


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
        self.timers: dict[str, Timer] = {}
        """Of its chats, by number."""
        self.device = self._install()
        self._received: dict[tuple[str, str], Received] = {}
        self._sent: dict[str, Sent] = {}
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
        return [entry for entry in self._readable() if not self._is_own(entry)]

    def from_own_devices(self) -> list[Received]:
        return [entry for entry in self._readable() if self._is_own(entry)]

    def waiting(self) -> list[Received]:
        """What is shown as "Waiting for this message"."""
        return [entry for entry in self._received.values() if entry.text is None]

    def _readable(self) -> list[Received]:
        return [entry for entry in self._received.values() if entry.text is not None and not entry.spent]

    def sent(self) -> list[Sent]:
        return list(self._sent.values())

    def _is_own(self, entry: Received) -> bool:
        return entry.sender is self.account

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
            message.extended_text.context_info.participant = str(self._quoted_author(quote))
        return self.say(to, message, text)

    def say(self, to: Account | Group, message: Message, text: str = "") -> Sent:
        """Send a message of any kind, as `write` does. `text`: what is shown of it here."""
        if not self.online:
            raise InvalidRequest("the phone is offline; POST a fault of kind online first")
        message = with_timer(message, self._timer_of(to))
        if isinstance(to, Group) and self.account not in to.members:
            raise InvalidRequest("the phone's account isn't in this group")
        sent = Sent(
            id=self._random(16).hex().upper(),
            to=to,
            text=text,
            message=message.SerializeToString(),
            at=self._board.clock(),
        )
        self._sent[sent.id] = sent
        self._board.submit(self.device, self._message_stanza(sent))
        if isinstance(to, Account) and to is not self.account and to.number not in self.account.trusts:
            self._board.trust(self.account, to)
        return sent

    def set_timer(self, to: Account, seconds: int) -> Sent:
        """The owner sets after how long messages in this chat disappear; 0: never."""
        timer = self.timers[to.number] = Timer(seconds, self._board.now)
        return self.say(to, change(timer))

    def _timer_of(self, chat: Account | Group) -> Timer | None:
        if isinstance(chat, Group):
            return Timer(chat.expiration, 0) if chat.expiration else None
        return self.timers.get(chat.number)

    def _heed_timer(self, entry: Received, message: Message) -> None:
        """What a message says of its chat's timer, and whether it fits what the phone knows of that."""
        entry.timer = carried(message)
        told = setting(message) or entry.timer
        if entry.group is not None:
            known = self._timer_of(entry.group)
            # A group's is the server's to know, and not since when.
            fits = known is None or (entry.timer is not None and entry.timer.seconds == known.seconds)
            entry.warns = not fits and warns(message, known)
            return
        known = self.timers.get(entry.chat, Timer())
        if told is not None and told.at > known.at:
            self.timers[entry.chat] = told
            by = entry.sender.number if entry.sender else None
            self._board.events.add(
                "phone-timer", phone=self.account.number, chat=entry.chat, seconds=told.seconds, by=by
            )
            known = told
        entry.warns = warns(message, known)

    def _quoted_author(self, message_id: str) -> JID:
        for entry in self._received.values():
            if entry.id == message_id and entry.sender is not None:
                return entry.sender.lid
        if message_id in self._sent:
            return self.account.lid
        raise InvalidRequest("quote must be the id of a message on this phone")

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
        peer = self._address(sender)
        if stanza.optional_str("category") == "peer":
            self._on_control(stanza, sender, peer)
            return
        entry = self._entry(stanza, sender)
        encs = stanza.children("enc")
        if not encs:
            self._acknowledge(stanza)
            return
        for enc in encs:
            try:
                plaintext = self._decrypt(entry, peer, enc)
                understood = self._take_sender_key(entry, peer, plaintext)
            except Duplicate:
                self._show(entry)
            except SignalError as error:
                self._ask_again(stanza, peer, error, entry)
                return
            else:
                if understood:
                    self._understand(entry, plaintext)
        self._tries.pop((entry.id, peer), None)
        self._confirm(stanza, sender)
        if self.reads and not self._is_own(entry) and entry.text is not None:
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
        for entry in self._readable():
            if entry.id != message_id or entry.sender is None or entry.group is not None:
                continue
            info = WebMessageInfo(timestamp=int(entry.at[0]), push_name=entry.sender.name)
            info.key.remote_jid, info.key.id, info.key.from_me = str(entry.sender.lid), entry.id, False
            info.message.ParseFromString(entry.message)
            message = Message()
            message.protocol.type = PEER_DATA_RESPONSE
            response = message.protocol.peer_data_response
            response.type, response.stanza_id = PLACEHOLDER_RESEND, request_id
            response.results.add().placeholder.web_message_info = info.SerializeToString()
            self._tell(companion, message)

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
        packed = zlib.compress(chunk.SerializeToString())
        message = Message()
        message.protocol.type = HISTORY_SYNC
        told = message.protocol.history_sync_notification
        told.sync_type = HistorySyncNotification.Type.Value(kind)  # type: ignore[assignment]
        if by_reference:
            told.media_key = self._random(32)
            blob = media.encrypt(packed, media.HISTORY, told.media_key)
            told.file_sha256, told.file_enc_sha256 = blob.file_sha256, blob.file_enc_sha256
            told.file_length = len(packed)
            told.direct_path = self._board.media.keep(media.HISTORY, blob.blob)
        else:
            told.inline_payload = packed
        self._tell(companion, message)

    def _tell(self, companion: Device, message: Message) -> None:
        """A control message to a companion of ours."""
        ciphertext = self._encrypted(companion, message.SerializeToString())
        if ciphertext is None:
            return
        attrs: dict[str, str | JID] = {
            "id": self._random(16).hex().upper(),
            "to": companion.lid,
            "type": "text",
            "category": "peer",
        }
        self._board.submit(self.device, Node("message", attrs, (_enc(ciphertext, {}),)))

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

    def _entry(self, stanza: Node, sender: JID) -> Received:
        account = self._board.directory.account(sender)
        group = self._board.groups.find(stanza.attr_jid("from"))
        chat = stanza.optional_jid("recipient") or (group.jid if group else sender)
        other = self._board.directory.account(chat)
        key = (account.number if account else str(sender.bare), stanza.attr_str("id"))
        named = other.number if other else str(chat.bare)
        return self._received.setdefault(key, Received(key[1], account, sender.device, named, group=group))

    def _understand(self, entry: Received, plaintext: bytes) -> None:
        newest = next(reversed(self._received.values()))
        if entry.text is None and entry is not newest:
            # It becomes readable now, after others that were sent later.
            key = next(key for key, known in self._received.items() if known is entry)
            self._received[key] = self._received.pop(key)
        try:
            message = Message.FromString(plaintext)
        except ProtobufError:
            entry.kind, entry.text = "unreadable", ""
        else:
            entry.message = plaintext
            shown = show(
                message.device_sent.message if message.HasField("device_sent") else message, self._board.media
            )
            entry.kind, entry.text, entry.quoted_id = shown.kind, shown.text, shown.quoted_id
            entry.shown = shown
            self._heed_timer(entry, message)
            self._apply(entry)
        self._show(entry)

    def _apply(self, entry: Received) -> None:
        """An edit replaces what its sender wrote before; a reaction sticks to a message of the owner's."""
        if entry.kind == "reaction" and entry.sender is not None and entry.quoted_id in self._sent:
            self._sent[entry.quoted_id].reactions[entry.sender.number] = entry.text or ""
        if entry.kind != "edit" or entry.sender is None:
            return
        target = self._received.get((entry.sender.number, entry.quoted_id or ""))
        now = self._board.clock()
        if target is not None and target.at and now - target.at[0] <= EDIT_SECONDS:
            target.text, target.edited_at, entry.spent = entry.text, now, True

    def file(self, message_id: str) -> bytes:
        """The file of a message. Raises InvalidRequest."""
        for entry in self._received.values():
            if entry.id == message_id and entry.shown is not None and entry.shown.file is not None:
                return entry.shown.file
        raise InvalidRequest("no message with this id and a file that could be checked on this phone")

    def _show(self, entry: Received) -> None:
        entry.at.append(self._board.clock())
        self._board.events.add(
            "phone-message",
            phone=self.account.number,
            device=self.device.number,
            id=entry.id,
            sender=entry.sender.number if entry.sender else None,
            chat=entry.chat,
            text=entry.text,
            times_received=len(entry.at),
            failures=len(entry.failures),
        )

    def _confirm(self, stanza: Node, sender: JID) -> None:
        attrs: dict[str, str | JID] = {"id": stanza.attr_str("id"), "to": sender}
        recipient = stanza.optional_jid("recipient")
        if "participant" in stanza.attrs:
            attrs |= {"to": stanza.attr_jid("from"), "participant": sender}
            if self._board.directory.account(sender) is self.account:
                attrs["type"] = "sender"
        elif stanza.optional_str("category") == "peer":
            attrs |= {"to": self.account.bare(sender.server), "type": "peer_msg"}
        elif recipient is not None:
            attrs |= {"recipient": recipient, "type": "sender"}
        self._board.submit(self.device, Node("receipt", attrs))

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
        keys = tries >= 2 or error.keys_at_once
        if tries >= 2:
            self._endpoint.archive_session(peer)
        self._board.submit(self.device, self._retry_receipt(stanza, tries, error.retry_code, keys))
        self._acknowledge(stanza)

    def _retry_receipt(self, stanza: Node, count: int, code: int, with_keys: bool) -> Node:
        keys = self._endpoint.keys
        retry = {
            "count": str(count),
            "id": stanza.attr_str("id"),
            "t": stanza.attr_str("t"),
            "v": "1",
            "error": str(code),
        }
        children = [
            Node("retry", retry),
            Node("registration", {}, keys.registration_id.to_bytes(4, "big")),
        ]
        if with_keys:
            children.append(self._fresh_keys())
        attrs: dict[str, str | JID] = {
            "id": stanza.attr_str("id"),
            "to": stanza.attr_jid("from"),
            "type": "retry",
        }
        for kept in ("recipient", "participant"):
            if jid := stanza.optional_jid(kept):
                attrs[kept] = jid
        return Node("receipt", attrs, tuple(children))

    def _fresh_keys(self) -> Node:
        """A bundle of its own, with a prekey never uploaded. A companion shows who vouches for it."""
        keys = self._endpoint.keys
        ((prekey_id, prekey),) = keys.new_prekeys(1, self._random).items()
        signed = keys.signed_prekey
        signed_prekey = (
            Node("id", {}, signed.id.to_bytes(3, "big")),
            Node("value", {}, signed.public),
            Node("signature", {}, signed.signature if self._signs_keys else bytes(64)),
        )
        one_time = (Node("id", {}, prekey_id.to_bytes(3, "big")), Node("value", {}, prekey))
        return Node(
            "keys",
            {},
            (
                Node("type", {}, b"\x05"),
                Node("identity", {}, keys.identity.public),
                Node("key", {}, one_time),
                Node("skey", {}, signed_prekey),
                *self._vouching(),
            ),
        )

    def _vouching(self) -> tuple[Node, ...]:
        identity = self.device.device_identity
        return (Node("device-identity", {}, identity),) if identity is not None else ()

    def _on_receipt(self, receipt: Node) -> None:
        self._acknowledge(receipt)
        if receipt.optional_str("type") == "retry":
            self._resend(receipt)
            return
        kind = receipt.optional_str("type") or "delivered"
        kind = "delivered" if kind == "inactive" else kind
        reader = self._board.directory.device(receipt.optional_jid("participant") or receipt.attr_jid("from"))
        listed = receipt.child("list")
        items = listed.children("item") if listed else ()
        for message_id in (receipt.attr_str("id"), *(item.attr_str("id") for item in items)):
            sent = self._sent.get(message_id)
            if sent is not None:
                sent.receipts.setdefault(kind, []).append(str(reader) if reader else "unknown")

    def _resend(self, receipt: Node) -> None:
        """Somebody couldn't read a message of ours: a new session, and the same message again, to that one
        device under the same id."""
        requester = receipt.optional_jid("participant") or receipt.attr_jid("from")
        sent = self._sent.get(receipt.attr_str("id"))
        device = self._board.directory.device(requester)
        if sent is None or device is None:
            log.warning("phone %s: asked for a message that it never sent", mask(self.account.number))
            return
        peer = self._address(requester)
        if sent.resent[peer] >= MAX_RETRIES:
            return
        sent.resent[peer] += 1
        offered = receipt.child("keys")
        registration_id = int.from_bytes(receipt.require_child("registration").bytes(4), "big")
        try:
            bundle = _offered_bundle(offered, registration_id) if offered else self._bundle_of(device)
            self._endpoint.start_session(peer, bundle)
        except SignalError as error:
            log.warning("phone %s: bad keys in a retry receipt: %s", mask(self.account.number), error)
            return
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
            if device.account is self.account:
                attrs["recipient"] = sent.to.bare(requester.server)
        self._board.submit(self.device, Node("message", attrs, (_enc(ciphertext, {"count": count}),)))

    def _on_ack(self, ack: Node) -> None:
        sent = self._sent.get(ack.attr_str("id"))
        if sent is not None and ack.optional_str("class") == "message":
            sent.acked, sent.error = True, ack.optional_int("error")

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
        attrs: dict[str, str | JID] = {
            "class": stanza.tag,
            "id": stanza.attr_str("id"),
            "to": stanza.attr_jid("from"),
        }
        kind = stanza.optional_str("type")
        if kind is not None and stanza.tag != "message":
            attrs["type"] = kind
        if participant := stanza.optional_jid("participant"):
            attrs["participant"] = participant
        self._board.submit(self.device, Node("ack", attrs))

    # -- sessions and fan-out ----------------------------------------------------------------------------

    def _address(self, jid: JID) -> Address:
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

    def _message_stanza(self, sent: Sent) -> Node:
        """To every device of the recipient, and to the own companions as a device-sent message."""
        if isinstance(sent.to, Group):
            return self._group_message_stanza(sent, sent.to)
        devices = [*sent.to.devices.values(), *self.account.devices.values()]
        entries = [
            Node("to", {"jid": device.lid}, (_enc(ciphertext, {}),))
            for device in dict.fromkeys(devices)
            if device is not self.device
            and (ciphertext := self._encrypted(device, self._message_for(device, sent)))
        ]
        attrs: dict[str, str | JID] = {
            "id": sent.id,
            "to": sent.to.lid,
            "type": "text",
            "peer_recipient_pn": sent.to.pn,
        }
        return Node("message", attrs, (Node("participants", {}, tuple(entries)),))

    def _encrypted(self, device: Device, message: bytes) -> Ciphertext | None:
        """`message` for one device, in a session made now if there is none; None if none can be made."""
        peer = Address(device.account.lid_user, device.number)
        try:
            if not self._endpoint.has_session(peer):
                self._endpoint.start_session(peer, self._bundle_of(device))
            return self._endpoint.encrypt(peer, message)
        except SignalError as error:
            log.warning("phone %s: no session with a device: %s", mask(self.account.number), error)
            return None

    def _group_message_stanza(self, sent: Sent, group: Group) -> Node:
        """Once for everybody, and the sender key for each device that has it not."""
        own = self._group_keys.own(str(group.jid))
        key = self._with_sender_key(group)
        entries = []
        for device in group.devices:
            peer = Address(device.account.lid_user, device.number)
            if device is self.device or peer in own.holders:
                continue
            ciphertext = self._encrypted(device, key)
            if ciphertext is not None:
                own.holders.add(peer)
                entries.append(Node("to", {"jid": device.address(group.server)}, (_enc(ciphertext, {}),)))
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
            return device_sent(sent.to.jid, message) if device.account is self.account else message
        if device.account is not self.account:
            return sent.message
        copy = Message()
        copy.device_sent.destination_jid = str(sent.to.bare(LID))
        copy.device_sent.message.ParseFromString(sent.message)
        return copy.SerializeToString()


class Companion(Phone):
    """A companion that lives in this process like the phones: reads, confirms, asks again, breaks and heals.

    For crowds of devices without a client for each.
    """

    def __init__(
        self,
        account: Account,
        switchboard: Switchboard,
        *,
        reads: bool = False,
        hosted: bool = False,
        phone: KeyPair | None = None,
    ) -> None:
        """`hosted`: the one that Meta operates for a business. `phone`: the account key that vouches for it;
        None: nobody does."""
        self._hosted = hosted
        self._voucher = phone
        super().__init__(account, switchboard, reads=reads)

    def _install(self) -> Device:
        number, key_index = self.account.next_device()
        if self._hosted:
            device = self._register(HOSTED_DEVICE, "hosted", key_index)
        else:
            device = self._register(number, "tablet", key_index)
        if self._voucher is not None:
            device.device_identity = device_identity(
                self._voucher,
                self.identity,
                key_index=key_index,
                now=self._board.now,
                random=self._random,
                hosted=self._hosted,
            )
        self._board.linked(device)
        return device

    def write(self, to: Account | Group, text: str, *, quote: str | None = None) -> Sent:
        """Raises InvalidRequest: only phones write."""
        raise InvalidRequest("only the phone writes; leave the companion out")

    def reinstall(self) -> None:
        """Raises InvalidRequest: a companion is unlinked and linked anew."""
        raise InvalidRequest("a companion isn't reinstalled: unlink it and add another one")


def _enc(ciphertext: Ciphertext, more: Mapping[str, str]) -> Node:
    return Node("enc", {"v": "2", "type": ciphertext.type, **more}, ciphertext.body)


def _offered_bundle(keys: Node, registration_id: int) -> PreKeyBundle:
    """The `<keys>` of a retry receipt. Raises InvalidStanza, BadSignature."""
    skey, one_time = keys.require_child("skey"), keys.child("key")
    identity, signed_prekey = keys.require_child("identity").bytes(32), skey.require_child("value").bytes(32)
    signature = skey.require_child("signature").bytes(64)
    verify(identity, encode_point(signed_prekey), signature)
    return PreKeyBundle(
        registration_id=registration_id,
        identity=identity,
        signed_prekey_id=int.from_bytes(skey.require_child("id").bytes(3), "big"),
        signed_prekey=signed_prekey,
        signed_prekey_signature=signature,
        prekey_id=int.from_bytes(one_time.require_child("id").bytes(3), "big") if one_time else None,
        prekey=one_time.require_child("value").bytes(32) if one_time else None,
    )


HANDLERS: dict[str, Callable[[Phone, Node], None]] = {
    "message": Phone._on_message,
    "receipt": Phone._on_receipt,
    "ack": Phone._on_ack,
    "notification": Phone._on_notification,
}
