"""Key derivation: HKDF and the chains of the Double Ratchet.

Spec: RFC 5869; Signal, "The Double Ratchet Algorithm", sections 2.2 and 5.2.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SHA256 = SHA256()
_ZERO_SALT = bytes(32)


def hkdf(key: bytes, length: int, *, salt: bytes = _ZERO_SALT, info: bytes) -> bytes:
    """HKDF-SHA256: `length` bytes from the input key material `key`."""
    return HKDF(_SHA256, length, salt, info).derive(key)


def session_keys(agreements: bytes) -> tuple[bytes, bytes]:
    """Root key and first chain key (32 bytes each) from the concatenated agreements of a session setup."""
    keys = HKDF(_SHA256, 64, _ZERO_SALT, b"WhisperText").derive(b"\xff" * 32 + agreements)
    return keys[:32], keys[32:]


def root_step(root_key: bytes, agreement: bytes) -> tuple[bytes, bytes]:
    """The next root key and the chain key (32 bytes each) of a Diffie-Hellman ratchet step."""
    keys = HKDF(_SHA256, 64, root_key, b"WhisperRatchet").derive(agreement)
    return keys[:32], keys[32:]


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    mac = HMAC(key, _SHA256)
    mac.update(message)
    return mac.finalize()


def message_seed(chain_key: bytes) -> bytes:
    """What the keys of the message at this place of the chain are derived from. 32 bytes."""
    return hmac_sha256(chain_key, b"\x01")


def chain_step(chain_key: bytes) -> tuple[bytes, bytes]:
    """Message seed and next chain key at once, which is cheaper than one after the other."""
    seed = HMAC(chain_key, _SHA256)
    following = seed.copy()
    seed.update(b"\x01")
    following.update(b"\x02")
    return seed.finalize(), following.finalize()


def advance(chain_key: bytes, steps: int) -> bytes:
    """The chain key `steps` places further on."""
    for _ in range(steps):
        mac = HMAC(chain_key, _SHA256)
        mac.update(b"\x02")
        chain_key = mac.finalize()
    return chain_key


def message_keys(seed: bytes) -> tuple[bytes, bytes, bytes]:
    """Cipher key (32), MAC key (32) and IV (16) of one message."""
    keys = HKDF(_SHA256, 80, _ZERO_SALT, b"WhisperMessageKeys").derive(seed)
    return keys[:32], keys[32:64], keys[64:]


def group_message_keys(seed: bytes) -> tuple[bytes, bytes]:
    """Cipher key (32) and IV (16) of one group message. The IV comes first in the derived bytes."""
    keys = HKDF(_SHA256, 48, _ZERO_SALT, b"WhisperGroup").derive(seed)
    return keys[16:], keys[:16]
