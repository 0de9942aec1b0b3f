"""The account's passkey, and the phone's half of linking with it.

`Passkey` signs as a browser with that passkey would; `verified` checks as the service must, by WebAuthn's
rules. `PhoneHalf` is the phone: it checks the proof, the commitment and the sealed request, and refuses what
doesn't fit. It computes everything by itself, from the wire, so that a client's mistake isn't made twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import KeyPair, agree, key_pair
from tocsin.signal.errors import InvalidKey
from tocsin.signal.kdf import hkdf
from tocsin.whatsapp.passkey import to_base64url
from tocsin.whatsapp.proto.passkey_pb2 import (
    CompanionEphemeralIdentity,
    EncryptedPairingRequest,
    PairingRequest,
    PrimaryEphemeralIdentity,
    ProloguePayload,
)

Random = Callable[[int], bytes]

RP_ID = "whatsapp.com"
ORIGIN = "https://web.whatsapp.com"
TIMEOUT_MS = 600_000
FLAGS = 0x1D
"""User present and verified, synced between devices and backed up: what a password manager's passkey says."""

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"


class CeremonyRefused(ValueError):
    """Server or phone refuses what the companion sent; the text says which check failed."""


def options(challenge: bytes, timeout_ms: int = TIMEOUT_MS) -> bytes:
    """The options in the words of the service. `challenge`: 32 random bytes."""
    members = {
        "challenge": to_base64url(challenge),
        "timeout": timeout_ms,
        "rpId": RP_ID,
        "allowCredentials": [],
        "userVerification": "required",
        "extensions": {"uvm": True},
    }
    return json.dumps(members, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Passkey:
    """A passkey for whatsapp.com, in software. `handle`: the account's, 16 bytes."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    credential_id: bytes
    handle: bytes

    @classmethod
    def made(cls, random: Random) -> Passkey:
        secret = int.from_bytes(random(32), "big") % (2**255) + 1
        return cls(ec.derive_private_key(secret, ec.SECP256R1()), random(20), random(16))

    def answer(self, asked: dict[str, Any], *, origin: str = ORIGIN, flags: int = FLAGS) -> dict[str, Any]:
        """What `JSON.stringify(await navigator.credentials.get(…))` is in a browser that has this passkey.

        `asked`: the options. Raises CeremonyRefused for options without a challenge.
        """
        challenge = asked.get("challenge")
        if not isinstance(challenge, str):
            raise CeremonyRefused("options without a challenge")
        told = {"type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": False}
        client_data = json.dumps(told, separators=(",", ":")).encode()
        rp_id = str(asked.get("rpId", RP_ID))
        authenticator = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + bytes(4)
        signed = authenticator + hashlib.sha256(client_data).digest()
        return {
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "id": to_base64url(self.credential_id),
            "rawId": to_base64url(self.credential_id),
            "response": {
                "authenticatorData": to_base64url(authenticator),
                "clientDataJSON": to_base64url(client_data),
                "signature": to_base64url(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
                "userHandle": to_base64url(self.handle),
            },
            "type": "public-key",
        }

    def verified(self, credential_id: bytes, assertion: bytes, challenge: bytes) -> None:
        """Check what the companion sent, as strictly as the service may. Raises CeremonyRefused."""
        if credential_id != self.credential_id:
            raise CeremonyRefused("this account has no passkey of that id")
        try:
            told = json.loads(assertion)
            response = told["response"]
            if (list(told), list(response)) != (_MEMBERS, _RESPONSE):
                raise CeremonyRefused("the assertion has other members, or in another order")
            raw = from_base64url(told["rawId"])
            client_data = from_base64url(response["clientDataJSON"])
            authenticator = from_base64url(response["authenticatorData"])
            signature = from_base64url(response["signature"])
            said = json.loads(client_data)
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, CeremonyRefused):
                raise
            raise CeremonyRefused("the assertion can't be read") from error
        self._check(told, raw, said, authenticator, challenge)
        try:
            self.key.public_key().verify(
                signature, authenticator + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256())
            )
        except InvalidSignature:
            raise CeremonyRefused("the passkey's signature is wrong") from None

    def _check(
        self, told: dict[str, Any], raw: bytes, said: Any, authenticator: bytes, challenge: bytes
    ) -> None:
        handle = told["response"]["userHandle"]
        flags = authenticator[32] if len(authenticator) > 36 else 0
        rp_id = hashlib.sha256(RP_ID.encode()).digest()
        checks = {
            "id, rawId and type": (told["id"], raw, told["type"])
            == (told["rawId"], self.credential_id, "public-key"),
            "the user handle": handle is None or from_base64url(handle) == self.handle,
            "the client data": isinstance(said, dict) and said.get("type") == "webauthn.get",
            "the challenge": isinstance(said, dict) and said.get("challenge") == to_base64url(challenge),
            "the origin": isinstance(said, dict) and said.get("origin") == ORIGIN,
            "the rpId": authenticator[:32] == rp_id,
            "user presence and verification": flags & 5 == 5,
        }
        for what, holds in checks.items():
            if not holds:
                raise CeremonyRefused(f"the assertion is wrong in {what}")


_MEMBERS = ["id", "rawId", "type", "response"]
_RESPONSE = ["clientDataJSON", "authenticatorData", "signature", "userHandle"]


def from_base64url(text: str) -> bytes:
    """Unpadded base64url and nothing else. Raises ValueError."""
    if not isinstance(text, str) or set(text) & set("+/="):
        raise ValueError("no unpadded base64url")
    return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)


@dataclass
class PhoneHalf:
    """One ceremony on the phone. `scanned`: the secret of the code that it scanned; None if it has none of
    the companion's. `skipped`: the handoff proof held, so nobody compares codes. `code`: what the phone
    shows."""

    noise_key: bytes
    identity: bytes
    scanned: bytes | None = field(repr=False)
    random: Random = field(repr=False)
    device_type: int = 1
    skipped: bool = False
    code: str = ""
    _ephemeral: KeyPair | None = field(repr=False, default=None)
    _nonce: bytes = field(repr=False, default=b"")
    _theirs: CompanionEphemeralIdentity | None = field(repr=False, default=None)
    _identity_bytes: bytes = field(repr=False, default=b"")
    _commitment: bytes = field(repr=False, default=b"")
    _key: bytes = field(repr=False, default=b"")

    def begin(self, payload: bytes, proof: bytes | None, ref: str) -> bytes:
        """Take the prologue, and answer with our half, as it goes on the wire. Raises CeremonyRefused."""
        try:
            prologue = ProloguePayload.FromString(payload)
            theirs = CompanionEphemeralIdentity.FromString(prologue.companion_ephemeral_identity)
        except ProtobufError as error:
            raise CeremonyRefused("the prologue can't be read") from error
        if (len(theirs.public_key), len(prologue.commitment.hash)) != (32, 32):
            raise CeremonyRefused("the prologue has impossible lengths")
        if theirs.ref != ref:
            raise CeremonyRefused("the prologue names another ref than the server gave last")
        if not theirs.HasField("device_type") or theirs.device_type != self.device_type:
            raise CeremonyRefused("the prologue names another type of device than the registration")
        if proof is not None:
            self._check_proof(payload, proof)
        self.skipped = proof is not None
        self._theirs, self._identity_bytes = theirs, prologue.companion_ephemeral_identity
        self._commitment = prologue.commitment.hash
        self._ephemeral, self._nonce = key_pair(self.random(32)), self.random(32)
        return PrimaryEphemeralIdentity(
            public_key=self._ephemeral.public, nonce=self._nonce
        ).SerializeToString()

    def _check_proof(self, payload: bytes, proof: bytes) -> None:
        if self.scanned is None:
            raise CeremonyRefused("a proof, though this phone scanned no code")
        key = hkdf(self.scanned, 32, salt=bytes(32), info=b"shortcake-passkey-handoff-v1")
        if not hmac.compare_digest(hmac.digest(key, payload, "sha256"), proof):
            raise CeremonyRefused("the handoff proof is of another code than the one scanned")

    def open_nonce(self, nonce: bytes) -> None:
        """Hold the companion to its commitment; from here on there is a code. Raises CeremonyRefused."""
        if self._theirs is None or self._ephemeral is None:
            raise CeremonyRefused("a nonce before the prologue")
        if len(nonce) != 32 or hashlib.sha256(self._identity_bytes + nonce).digest() != self._commitment:
            raise CeremonyRefused("the nonce isn't the one that the companion committed itself to")
        try:
            shared = agree(self._ephemeral.private, self._theirs.public_key)
        except InvalidKey as error:
            raise CeremonyRefused("the companion's key is of low order") from error
        salt = f"Companion Pairing {self._theirs.device_type} with ref {self._theirs.ref}"
        self._key = hkdf(shared, 32, salt=salt.encode(), info=b"Pairing Information Encryption Key")
        digest = hashlib.sha256(nonce + self._ephemeral.public).digest()
        number = int.from_bytes(bytes(a ^ b for a, b in zip(self._nonce[:5], digest[:5], strict=True)), "big")
        code = "".join(ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))
        self.code = f"{code[:4]}-{code[4:]}"

    def open_request(self, content: bytes) -> bytes:
        """The secret to vouch with. Raises CeremonyRefused."""
        if not self._key:
            raise CeremonyRefused("a pairing request before the nonce")
        try:
            sealed = EncryptedPairingRequest.FromString(content)
            opened = AESGCM(self._key).decrypt(sealed.iv, sealed.encrypted_payload, None)
            request = PairingRequest.FromString(opened)
        except (ProtobufError, InvalidTag, ValueError) as error:
            raise CeremonyRefused("the pairing request can't be opened") from error
        if (request.companion_public_key, request.companion_identity_key) != (self.noise_key, self.identity):
            raise CeremonyRefused("the pairing request names other keys than the registration")
        if len(request.adv_secret) != 32:
            raise CeremonyRefused("the pairing request has no secret of 32 bytes")
        return request.adv_secret
