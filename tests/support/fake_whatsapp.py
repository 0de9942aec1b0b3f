"""People with real Signal devices, and the connector that leads to them: WhatsApp, as the domain sees it.

`Network` stands where `ConnectorClient` does. It answers queries about people, hands each ciphertext to the
device it is for (which decrypts it with the real Signal code, or fails to), acknowledges,
and can be told to misbehave. Nothing of Tocsin is replaced but the socket.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tocsin.connector_client.errors import AckTimeout, DownloadFailed, IncarnationRefused, IqError
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.errors import Duplicate, SignalError
from tocsin.signal.padding import pad, unpad
from tocsin.signal.session import Ciphertext, decrypt, parse, send, start
from tocsin.signal.state import Record
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, LID, PN
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import text_message
from tocsin_whatsapp_server.pairing import device_identity, key_index_list

NOW = 1_800_000_000


def _field(data: bytes, wanted: int) -> bytes | None:
    """The last length-delimited field `wanted` of a protobuf, read by hand so that no parser is trusted."""
    position, found = 0, None
    while position < len(data):
        tag, position = _varint(data, position)
        if tag & 7 == 0:
            _, position = _varint(data, position)
            continue
        length, position = _varint(data, position)
        if tag >> 3 == wanted:
            found = data[position : position + length]
        position += length
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
        shift += 7


def text_of(message: bytes) -> str:
    """The text of a Message, our own copy's (deviceSentMessage) included."""
    wrapped = _field(message, 31)
    inner = (_field(wrapped, 2) or b"") if wrapped is not None else message
    return (_field(inner, 1) or b"").decode()


@dataclass
class Device:
    """One device of a person: its keys, and its session with the account under test.

    `vouched`: it shows a device identity, which the phone signed, or `vouched_by` in its place.
    """

    jid: JID
    identity: KeyPair = field(default_factory=lambda: key_pair(os.urandom(32)))
    signed: KeyPair = field(default_factory=lambda: key_pair(os.urandom(32)))
    registration_id: int = field(default_factory=lambda: 1 + int.from_bytes(os.urandom(2), "big") % 16000)
    prekeys: dict[int, KeyPair] = field(default_factory=dict)
    record: Record | None = None
    shown: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    plaintexts: list[bytes] = field(default_factory=list)
    keys_used: list[bytes] = field(default_factory=list)
    fresh_ids: Any = field(default_factory=lambda: itertools.count(1))
    vouched: bool = True
    vouched_by: KeyPair | None = None

    @property
    def local(self) -> Local:
        return Local(self.identity, self.registration_id, {1: self.signed})

    def bundle(self) -> PreKeyBundle:
        """A bundle with a one-time prekey that nobody had before."""
        number = next(self.fresh_ids)
        self.prekeys[number] = key_pair(os.urandom(32))
        signature = sign(self.identity.private, encode_point(self.signed.public), os.urandom(64))
        return PreKeyBundle(
            self.registration_id,
            self.identity.public,
            1,
            self.signed.public,
            signature,
            number,
            self.prekeys[number].public,
        )

    def receive(self, message_id: str, enc: Node) -> str | None:
        """Decrypt and show. Return the name of the error if that fails."""
        body = enc.bytes()
        try:
            message = parse(enc.attr_str("type"), body)
            prekey = self.prekeys.get(message.prekey_id or 0) if isinstance(message, PreKeyMessage) else None
            decryption = decrypt(
                self.record, message, self.local, prekey=prekey, ratchet=os.urandom(32), now=NOW
            )
        except Duplicate:
            return None
        except SignalError as error:
            self.failures.append(type(error).__name__)
            return type(error).__name__
        self.record = decryption.record
        if decryption.consumed_prekey is not None:
            self.prekeys.pop(decryption.consumed_prekey, None)
        self.plaintexts.append(unpad(decryption.plaintext))
        text = text_of(self.plaintexts[-1])
        if message_id not in [known for known, _ in self.shown]:
            self.shown.append((message_id, text))
        return None

    def encrypt(self, message: bytes) -> Ciphertext:
        """A message of this device, in its session."""
        self.record, ciphertext = send(self.record, local=self.local, plaintext=pad(message, b"\x03"))
        return ciphertext

    def begin(self, bundle: PreKeyBundle) -> None:
        """Found a session from a bundle of ours."""
        state = initiate(
            self.local, bundle, base=key_pair(os.urandom(32)), ratchet=key_pair(os.urandom(32)), now=NOW
        )
        self.record = start(self.record, state, NOW)

    # -- what goes wrong at the other side -----------------------------------------------------------

    def corrupt(self) -> None:
        """The session's keys are damaged: whatever comes is a bad MAC."""
        assert self.record is not None
        broken = tuple(
            replace(
                state,
                root_key=os.urandom(32),
                receiving=tuple(
                    replace(chain, chain_key=os.urandom(32), skipped=()) for chain in state.receiving
                ),
            )
            for state in self.record.states
        )
        self.record = replace(self.record, states=broken)

    def forget(self) -> None:
        """The session is gone: whatever comes without a bundle is no-session."""
        self.record = None

    def reinstall(self) -> None:
        """Everything is new: identity, registration id, prekeys."""
        fresh = Device(self.jid)
        self.identity, self.signed = fresh.identity, fresh.signed
        self.registration_id, self.prekeys, self.record = fresh.registration_id, {}, None


