"""The check that no message key was ever used twice, and no one-time prekey handed out twice.

It looks at ciphertexts on their way through and shares no code with the clients that it judges: it reads the
two fields it needs by itself. A message key is named by sending device, receiving device, ratchet key and
counter; in groups by sending device, group, sender key id and iteration. Two different ciphertexts under one
name are one key used twice. The same bytes again are a resend.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tocsin_whatsapp_server.directory import Device

VERSION = 0x33
MAC_BYTES = 8
SIGNATURE_BYTES = 64


class Unreadable(ValueError):
    """The bytes aren't a Signal message; the receiver will say so too."""


@dataclass(frozen=True)
class MessageKey:
    """Names one message key: from a device (`number:device`) to another one, or to a group (its JID).

    `ratchet_key`: that of the chain; in groups the id of the sender key.
    """

    sender: str
    receiver: str
    ratchet_key: bytes = field(repr=False)
    counter: int


@dataclass
class Ledger:
    """Counts of one account."""

    stanzas_in: Counter[str] = field(default_factory=Counter)
    stanzas_out: Counter[str] = field(default_factory=Counter)
    ciphertexts: int = 0
    group_ciphertexts: int = 0
    unreadable: int = 0
    identical_resends: int = 0
    prekeys_uploaded: int = 0
    prekeys_handed_out: int = 0


