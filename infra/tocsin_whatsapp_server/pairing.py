"""Linking a companion, seen from the other side: the server offers refs, the phone scans one and vouches.

The phone's account key signs the companion's identity, keyed by the secret in the QR; the companion signs
back. Both signatures and the MAC are checked as strictly as the official clients do.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign, verify
from tocsin.signal.errors import SignalError
from tocsin.whatsapp.adv import ACCOUNT, ACCOUNT_HOSTED, DEVICE, DEVICE_HOSTED, KEY_INDEXES
from tocsin.whatsapp.jid import SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.pairing_pb2 import (
    E2EE,
    HOSTED,
    DeviceIdentity,
    KeyIndexList,
    SignedDeviceIdentity,
    SignedDeviceIdentityHmac,
    SignedKeyIndexList,
)
from tocsin.whatsapp.proto.payload_pb2 import ClientPayload, DeviceProps
from tocsin_whatsapp_server.directory import Device, SignedPreKey

Random = Callable[[int], bytes]

REFS = 6
VALID_SECONDS = 160
"""How long the six refs last together: the first 60 seconds, the others 20."""


class InvalidQr(ValueError):
    """The text isn't a linking QR code, or it isn't on a screen now. Show a fresh code and scan it."""


class InvalidRegistration(ValueError):
    """A client that wants to be paired says of itself what can't be right."""


class ReplyRefused(ValueError):
    """The companion's answer to pair-success fails a check; it isn't linked."""


@dataclass(frozen=True)
class QrCode:
    """What a phone reads from the screen. The real service never sees `adv_secret`."""

    ref: str
    noise_key: bytes
    identity: bytes
    adv_secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> QrCode:
        """Read both forms, with and without the web address in front. Raises InvalidQr."""
        parts = text.strip().rpartition("#")[2].split(",")
        if len(parts) < 4:
            raise InvalidQr("not a linking QR code: REF,NOISE,IDENTITY,SECRET is expected")
        try:
            noise_key, identity, adv_secret = (base64.b64decode(part, validate=True) for part in parts[1:4])
        except binascii.Error as error:
            raise InvalidQr("not a linking QR code: its keys aren't base64") from error
        if not len(noise_key) == len(identity) == len(adv_secret) == 32:
            raise InvalidQr("not a linking QR code: its keys don't have 32 bytes")
        return cls(parts[0], noise_key, identity, adv_secret)


@dataclass(frozen=True)
class Registration:
    """What an unpaired client offers in its payload, and the Noise key it proved to hold. `device_type`: in
    the numbering of DeviceProps."""

    noise_key: bytes
    identity: bytes
    registration_id: int
    signed_prekey: SignedPreKey
    platform: str
    device_type: int = 1

    @classmethod
    def parse(cls, payload: ClientPayload, noise_key: bytes) -> Registration:
        """Raises InvalidRegistration."""
        data = payload.device_pairing_data
        lengths = (
            len(data.registration_id),
            len(data.identity),
            len(data.signed_prekey_id),
            len(data.signed_prekey),
            len(data.signed_prekey_signature),
            len(data.build_hash),
        )
        if lengths != (4, 32, 3, 32, 64, 16) or data.key_type != b"\x05":
            raise InvalidRegistration(f"lengths {lengths}, key type {data.key_type.hex()}")
        try:
            verify(data.identity, encode_point(data.signed_prekey), data.signed_prekey_signature)
        except SignalError as error:
            raise InvalidRegistration("the signed prekey isn't signed by the identity") from error
        props = DeviceProps.FromString(data.device_props)
        return cls(
            noise_key=noise_key,
            identity=data.identity,
            registration_id=int.from_bytes(data.registration_id, "big"),
            signed_prekey=SignedPreKey(
                int.from_bytes(data.signed_prekey_id, "big"),
                data.signed_prekey,
                data.signed_prekey_signature,
            ),
            platform=props.os,
            device_type=props.platform_type,
        )


@dataclass(frozen=True)
class Voucher:
    """A phone's word for a companion. `details` is what both sides sign; `sealed` what the companion gets."""

    details: bytes
    account_key: bytes
    account_signature: bytes
    sealed: bytes
    key_index: int


def new_refs(random: Random = os.urandom) -> tuple[str, ...]:
    """Six refs of 44 characters, as the service offers them."""
    return tuple(base64.b64encode(random(32)).decode() for _ in range(REFS))


def offer(refs: tuple[str, ...], identity: str) -> Node:
    children = tuple(Node("ref", {}, ref.encode()) for ref in refs)
    return Node(
        "iq",
        {"from": SERVER, "type": "set", "id": identity, "xmlns": "md"},
        (Node("pair-device", {}, children),),
    )


def vouch(
    account_key: KeyPair, qr: QrCode, *, key_index: int, raw_id: int, now: int, random: Random
) -> Voucher:
    """What the phone makes of a scanned code: the signed identity, and its MAC under the code's secret."""
    details = DeviceIdentity(raw_id=raw_id, timestamp=now, key_index=key_index).SerializeToString()
    signature = sign(account_key.private, ACCOUNT + details + qr.identity, random(64))
    signed = SignedDeviceIdentity(
        details=details, account_signature_key=account_key.public, account_signature=signature
    ).SerializeToString()
    mac = hmac.digest(qr.adv_secret, signed, sha256)
    sealed = SignedDeviceIdentityHmac(details=signed, hmac=mac).SerializeToString()
    return Voucher(details, account_key.public, signature, sealed, key_index)