@dataclass
class Person:
    """Somebody with a number, a LID and devices.

    `unlinked`: companions that the phone doesn't count any more, though they are listed. `list_signed_by`:
    signs the list of those that count, in the phone's place.
    """

    phone: str
    lid: str
    devices: dict[int, Device]
    unlinked: set[int] = field(default_factory=set)
    list_signed_by: KeyPair | None = None

    @property
    def user(self) -> JID:
        return JID(self.lid, LID)

    @property
    def pn(self) -> JID:
        return JID(self.phone, PN)

    def counting(self) -> Node:
        """The phone's word on which companions count."""
        content = key_index_list(
            self.list_signed_by or self.devices[0].identity,
            self.devices.keys() - {0} - self.unlinked,
            current=max(self.devices),
            now=NOW,
            random=os.urandom,
        )
        return Node("key-index-list", {"ts": str(NOW)}, content)

    def vouching(self, device: Device) -> tuple[Node, ...]:
        """The `<device-identity>` that a device shows: none of the phone, of a companion one that the phone
        signed, or `device.vouched_by` in its place."""
        if device.jid.device == 0 or not device.vouched:
            return ()
        content = device_identity(
            device.vouched_by or self.devices[0].identity,
            device.identity,
            key_index=device.jid.device,
            now=NOW,
            random=os.urandom,
            hosted=device.jid.device == HOSTED_DEVICE,
        )
        return (Node("device-identity", {}, content),)


