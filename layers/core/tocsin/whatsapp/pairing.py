"""Pairing by QR: the text to show, and the checks on who vouches for the new device (ADV).

The phone's account key signs our identity key; our identity key signs back. Later each peer checks that chain
on the first message of a session.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import KeyPair, sign, verify
from tocsin.signal.errors import SignalError
from tocsin.whatsapp.adv import ACCOUNT, ACCOUNT_HOSTED, DEVICE, MAX_IDENTITY_BYTES
from tocsin.whatsapp.bounds import MAX_NAME
from tocsin.whatsapp.errors import InvalidStanza, PairingRefused
from tocsin.whatsapp.jid import JID, LID, PN, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.pairing_pb2 import (
    HOSTED,
    DeviceIdentity,
    SignedDeviceIdentity,
    SignedDeviceIdentityHmac,
)

CLIENT_TYPE: Final = "1"
"""Chrome, in the numbering of the QR text (another one than that of DeviceProps)."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What a successful pairing yields: to be stored in one transaction, before the reply is sent.

    `jid`, `lid`: our own device. `device_identity`: goes into each `<device-identity>` from now on.
    `account_key`: the phone's identity (32 bytes), to be pinned for device 0. `time`: server's, Unix seconds.
    """

    jid: JID
    lid: JID | None
    device_identity: bytes = field(repr=False)
    account_key: bytes = field(repr=False)
    adv_secret: bytes = field(repr=False)
    key_index: int
    platform: str
    business_name: str | None
    time: int | None
    reply: Node


def qr_text(
    ref: bytes, noise_public: bytes, identity_public: bytes, adv_secret: bytes, client_type: str = CLIENT_TYPE
) -> str:
    """The text of one QR code. `ref`: as the server gave it; the keys and the secret have 32 bytes each."""
    keys = (base64.b64encode(key).decode() for key in (noise_public, identity_public, adv_secret))
    return "https://wa.me/settings/linked_devices#" + ",".join((ref.decode(), *keys, client_type))


def verify_pair_success(node: Node, identity: KeyPair, adv_secret: bytes, entropy: bytes) -> Pairing:
    """Check a `<pair-success>` iq and sign our half. `entropy`: 64 random bytes for the signature.

    Raises `PairingRefused` with the code and text that the server is to be told.
    """
    try:
        success = node.require_child("pair-success")
        container = success.require_child("device-identity").bytes()
        if len(container) > MAX_IDENTITY_BYTES:
            raise InvalidStanza("a device identity of an impossible length")
        device = success.require_child("device")
        jid, lid = device.attr_jid("jid"), device.optional_jid("lid")
        platform = success.child("platform")
        business = success.child("biz")
        signed, key_index = accept_device_identity(container, identity, adv_secret, entropy)
        if jid.server != PN or not jid.user.isdecimal() or not jid.device:
            raise InvalidStanza("own JID is no companion of a phone number")
        if lid is not None and lid.server != LID:
            raise InvalidStanza("own LID is none")
        request_id = node.attr_label("id")
        name = business.optional_str("name") if business is not None else None
        shown = platform.optional_str("name") if platform is not None else None
        time = node.optional_int("t")
    except InvalidStanza as exc:
        raise PairingRefused(500, "internal-error", exc.reason) from exc
    return Pairing(
        jid=jid,
        lid=lid,
        device_identity=signed.SerializeToString(),
        account_key=signed.account_signature_key,
        adv_secret=adv_secret,
        key_index=key_index,
        platform=(shown or "")[:MAX_NAME],
        business_name=name[:MAX_NAME] if name is not None else None,
        time=time,
        reply=_reply(request_id, signed, key_index),
    )


def accept_device_identity(
    container: bytes, identity: KeyPair, adv_secret: bytes, entropy: bytes
) -> tuple[SignedDeviceIdentity, int]:
    """The device identity in `container` with our signature added, and its key index.

    Raises `PairingRefused`: 500 unreadable, 401 hmac-mismatch or signature-mismatch.
    """
    try:
        outer = SignedDeviceIdentityHmac.FromString(container)
        prefix = ACCOUNT_HOSTED if outer.account_type == HOSTED else b""
        if not hmac.compare_digest(hmac.digest(adv_secret, prefix + outer.details, "sha256"), outer.hmac):
            raise PairingRefused(401, "hmac-mismatch")
        signed = SignedDeviceIdentity.FromString(outer.details)
        details = DeviceIdentity.FromString(signed.details)
    except ProtobufError as exc:
        raise PairingRefused(500, "internal-error", "device identity can't be read") from exc
    try:
        _verify_account(signed, details, identity.public)
    except SignalError as exc:
        raise PairingRefused(401, "signature-mismatch") from exc
    text = DEVICE + signed.details + identity.public + signed.account_signature_key
    signed.device_signature = sign(identity.private, text, entropy)
    return signed, details.key_index


def account_key_of(device_identity: bytes) -> bytes:
    """The account key (32 bytes) in our own device identity: what our phone is known by since the pairing.

    Raises `InvalidStanza`.
    """
    try:
        return SignedDeviceIdentity.FromString(device_identity).account_signature_key
    except ProtobufError as exc:
        raise InvalidStanza("device identity can't be read") from exc


def _verify_account(signed: SignedDeviceIdentity, details: DeviceIdentity, identity_public: bytes) -> None:
    prefix = ACCOUNT_HOSTED if details.device_type == HOSTED else ACCOUNT
    verify(signed.account_signature_key, prefix + signed.details + identity_public, signed.account_signature)


def _reply(request_id: str, signed: SignedDeviceIdentity, key_index: int) -> Node:
    """The signed identity goes back without the account's key, which the server has."""
    sent = SignedDeviceIdentity()
    sent.CopyFrom(signed)
    sent.ClearField("account_signature_key")
    identity = Node("device-identity", {"key-index": str(key_index)}, sent.SerializeToString())
    return Node(
        "iq",
        {"to": SERVER, "type": "result", "id": request_id},
        (Node("pair-device-sign", {}, (identity,)),),
    )


def refusal(node: Node, refused: PairingRefused) -> Node:
    """What the server is told of a pairing that failed its checks."""
    error = Node("error", {"code": str(refused.code), "text": refused.text})
    return Node("iq", {"to": SERVER, "type": "error", "id": node.optional_str("id") or ""}, (error,))