def device_identity(
    phone: KeyPair, companion: KeyPair, *, key_index: int, now: int, random: Random, hosted: bool = False
) -> bytes:
    """What a linked companion shows to others: the phone's signature and its own, without the ceremony.

    `hosted`: of the device that Meta operates for a business, with the prefixes of such.
    """
    kind = HOSTED if hosted else E2EE
    details = DeviceIdentity(
        raw_id=1, timestamp=now, key_index=key_index, account_type=kind, device_type=kind
    ).SerializeToString()
    statement = details + companion.public
    account, device = (ACCOUNT_HOSTED, DEVICE_HOSTED) if hosted else (ACCOUNT, DEVICE)
    return SignedDeviceIdentity(
        details=details,
        account_signature_key=phone.public,
        account_signature=sign(phone.private, account + statement, random(64)),
        device_signature=sign(companion.private, device + statement + phone.public, random(64)),
    ).SerializeToString()


def foreign_identity(companion: bytes) -> bytes:
    """What a companion with this identity (32 bytes) might show that a phone of nobody's linked."""
    phone = key_pair(bytes(range(32)))
    details = DeviceIdentity(raw_id=1, key_index=1).SerializeToString()
    signature = sign(phone.private, ACCOUNT + details + companion, bytes(64))
    return SignedDeviceIdentity(
        details=details, account_signature_key=phone.public, account_signature=signature
    ).SerializeToString()


def key_index_list(
    phone: KeyPair, indexes: Iterable[int], *, current: int, now: int, random: Random
) -> bytes:
    """The phone's word on which of its companions count. `current`: the newest key index it ever gave out."""
    details = KeyIndexList(
        raw_id=1, timestamp=now, current_index=current, valid_indexes=sorted(indexes)
    ).SerializeToString()
    signature = sign(phone.private, KEY_INDEXES + details, random(64))
    return SignedKeyIndexList(details=details, account_signature=signature).SerializeToString()


FORGERIES = ("hmac", "signature", "key")


def forged(voucher: Voucher, what: str, adv_secret: bytes) -> Voucher:
    """The voucher with one thing wrong in it. Raises ValueError for none of `FORGERIES`."""
    outer = SignedDeviceIdentityHmac.FromString(voucher.sealed)
    inner = SignedDeviceIdentity.FromString(outer.details)
    if what == "hmac":
        outer.hmac = bytes(32)
    elif what == "signature":
        inner.account_signature = bytes(64)
    elif what == "key":
        inner.account_signature_key = b"\x05" + voucher.account_key
    else:
        raise ValueError(f"forge-pairing: what is one of {', '.join(FORGERIES)}")
    if what != "hmac":
        outer.details = inner.SerializeToString()
        outer.hmac = hmac.digest(adv_secret, outer.details, sha256)
    return replace(voucher, sealed=outer.SerializeToString())


def pair_success(device: Device, voucher: Voucher, identity: str, now: int) -> Node:
    children: tuple[Node, ...] = (
        Node("device-identity", {}, voucher.sealed),
        Node("platform", {"name": "smba" if device.account.business else "android"}),
        Node("device", {"jid": device.pn, "lid": device.lid}),
    )
    if device.account.business:
        children = (*children, Node("biz", {"name": device.account.name}))
    return Node(
        "iq",
        {"from": SERVER, "type": "set", "id": identity, "xmlns": "md", "t": str(now)},
        (Node("pair-success", {}, children),),
    )


def verified_identity(reply: Node, voucher: Voucher, identity: bytes) -> bytes:
    """The companion's answer, checked: the identity that it will show to others, with both keys' signatures.

    Raises ReplyRefused if the companion reports an error, or if its answer isn't exactly what it should be.
    """
    if reply.optional_str("type") == "error":
        error = reply.child("error")
        said = f"{error.optional_str('code')} {error.optional_str('text')}" if error else "an error"
        raise ReplyRefused(f"the companion refuses to be linked: {said}")
    signing = reply.child("pair-device-sign")
    answer = signing.child("device-identity") if signing else None
    if answer is None or not isinstance(answer.content, bytes):
        raise ReplyRefused("the answer has no device identity")
    if answer.optional_str("key-index") != str(voucher.key_index):
        raise ReplyRefused("the answer has another key index")
    signed = SignedDeviceIdentity.FromString(answer.content)
    if signed.account_signature_key:
        raise ReplyRefused("the answer repeats the account key, which it should leave out")
    if signed.details != voucher.details or signed.account_signature != voucher.account_signature:
        raise ReplyRefused("the answer holds another identity than the phone vouched for")
    try:
        verify(
            identity,
            DEVICE + voucher.details + identity + voucher.account_key,
            signed.device_signature,
        )
    except SignalError as error:
        raise ReplyRefused("the device signature is wrong") from error
    signed.account_signature_key = voucher.account_key
    return signed.SerializeToString()
