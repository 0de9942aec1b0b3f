"""Linking with a passkey: the options of the server, the derivations, and the stanzas. All functions are
pure.

A phone under the passkey gate lets a companion in only after a browser has signed the server's challenge with
the account's passkey. Companion and phone then agree on a key: the companion commits itself to a nonce, the
phone answers with a key and a nonce of its own, and only then sees the companion's. So 40 bits of code are
enough to tell whether somebody stands between them. WhatsApp's own names for the two halves are *Shortcake*
and *CRSC*; the state machine is `ceremony`, the operator's paste is checked in `assertion`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError as ProtobufError

from tocsin.nesting import nested_too_deep
from tocsin.signal.curve import KeyPair, agree
from tocsin.signal.errors import InvalidKey
from tocsin.signal.kdf import hkdf
from tocsin.whatsapp import iq, link_code
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.passkey_pb2 import (
    CompanionEphemeralIdentity,
    EncryptedPairingRequest,
    PairingRequest,
    PrimaryEphemeralIdentity,
    ProloguePayload,
)
from tocsin.whatsapp.proto.payload_pb2 import DeviceProps

PROLOGUE_REQUEST: Final = "passkey_prologue_request"
CONTINUATION: Final = "crsc_continuation"
OPTIONS: Final = "passkey_request_options"

RP_ID: Final = "whatsapp.com"
"""Whose passkey it is. A browser uses it on that domain and its subdomains only."""

MAX_OPTIONS_BYTES: Final = 16_384
"""Some 210 are usual. A page of text is no challenge."""

MAX_NESTED: Final = 32
"""Two are usual. What passes here is written as JSON again, and that mustn't depend on the stack."""

CHALLENGE_BYTES: Final = range(16, 65)
"""32 are usual; WebAuthn asks for 16 at least."""

CHALLENGE_SECONDS: Final = 600.0
"""How long a challenge counts, whatever more the options promise."""

MAX_REF_BYTES: Final = 512

DEVICE_TYPE: Final = int(DeviceProps.CHROME)
"""What our registration says of us (`payload`), in the numbering of DeviceProps."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the browser is asked to sign. `members`: the parsed options, those that we don't know included.
    `seconds`: how long the challenge counts from its arrival."""

    challenge: bytes = field(repr=False)
    seconds: float
    members: Mapping[str, Any] = field(repr=False)

    def ascii_json(self) -> str:
        """The options as JSON that may stand in JavaScript and in a page: pure ASCII, without `<`."""
        text = json.dumps(self.members, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c").replace("\x7f", "\\u007f")


def parse_options(content: bytes) -> Options:
    """The options of `<passkey_request_options>`. Raises `InvalidStanza`.

    They are code as soon as an operator pastes them, so nothing passes that isn't JSON through and through.
    """
    if len(content) > MAX_OPTIONS_BYTES:
        raise InvalidStanza("passkey options of an impossible length")
    try:
        members = json.loads(content.decode(), parse_constant=_no_constant)
        if nested_too_deep(members, MAX_NESTED):
            raise ValueError("nested too deep")
        json.dumps(members, allow_nan=False)  # what Python reads and JSON can't write: 1e999 becomes infinite
    except (ValueError, RecursionError) as exc:
        raise InvalidStanza("passkey options can't be read") from exc
    if not isinstance(members, dict):
        raise InvalidStanza("passkey options are no object")
    if members.get("rpId") != RP_ID:
        raise InvalidStanza("passkey options for somebody else's passkey")
    challenge = _challenge(members.get("challenge"))
    return Options(challenge, _seconds(members.get("timeout")), members)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _challenge(text: object) -> bytes:
    try:
        challenge = from_base64(text)
    except ValueError as exc:
        raise InvalidStanza("passkey options without a challenge that can be read") from exc
    if len(challenge) not in CHALLENGE_BYTES:
        raise InvalidStanza("a challenge of an impossible length")
    return challenge


def _seconds(timeout: object) -> float:
    """`timeout` is in milliseconds; one that makes no sense counts as not given."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout < 1000:
        return CHALLENGE_SECONDS
    return min(timeout, CHALLENGE_SECONDS * 1000) / 1000


def from_base64(text: object) -> bytes:
    """Bytes of base64 in the standard or the url alphabet, padded or not. Raises ValueError."""
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("no base64 text")
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as exc:
        raise ValueError("no base64 text") from exc


def to_base64url(content: bytes) -> str:
    """Without padding, as WebAuthn writes it."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


# Derivations


def handoff_key(adv_secret: bytes) -> bytes:
    """What proves to the phone that we also showed the code that it scanned. `adv_secret`: of that code."""
    return hkdf(adv_secret, 32, salt=bytes(32), info=b"shortcake-passkey-handoff-v1")


def handoff_proof(key: bytes, prologue: bytes) -> bytes:
    return hmac.digest(key, prologue, "sha256")


@dataclass(frozen=True, slots=True)
class Prologue:
    """Our half of the agreement. `payload` goes to the phone at once, `nonce` only after its answer."""

    ephemeral: KeyPair = field(repr=False)
    nonce: bytes = field(repr=False)
    ref: str = field(repr=False)
    device_type: int
    payload: bytes = field(repr=False)


def prologue(ephemeral: KeyPair, nonce: bytes, ref: str, device_type: int = DEVICE_TYPE) -> Prologue:
    """`nonce`: 32 random bytes; `ref`: as the server gave it."""
    identity = CompanionEphemeralIdentity(
        public_key=ephemeral.public, device_type=device_type, ref=ref
    ).SerializeToString()
    payload = ProloguePayload(companion_ephemeral_identity=identity)
    payload.commitment.hash = hashlib.sha256(identity + nonce).digest()
    return Prologue(ephemeral, nonce, ref, device_type, payload.SerializeToString())


@dataclass(frozen=True, slots=True)
class Primary:
    """The phone's half: an ephemeral key and a nonce, 32 bytes each."""

    public_key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)


