"""Pairing by code: eight characters typed on the phone replace the QR's key exchange.

The code only wraps the two ephemeral keys; what it yields is a fresh ADV secret, after which pairing goes on
as by QR. All functions are pure: entropy comes in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from tocsin.signal.curve import KeyPair, agree
from tocsin.signal.kdf import hkdf
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
VALID_SECONDS: Final = 180

_ITERATIONS: Final = 131072
_PLATFORM: Final = b"1"
_DISPLAY: Final = b"Chrome (Linux)"


@dataclass(frozen=True, slots=True)
class PrimaryHello:
    """What the phone answers once the code was typed in."""

    wrapped_ephemeral: bytes = field(repr=False)
    identity: bytes = field(repr=False)
    ref: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyBundle:
    """`wrapped`: 156 bytes for the phone. `adv_secret`: replaces the one that the QR would have shown."""

    wrapped: bytes = field(repr=False)
    adv_secret: bytes = field(repr=False)


def make_code(entropy: bytes) -> str:
    """Eight characters from 5 random bytes, five bits each."""
    number = int.from_bytes(entropy[:5], "big")
    return "".join(ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))


def shown(code: str) -> str:
    """The form for people: two groups of four."""
    return f"{code[:4]}-{code[4:]}"


def wrap_ephemeral(code: str, public: bytes, salt: bytes, iv: bytes) -> bytes:
    """80 bytes: `salt` (32), `iv` (16) and the public key under the code's key. Takes some 50 ms."""
    return salt + iv + _ctr(code, salt, iv, public)


def unwrap_ephemeral(code: str, wrapped: bytes) -> bytes:
    """The public key of 32 bytes. A wrong code isn't noticed here: it yields a key that nobody has."""
    if len(wrapped) != 80:
        raise InvalidStanza("a wrapped key has 80 bytes")
    return _ctr(code, wrapped[:32], wrapped[32:48], wrapped[48:])


def _ctr(code: str, salt: bytes, iv: bytes, data: bytes) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", code.encode(), salt, _ITERATIONS, 32)
    cipher = Cipher(AES(key), CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def key_bundle(
    ephemeral: KeyPair,
    identity: KeyPair,
    primary_ephemeral: bytes,
    primary_identity: bytes,
    *,
    secret: bytes,
    salt: bytes,
    nonce: bytes,
) -> KeyBundle:
    """Our keys for the phone, and the ADV secret both now share. Random: `secret`, `salt` (32), `nonce` (12).

    Raises `InvalidKey` if a key of the phone is of low order.
    """
    shared = agree(ephemeral.private, primary_ephemeral)
    identities = agree(identity.private, primary_identity)
    key = hkdf(shared, 32, salt=salt, info=b"link_code_pairing_key_bundle_encryption_key")
    plaintext = identity.public + primary_identity + secret
    wrapped = salt + nonce + AESGCM(key).encrypt(nonce, plaintext, None)
    return KeyBundle(wrapped, hkdf(shared + identities + secret, 32, salt=bytes(32), info=b"adv_secret"))


def companion_hello(phone: JID, noise_public: bytes, wrapped_ephemeral: bytes) -> Node:
    """Ask for a code for `phone`. The answer holds the ref; show the code only then."""
    parts = (
        Node("link_code_pairing_wrapped_companion_ephemeral_pub", {}, wrapped_ephemeral),
        Node("companion_server_auth_key_pub", {}, noise_public),
        Node("companion_platform_id", {}, _PLATFORM),
        Node("companion_platform_display", {}, _DISPLAY),
        Node("link_code_pairing_nonce", {}, b"\x00"),
    )
    attrs: dict[str, str | JID] = {
        "jid": phone,
        "stage": "companion_hello",
        "should_show_push_notification": "true",
    }
    return _request(Node("link_code_companion_reg", attrs, parts))


def companion_finish(phone: JID, identity_public: bytes, bundle: KeyBundle, ref: bytes) -> Node:
    parts = (
        Node("link_code_pairing_wrapped_key_bundle", {}, bundle.wrapped),
        Node("companion_identity_public", {}, identity_public),
        Node("link_code_pairing_ref", {}, ref),
    )
    return _request(Node("link_code_companion_reg", {"jid": phone, "stage": "companion_finish"}, parts))


def _request(child: Node) -> Node:
    return Node("iq", {"to": SERVER, "type": "set", "xmlns": "md"}, (child,))


def parse_ref(answer: Node) -> bytes:
    """The pairing ref in the answer to `companion_hello`."""
    reg = answer.require_child("link_code_companion_reg")
    return reg.require_child("link_code_pairing_ref").bytes()


def parse_primary_hello(reg: Node) -> PrimaryHello:
    """Read the phone's part. Raises `InvalidStanza`: ignore it then, and keep waiting."""
    return PrimaryHello(
        reg.require_child("link_code_pairing_wrapped_primary_ephemeral_pub").bytes(80),
        reg.require_child("primary_identity_pub").bytes(32),
        reg.require_child("link_code_pairing_ref").bytes(),
    )
