"""The wire forms of Signal messages: a version byte, a few protobuf fields, and a trailer.

    msg      33 ‖ SignalMessage ‖ MAC (8)
    pkmsg    33 ‖ PreKeySignalMessage, with a whole msg inside
    skmsg    33 ‖ SenderKeyMessage ‖ signature (64)
    SKDM     33 ‖ SenderKeyDistributionMessage

The four protobufs are small and fixed, so they are written and read by hand: ascending, every field even if
0 (a peer that re-encodes before it checks the MAC would otherwise compute another one), except an absent
one-time prekey id. What arrives is kept as it came: `signed` holds the very bytes that a MAC or a signature
covers. Unknown fields are skipped, the last of a repeated field wins, absent numbers are 0, as protobuf says;
anything else that isn't exactly right raises InvalidMessage, and a malformed public key InvalidKey.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tocsin.signal.curve import decode_point
from tocsin.signal.errors import InvalidMessage

VERSION = 0x33
"""Session version 3, written as this and the lowest supported version in one byte."""

MAC_LENGTH = 8
SIGNATURE_LENGTH = 64
LARGEST_MESSAGE = 2**24
"""Bytes. Nothing longer fits into one frame of the transport."""

_UINT32_MAX = 2**32 - 1
LAST_INDEX = _UINT32_MAX - 1
"""Of a message in its chain: the index after it must fit into 32 bits, too, on the wire and where it is
stored. An honest chain is never so long, for each message is a step."""

# Protobuf tags: field number · 8 + wire type (0 varint, 2 bytes).
_VARINT_1, _VARINT_2, _VARINT_3, _VARINT_5, _VARINT_6 = 0x08, 0x10, 0x18, 0x28, 0x30
_BYTES_1, _BYTES_2, _BYTES_3, _BYTES_4 = 0x0A, 0x12, 0x1A, 0x22

# Of the two wire types read, a varint's value is an int, the other's bytes: the tag tells which.
_Fields = dict[int, Any]


class SignalMessage(NamedTuple):
    """One `msg`. `ratchet_public`: 32 bytes. `signed`: version byte and protobuf as received."""

    ratchet_public: bytes
    counter: int
    previous_counter: int
    ciphertext: bytes
    signed: bytes
    mac: bytes


class PreKeyMessage(NamedTuple):
    """One `pkmsg`: how the session was made, and the first messages under it. Public keys of 32 bytes.

    None of the outer fields is authenticated by itself; `registration_id` not even by the inner MAC.
    """

    prekey_id: int | None
    signed_prekey_id: int
    base_key: bytes
    identity: bytes
    registration_id: int
    message: SignalMessage


class SenderKeyMessage(NamedTuple):
    """One `skmsg`. `signed`: everything before the signature, as received."""

    key_id: int
    iteration: int
    ciphertext: bytes
    signed: bytes
    signature: bytes


class SenderKeyDistribution(NamedTuple):
    """What lets its holder read a sender's group messages from `iteration` on."""

    key_id: int
    iteration: int
    chain_key: bytes
    signing_public: bytes

    def __repr__(self) -> str:
        return f"SenderKeyDistribution(key_id={self.key_id}, iteration={self.iteration})"


def encode_signal_message(
    ratchet_public: bytes, counter: int, previous_counter: int, ciphertext: bytes
) -> bytes:
    """Version byte and protobuf, to which the MAC is to be appended."""
    return b"".join(
        (
            b"\x33\x0a\x21\x05",
            ratchet_public,
            b"\x10",
            varint(counter),
            b"\x18",
            varint(previous_counter),
            b"\x22",
            varint(len(ciphertext)),
            ciphertext,
        )
    )


def parse_signal_message(body: bytes) -> SignalMessage:
    """Read a `msg`. Raises InvalidMessage, InvalidKey. The MAC isn't checked here: that takes a session."""
    signed = body[:-MAC_LENGTH]
    fields = _frame_fields(signed, body)
    return SignalMessage(
        decode_point(_required(fields, _BYTES_1)),
        _index(fields, _VARINT_2),
        _uint32(fields, _VARINT_3),
        _required(fields, _BYTES_4),
        signed,
        body[-MAC_LENGTH:],
    )


def encode_prekey_message(
    prekey_id: int | None,
    base_key: bytes,
    identity: bytes,
    message: bytes,
    registration_id: int,
    signed_prekey_id: int,
) -> bytes:
    """A whole `pkmsg`; `message` is the `msg` inside it, MAC included."""
    return b"".join(
        (
            b"\x33" if prekey_id is None else b"\x33\x08" + varint(prekey_id),
            b"\x12\x21\x05",
            base_key,
            b"\x1a\x21\x05",
            identity,
            b"\x22",
            varint(len(message)),
            message,
            b"\x28",
            varint(registration_id),
            b"\x30",
            varint(signed_prekey_id),
        )
    )