def parse_primary(content: bytes) -> Primary:
    """Read `<primary_ephemeral_identity>`. Raises `InvalidStanza`: don't send our nonce then."""
    try:
        read = PrimaryEphemeralIdentity.FromString(content)
    except ProtobufError as exc:
        raise InvalidStanza("the phone's half can't be read") from exc
    if (len(read.public_key), len(read.nonce)) != (32, 32):
        raise InvalidStanza("the phone's half has impossible lengths")
    return Primary(read.public_key, read.nonce)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides share. `code`: eight characters, the same on the phone if nobody stands between."""

    key: bytes = field(repr=False)
    code: str = field(repr=False)


def agreement(ours: Prologue, theirs: Primary) -> Agreement:
    """Raises `InvalidStanza` for a key of the phone of low order."""
    try:
        shared = agree(ours.ephemeral.private, theirs.public_key)
    except InvalidKey as exc:
        raise InvalidStanza("the phone's key is of low order") from exc
    key = hkdf(shared, 32, salt=encryption_salt(ours), info=b"Pairing Information Encryption Key")
    digest = hashlib.sha256(ours.nonce + theirs.public_key).digest()
    return Agreement(
        key, link_code.make_code(bytes(a ^ b for a, b in zip(theirs.nonce[:5], digest, strict=False)))
    )


def encryption_salt(ours: Prologue) -> bytes:
    return f"Companion Pairing {ours.device_type} with ref {ours.ref}".encode()


def encrypted_pairing_request(
    key: bytes, noise_public: bytes, identity_public: bytes, adv_secret: bytes, iv: bytes
) -> bytes:
    """Our keys and the secret of the pairing, for the phone alone. `iv`: 12 random bytes."""
    request = PairingRequest(
        companion_public_key=noise_public, companion_identity_key=identity_public, adv_secret=adv_secret
    )
    sealed = AESGCM(key).encrypt(iv, request.SerializeToString(), None)
    return EncryptedPairingRequest(encrypted_payload=sealed, iv=iv).SerializeToString()


# Stanzas


def options_request() -> Node:
    return iq.request("get", "md", Node(OPTIONS))


def ref_request() -> Node:
    return iq.request("get", "md", Node("ref"))


def parse_ref(answer: Node) -> str:
    """The fresh ref. Raises `InvalidStanza`, `IqRefused`."""
    content = iq.checked(answer).require_child("ref").bytes()
    if not 0 < len(content) <= MAX_REF_BYTES or not content.isascii():
        raise InvalidStanza("no usable ref")
    return content.decode()


def prologue_request(credential_id: bytes, assertion: bytes, payload: bytes, proof: bytes | None) -> Node:
    """The children stand in this order. `proof` None: the codes are to be compared."""
    parts = [
        Node("credential_id", {}, credential_id),
        Node("webauthn_assertion", {}, assertion),
        Node("prologue_payload", {}, payload),
    ]
    if proof is not None:
        parts.append(Node("pairing_handoff_proof", {}, proof))
    return iq.request("set", "md", Node("passkey_prologue", {}, tuple(parts)))


def nonce_request(nonce: bytes) -> Node:
    return iq.request("set", "md", Node("companion_nonce", {}, nonce))


def pairing_request(sealed: bytes) -> Node:
    return iq.request("set", "md", Node("encrypted_pairing_request", {}, sealed))


def options_in(node: Node) -> Options:
    """The options in a notification or an answer. Raises `InvalidStanza`."""
    return parse_options(node.require_child(OPTIONS).bytes())