class Network:
    """The other end of the connector. Also the connector itself: `request`, `send_message`, `send`."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.messages: list[Node] = []
        self.written: list[Node] = []
        self.queries: list[str] = []
        self.uploads: list[tuple[str, bytes]] = []
        self.upload_error: Exception | None = None
        self.on_upload: Callable[[str, bytes], None] = lambda kind, blob: None
        self.retries: list[Node] = []
        self.refuse_with: list[int] = []
        # What the connector found out about a refusal, beside it.
        self.verdict: dict[str, str] = {}
        self.lose_acks = 0
        self.away: Exception | None = None
        self.incarnation: int | None = None
        self.extra_ack: dict[str, str] = {}
        self.bundle_errors: dict[JID, int] = {}
        self.usync_errors: dict[str, int] = {}
        self.unlisted: set[JID] = set()
        self.spoil_signatures = False
        self.prekeys_exhausted = False
        self.refuse_tokens: Exception | None = None
        self.issued: list[str] = []
        self.privacy = Node("privacy", {}, (Node("category", {"name": "readreceipts", "value": "all"}),))
        self.tell_numbers = False
        self.aliases: dict[str, str] = {}
        self.before_delivery: Callable[[Node], None] | None = None
        self._retry_counts: dict[tuple[JID, str], int] = {}
        self._keys_seen: Counter[tuple[JID, bytes, int]] = Counter()
        self._one_at_a_time = threading.RLock()

    def person(self, phone: str, lid: str, devices: int = 1) -> Person:
        """Somebody new, with a phone and `devices` − 1 companions."""
        jid = JID(lid, LID)
        made = Person(phone, lid, {number: Device(jid.with_device(number)) for number in range(devices)})
        self.people[lid] = made
        return made

    def forget_counts(self) -> None:
        """The devices lose their counters of retry receipts."""
        self._retry_counts.clear()

    def keys_used_twice(self) -> list[tuple[JID, bytes, int]]:
        """Message keys (device, ratchet key, index) under which more than one ciphertext came by."""
        return [key for key, number in self._keys_seen.items() if number > 1]

    def device(self, jid: JID) -> Device | None:
        by_phone = (person for person in self.people.values() if person.phone == jid.user)
        person = self.people.get(jid.user) or next(by_phone, None)
        return person.devices.get(jid.device) if person else None

    # -- the connector's three doors -------------------------------------------------------------------

    def request(self, profile: Any, node: Node, timeout: int = 30) -> Node:
        if self.away:
            raise self.away
        node = _over_the_wire(node)
        namespace = node.attr_str("xmlns")
        if namespace == "w:g2":
            raise IqError(403, "forbidden", None)
        if namespace == "privacy" and node.child("privacy") is not None:
            self.queries.append("privacy settings")
            return _over_the_wire(Node("iq", {"type": "result", "id": "1"}, (self.privacy,)))
        if namespace == "privacy":
            [token] = node.require_child("tokens").children("token")
            self.issued.append(f"privacy {token.attr_jid('jid')} {token.attr_str('t')}")
            if self.refuse_tokens:
                raise self.refuse_tokens
            return _over_the_wire(Node("iq", {"type": "result", "id": "1"}))
        answer = self._usync(node) if namespace == "usync" else self._bundles(node)
        return _over_the_wire(Node("iq", {"type": "result", "id": "1"}, (answer,)))

    def send_message(
        self,
        profile: Any,
        node: Node,
        *,
        resumed: bool = False,
        first_contact: bool = False,
        pace: str = "",
        timeout: int = 80,
    ) -> Node:
        if self.away:
            raise self.away
        if self.incarnation is not None and profile.incarnation != self.incarnation:
            raise IncarnationRefused(f"{profile.incarnation} isn't {self.incarnation}")
        node = _over_the_wire(node)
        self.messages.append(node)
        if self.refuse_with:
            return self._ack(node, {"error": str(self.refuse_with.pop(0)), **self.verdict})
        if self.before_delivery:
            self.before_delivery(node)
        with self._one_at_a_time:
            self._deliver(node)
        if self.lose_acks:
            self.lose_acks -= 1
            raise AckTimeout("no ack within 75 s")
        extra, self.extra_ack = self.extra_ack, {}
        return self._ack(node, extra)

    def send(self, profile: Any, node: Node) -> None:
        if self.away:
            raise self.away
        self.written.append(_over_the_wire(node))

    def upload(self, profile: Any, kind: str, blob: bytes) -> tuple[str, str]:
        if self.upload_error:
            raise self.upload_error
        self.on_upload(kind, blob)
        self.uploads.append((kind, blob))
        return f"https://media.test/{len(self.uploads)}", f"/v/{len(self.uploads)}?x=1"

    def download(self, profile: Any, direct_path: str, file_enc_sha256: bytes) -> bytes:
        raise DownloadFailed("there are no files here")

    # -- behind them -----------------------------------------------------------------------------------

    def _ack(self, node: Node, more: Mapping[str, str]) -> Node:
        attrs = {"class": "message", "id": node.attr_str("id"), "from": node.attr_jid("to"), "t": str(NOW)}
        return Node("ack", {**attrs, **more})

    def _deliver(self, node: Node) -> None:
        message_id = node.attr_str("id")
        participants = node.child("participants")
        if participants is None:
            pairs = [(node.attr_jid("to"), node.require_child("enc"))]
        else:
            pairs = [(to.attr_jid("jid"), to.require_child("enc")) for to in participants.children("to")]
        for jid, enc in pairs:
            message = parse(enc.attr_str("type"), enc.bytes())
            inner = message.message if isinstance(message, PreKeyMessage) else message
            self._keys_seen[jid, inner.ratchet_public, inner.counter] += 1
            device = self.device(jid)
            if device is None:
                continue
            error = device.receive(message_id, enc)
            if error:
                self.retries.append(self.retry_receipt(device, message_id, error))

    def retry_receipt(self, device: Device, message_id: str, error: str, **changes: Any) -> Node:
        """What `device` sends when it couldn't decrypt: with keys from the second time on."""
        count = self._retry_counts.get((device.jid, message_id), 0) + 1
        self._retry_counts[device.jid, message_id] = count
        codes = {"BadMac": 7, "NoSession": 1, "NoPreKey": 3} | changes.get("codes", {})
        children = [
            Node(
                "retry",
                {
                    "count": str(changes.get("count", count)),
                    "id": message_id,
                    "t": str(NOW),
                    "v": "1",
                    "error": str(codes.get(error, 0)),
                },
            ),
            Node("registration", {}, device.registration_id.to_bytes(4, "big")),
        ]
        if changes.get("with_keys", count >= 2):
            children.append(Node("keys", {}, self._keys(device)))
        person = self.people[device.jid.user]
        attrs = {
            "id": message_id,
            "from": changes.get("sender", device.jid),
            "type": "retry",
            "t": str(NOW),
            "sender_pn": person.pn,
        }
        return _over_the_wire(Node("receipt", attrs, tuple(children)))

    def _keys(self, device: Device) -> tuple[Node, ...]:
        bundle = device.bundle()
        signature = bytes(64) if self.spoil_signatures else bundle.signed_prekey_signature
        assert bundle.prekey_id is not None
        number, value = bundle.prekey_id.to_bytes(3, "big"), bundle.prekey
        one_time = Node("key", {}, (Node("id", {}, number), Node("value", {}, value)))
        return (
            Node("type", {}, b"\x05"),
            Node("identity", {}, bundle.identity),
            *(() if self.prekeys_exhausted else (one_time,)),
            Node(
                "skey",
                {},
                (
                    Node("id", {}, bundle.signed_prekey_id.to_bytes(3, "big")),
                    Node("value", {}, bundle.signed_prekey),
                    Node("signature", {}, signature),
                ),
            ),
            *self.people[device.jid.user].vouching(device),
        )

    def _bundles(self, node: Node) -> Node:
        users = []
        for user in node.require_child("key").children("user"):
            jid = user.attr_jid("jid")
            self.queries.append(f"bundle {jid}")
            device = self.device(jid)
            error = self.bundle_errors.get(jid, 0 if device else 404)
            if error or device is None:
                users.append(Node("user", {"jid": jid}, (Node("error", {"code": str(error), "text": "no"}),)))
                continue
            registration = Node("registration", {}, device.registration_id.to_bytes(4, "big"))
            users.append(Node("user", {"jid": jid, "t": str(NOW)}, (registration, *self._keys(device))))
        return Node("list", {}, tuple(users))

    def _usync(self, node: Node) -> Node:
        usync = node.require_child("usync")
        listed = usync.require_child("list").children("user")
        protocols = {child.tag for child in usync.require_child("query").children()}
        answer = self._contact if "contact" in protocols else self._device_list
        users = tuple(answer(user) for user in listed)
        refused = tuple(
            Node(protocol, {}, (Node("error", {"code": str(code), "text": "no"}),))
            for protocol, code in self.usync_errors.items()
            if protocol in protocols
        )
        return Node("usync", {}, (Node("result", {}, refused or None), Node("list", {}, users)))

    def _contact(self, user: Node) -> Node:
        text = user.require_child("contact").text()
        self.queries.append(f"contact {text}")
        typed = text.removeprefix("+")
        for person in self.people.values():
            if person.phone == self.aliases.get(typed, typed):
                known = Node("contact", {"type": "in"}, text.encode())
                return Node("user", {"jid": person.user, "pn_jid": person.pn}, (known,))
        return Node("user", {}, (Node("contact", {"type": "out"}, text.encode()),))

    def _device_list(self, user: Node) -> Node:
        jid = user.attr_jid("jid")
        self.queries.append(f"devices {jid}")
        person = self.people[jid.user]
        devices = tuple(
            Node(
                "device",
                {
                    "id": str(number),
                    **({"key-index": str(number)} if number else {}),
                    **({"is_hosted": "true"} if number == HOSTED_DEVICE else {}),
                },
            )
            for number in person.devices
            if jid.with_device(number) not in self.unlisted
        )
        number = {"pn_jid": person.pn} if self.tell_numbers else {}
        counting = (person.counting(),) if len(person.devices) > 1 else ()
        listed = Node("devices", {}, (Node("device-list", {}, devices), *counting))
        return Node("user", {"jid": jid, **number}, (listed,))


def _over_the_wire(node: Node) -> Node:
    """What arrives of a node: no test may pass on something that can't be encoded."""
    return decode(encode(node))


def message_from(device: Device, person: Person, stanza_id: str, text: str, **attrs: Any) -> Node:
    """A `<message>` of a person's device to the account under test."""
    ciphertext = device.encrypt(text_message(text))
    return wrapped(device, person, stanza_id, ciphertext, **attrs)


def wrapped(device: Device, person: Person, stanza_id: str, ciphertext: Ciphertext, **attrs: Any) -> Node:
    """The stanza around a ciphertext. `count` goes to the `enc`."""
    count = attrs.pop("count", None)
    enc = Node(
        "enc",
        {"v": "2", "type": ciphertext.type, **({"count": str(count)} if count else {})},
        ciphertext.body,
    )
    known = {
        "from": device.jid,
        "id": stanza_id,
        "type": "text",
        "t": str(NOW),
        "notify": "Siti",
        "sender_pn": person.pn,
    }
    shown = person.vouching(device) if ciphertext.type == "pkmsg" else ()
    return _over_the_wire(Node("message", {**known, **attrs}, (enc, *shown)))
