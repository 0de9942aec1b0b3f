"""Curve25519 keys, agreement, and XEdDSA signatures with the sign bit carried in byte 63.

Scalar multiplications and Ed25519 come from libsodium, which derives a public key three times faster than
going through an OpenSSL key object. Only the change of coordinates is arithmetic of our own.

Spec: RFC 7748 (X25519); Signal, "The XEdDSA and VXEdDSA Signature Schemes". As Signal's own clients do, and
unlike the text of XEdDSA, the private scalar is never negated: the sign of the Edwards key travels in the
signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha512

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from tocsin.signal.errors import BadSignature, InvalidKey

PREFIX = b"\x05"
"""First byte of an encoded Curve25519 public key."""

_FIELD = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_NONCE_PREFIX = b"\xfe" + b"\xff" * 31


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`private`: 32 bytes, clamped. `public`: 32 bytes, u little-endian, without the type byte."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return "KeyPair(<hidden>)"


def key_pair(seed: bytes) -> KeyPair:
    """Make a pair from 32 bytes of entropy (or from a private key, which stays as it is)."""
    private = clamp(seed)
    return KeyPair(private, sodium.crypto_scalarmult_base(private))


def clamp(seed: bytes) -> bytes:
    """Make 32 bytes a private key: a multiple of the cofactor, with bit 254 set. Raises InvalidKey."""
    if len(seed) != 32:
        raise InvalidKey("a private key has 32 bytes")
    return bytes((seed[0] & 0xF8, *seed[1:31], (seed[31] & 0x7F) | 0x40))


def agree(private: bytes, public: bytes) -> bytes:
    """X25519, 32 bytes. Raises InvalidKey for a public key of low order (the result would be all zero)."""
    if len(public) != 32:
        raise InvalidKey("a public key has 32 bytes")
    try:
        return sodium.crypto_scalarmult(private, public)
    except CryptoError as error:
        raise InvalidKey("a public key of low order") from error


def sign(private: bytes, message: bytes, entropy: bytes) -> bytes:
    """XEdDSA signature of 64 bytes; `entropy`: 64 random bytes, never used twice."""
    if len(entropy) != 64:
        raise ValueError("a signature needs 64 bytes of entropy")
    edwards_public = sodium.crypto_scalarmult_ed25519_base_noclamp(private)
    nonce = _reduced_sha512(_NONCE_PREFIX + private + message + entropy)
    commitment = sodium.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = _reduced_sha512(commitment + edwards_public + message)
    scalar = sodium.crypto_core_ed25519_scalar_add(
        nonce, sodium.crypto_core_ed25519_scalar_mul(challenge, _reduced(private))
    )
    sign_bit = edwards_public[31] & 0x80
    return commitment + scalar[:31] + bytes((scalar[31] | sign_bit,))


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Return if `signature` (64 bytes) by the Curve25519 key `public` (32 bytes) is good.

    Raises BadSignature otherwise. There is no boolean that a caller could forget to look at.
    """
    if len(signature) != 64 or len(public) != 32:
        raise BadSignature("a signature has 64 bytes, its key 32")
    sign_bit = signature[63] & 0x80
    unsigned = signature[:63] + bytes((signature[63] & 0x7F,))
    try:
        sodium.crypto_sign_open(unsigned + message, _edwards(public, sign_bit))
    except CryptoError as error:
        raise BadSignature("the signature does not verify") from error


def encode_point(public: bytes) -> bytes:
    """The wire form of a public key: 33 bytes, type byte first."""
    return PREFIX + public


def decode_point(encoded: bytes) -> bytes:
    """The 32 bytes of a public key in wire form (33). Raises InvalidKey."""
    if len(encoded) != 33 or encoded[0] != 5:
        raise InvalidKey("an encoded public key has 33 bytes and starts with 05")
    return encoded[1:]


def _edwards(public: bytes, sign_bit: int) -> bytes:
    """y = (u − 1) / (u + 1), with the sign of x in the top bit of the last byte."""
    u = (int.from_bytes(public, "little") & ((1 << 255) - 1)) % _FIELD
    if u == _FIELD - 1:
        raise BadSignature("this public key has no Edwards form")
    y = (u - 1) * pow(u + 1, -1, _FIELD) % _FIELD
    return (y | sign_bit << 248).to_bytes(32, "little")


def _reduced_sha512(data: bytes) -> bytes:
    return sodium.crypto_core_ed25519_scalar_reduce(sha512(data).digest())


def _reduced(scalar: bytes) -> bytes:
    return (int.from_bytes(scalar, "little") % _ORDER).to_bytes(32, "little")