def parse_prekey_message(body: bytes) -> PreKeyMessage:
    """Read a `pkmsg` and the `msg` inside it. Raises InvalidMessage, InvalidKey.

    A one-time prekey id of 0 means that there is none, as it does to every other implementation. The base
    key loses its top bit, which agreements ignore and nothing authenticates: with that bit set, a replayed
    first message would else pass for one of a new session.
    """
    fields = _frame_fields(body, body)
    if _VARINT_6 not in fields:
        raise InvalidMessage("a required field is absent")
    base_key = decode_point(_required(fields, _BYTES_2))
    return PreKeyMessage(
        _uint32(fields, _VARINT_1) or None,
        _uint32(fields, _VARINT_6),
        base_key[:31] + bytes((base_key[31] & 0x7F,)),
        decode_point(_required(fields, _BYTES_3)),
        _uint32(fields, _VARINT_5),
        parse_signal_message(_required(fields, _BYTES_4)),
    )


def encode_sender_key_message(key_id: int, iteration: int, ciphertext: bytes) -> bytes:
    """Version byte and protobuf, to which the signature is to be appended."""
    return b"".join(
        (
            b"\x33\x08",
            varint(key_id),
            b"\x10",
            varint(iteration),
            b"\x1a",
            varint(len(ciphertext)),
            ciphertext,
        )
    )


def parse_sender_key_message(body: bytes) -> SenderKeyMessage:
    """Read a `skmsg`. Raises InvalidMessage. The signature isn't checked here."""
    signed = body[:-SIGNATURE_LENGTH]
    fields = _frame_fields(signed, body)
    return SenderKeyMessage(
        _uint32(fields, _VARINT_1),
        _index(fields, _VARINT_2),
        _required(fields, _BYTES_3),
        signed,
        body[-SIGNATURE_LENGTH:],
    )


def encode_distribution(distribution: SenderKeyDistribution) -> bytes:
    return b"".join(
        (
            b"\x33\x08",
            varint(distribution.key_id),
            b"\x10",
            varint(distribution.iteration),
            b"\x1a\x20",
            distribution.chain_key,
            b"\x22\x21\x05",
            distribution.signing_public,
        )
    )


def parse_distribution(body: bytes) -> SenderKeyDistribution:
    """Read a SenderKeyDistributionMessage. Raises InvalidMessage, InvalidKey."""
    fields = _frame_fields(body, body)
    chain_key = _required(fields, _BYTES_3)
    if len(chain_key) != 32:
        raise InvalidMessage("a chain key has 32 bytes")
    return SenderKeyDistribution(
        _uint32(fields, _VARINT_1),
        _index(fields, _VARINT_2),
        chain_key,
        decode_point(_required(fields, _BYTES_4)),
    )


def varint(value: int) -> bytes:
    """Protobuf's variable-length integer: seven bits a byte, lowest first. `value`: 0 or more."""
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = tuple(bytes((value,)) for value in range(0x80))


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The integer at `at` and the place behind it. IndexError past the end, InvalidMessage past 64 bits."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 2**64:
                break
            return value, at
        shift += 7
        if shift > 63:
            break
    raise InvalidMessage("an integer of more than 64 bits")


def _frame_fields(signed: bytes, body: bytes) -> _Fields:
    if not signed or len(body) > LARGEST_MESSAGE:
        raise InvalidMessage("too short or too long for a message")
    if signed[0] != VERSION:
        raise InvalidMessage("another protocol version")
    try:
        return _read_fields(signed)
    except IndexError:
        raise InvalidMessage("the message is cut") from None


def _read_fields(data: bytes) -> _Fields:
    """Tag → value of all fields behind the version byte, unknown ones too. IndexError if cut."""
    fields: _Fields = {}
    at, end = 1, len(data)
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(data, at - 1)
        if tag < 8:
            raise InvalidMessage("field number 0")
        kind = tag & 7
        if kind == 0 or kind == 2:
            value = data[at]
            at += 1
            if value >= 0x80:
                value, at = read_varint(data, at - 1)
            if kind == 0:
                fields[tag] = value
                continue
            length = value
        elif kind == 1:
            length = 8
        elif kind == 5:
            length = 4
        else:
            raise InvalidMessage("groups are not part of these messages")
        if length > end - at:
            raise InvalidMessage("the message is cut")
        fields[tag] = data[at : at + length]
        at += length
    return fields


def _required(fields: _Fields, tag: int) -> bytes:
    try:
        return fields[tag]  # type: ignore[no-any-return]
    except KeyError:
        raise InvalidMessage("a required field is absent") from None


def _uint32(fields: _Fields, tag: int) -> int:
    value: int = fields.get(tag, 0)
    if value > _UINT32_MAX:
        raise InvalidMessage("an integer of more than 32 bits")
    return value


def _index(fields: _Fields, tag: int) -> int:
    value = _uint32(fields, tag)
    if value > LAST_INDEX:
        raise InvalidMessage("an index that none can follow")
    return value