class Audit:
    """What went through the server, per account (by number)."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}
        self._ciphertexts: dict[MessageKey, Counter[bytes]] = {}
        self._prekeys: Counter[tuple[str, int, bytes]] = Counter()

    def ledger(self, number: str) -> Ledger:
        ledger = self._ledgers.get(number)
        if ledger is None:
            ledger = self._ledgers[number] = Ledger()
        return ledger

    def stanza_in(self, device: Device, tag: str) -> None:
        self.ledger(device.account.number).stanzas_in[tag] += 1

    def stanza_out(self, device: Device, tag: str) -> None:
        self.ledger(device.account.number).stanzas_out[tag] += 1

    def ciphertext(self, sender: Device, receiver: str, kind: str, body: bytes) -> None:
        """Note one `msg` or `pkmsg` that `sender` handed over for the device `receiver` (`number:device`)."""
        ledger = self.ledger(sender.account.number)
        ledger.ciphertexts += 1
        try:
            inner = signal_message(kind, body)
            ratchet_key, counter = chain_position(inner)
        except Unreadable:
            ledger.unreadable += 1
            return
        self._note(ledger, MessageKey(str(sender), receiver, ratchet_key, counter), inner)

    def group_ciphertext(self, sender: Device, group: str, body: bytes) -> None:
        """Note one `skmsg` that `sender` handed over for a group (its JID)."""
        ledger = self.ledger(sender.account.number)
        ledger.ciphertexts += 1
        ledger.group_ciphertexts += 1
        try:
            signed, key_id, iteration = sender_key_position(body)
        except Unreadable:
            ledger.unreadable += 1
            return
        self._note(ledger, MessageKey(str(sender), group, key_id.to_bytes(5, "big"), iteration), signed)

    def _note(self, ledger: Ledger, key: MessageKey, ciphertext: bytes) -> None:
        seen, digest = self._ciphertexts.setdefault(key, Counter()), sha256(ciphertext).digest()
        if seen[digest]:
            ledger.identical_resends += 1
        seen[digest] += 1

    def prekeys_uploaded(self, device: Device, number: int) -> None:
        self.ledger(device.account.number).prekeys_uploaded += number

    def prekey_handed_out(self, device: Device, prekey_id: int, prekey: bytes) -> None:
        self.ledger(device.account.number).prekeys_handed_out += 1
        self._prekeys[str(device), prekey_id, prekey] += 1

    def reused_message_keys(self) -> list[MessageKey]:
        return [key for key, seen in self._ciphertexts.items() if len(seen) > 1]

    def prekeys_handed_out_twice(self) -> list[tuple[str, int]]:
        return [(device, prekey_id) for (device, prekey_id, _), times in self._prekeys.items() if times > 1]

    def report(self) -> dict[str, Any]:
        """The answer to GET /audit. Public keys are shortened; nothing here is secret."""
        reused, twice = self.reused_message_keys(), self.prekeys_handed_out_twice()
        accounts = {
            number: _account_report(
                ledger,
                [key for key in reused if key.sender.partition(":")[0] == number],
                [entry for entry in twice if entry[0].partition(":")[0] == number],
            )
            for number, ledger in self._ledgers.items()
        }
        return {
            "accounts": accounts,
            "ciphertexts": sum(ledger.ciphertexts for ledger in self._ledgers.values()),
            "message_keys_reused": len(reused),
            "prekeys_handed_out_twice": len(twice),
        }


def _account_report(ledger: Ledger, reused: list[MessageKey], twice: list[tuple[str, int]]) -> dict[str, Any]:
    return {
        "stanzas": {"in": dict(ledger.stanzas_in), "out": dict(ledger.stanzas_out)},
        "ciphertexts": ledger.ciphertexts,
        "group_ciphertexts": ledger.group_ciphertexts,
        "unreadable_ciphertexts": ledger.unreadable,
        "identical_resends": ledger.identical_resends,
        "message_keys_reused": [
            {
                "sender": key.sender,
                "receiver": key.receiver,
                "ratchet_key": key.ratchet_key.hex()[:16],
                "counter": key.counter,
            }
            for key in reused
        ],
        "prekeys_uploaded": ledger.prekeys_uploaded,
        "prekeys_handed_out": ledger.prekeys_handed_out,
        "prekeys_handed_out_twice": [
            {"device": device, "prekey_id": prekey_id} for device, prekey_id in twice
        ],
    }


def signal_message(kind: str, body: bytes) -> bytes:
    """The Signal message inside a ciphertext: a pkmsg carries one in field 4, a msg is one."""
    if kind == "msg":
        return body
    if kind != "pkmsg" or not body or body[0] != VERSION:
        raise Unreadable(kind)
    inner = protobuf_fields(body[1:]).get(4)
    if not isinstance(inner, bytes):
        raise Unreadable("no message inside")
    return inner


def chain_position(message: bytes) -> tuple[bytes, int]:
    """(ratchet key, counter) of a Signal message: version byte, protobuf, 8 bytes of MAC."""
    if len(message) <= 1 + MAC_BYTES or message[0] != VERSION:
        raise Unreadable("version")
    fields = protobuf_fields(message[1:-MAC_BYTES])
    ratchet_key, counter = fields.get(1), fields.get(2, 0)
    if not isinstance(ratchet_key, bytes) or not isinstance(counter, int):
        raise Unreadable("fields")
    return ratchet_key, counter


def sender_key_position(message: bytes) -> tuple[bytes, int, int]:
    """(what is signed, sender key id, iteration) of a group's message: version, protobuf, 64 bytes of
    signature. The signature is another one each time, the rest is not."""
    if len(message) <= 1 + SIGNATURE_BYTES or message[0] != VERSION:
        raise Unreadable("version")
    signed = message[:-SIGNATURE_BYTES]
    fields = protobuf_fields(signed[1:])
    key_id, iteration = fields.get(1, 0), fields.get(2, 0)
    if not isinstance(key_id, int) or not isinstance(iteration, int):
        raise Unreadable("fields")
    return signed, key_id, iteration


def protobuf_fields(data: bytes) -> dict[int, int | bytes]:
    """Top-level fields of a protobuf that has only varints and byte strings. Raises Unreadable."""
    fields: dict[int, int | bytes] = {}
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        value, position = _varint(data, position)
        if tag & 7 == 0:
            fields[tag >> 3] = value
        elif tag & 7 == 2 and position + value <= len(data):
            fields[tag >> 3] = data[position : position + value]
            position += value
        else:
            raise Unreadable("protobuf")
    return fields


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise Unreadable("varint")
