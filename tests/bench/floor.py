"""The floor: nothing but the calls into OpenSSL that an operation can't do without, through `cryptography`.

Keys come as bytes and leave as bytes, as they do in every store; nothing is parsed, framed, compared or kept.
"""

import os
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SHA256 = SHA256()
_KEY, _IV, _SALT = os.urandom(32), os.urandom(16), bytes(32)


def _hmac(message: bytes) -> bytes:
    mac = HMAC(_KEY, _SHA256)
    mac.update(message)
    return mac.finalize()


def _hkdf(length: int) -> bytes:
    return HKDF(_SHA256, length, _SALT, b"WhisperMessageKeys").derive(_KEY)


class Floor:
    """Each method is one operation on a text of `length` bytes."""

    def __init__(self, length: int) -> None:
        self._padded = bytes(length + 16 - length % 16)
        self._covered = bytes(67 + 43 + len(self._padded))
        self._private = X25519PrivateKey.generate().private_bytes_raw()
        self._public = X25519PrivateKey.generate().public_key().public_bytes_raw()
        signer = Ed25519PrivateKey.generate()
        self._signed = bytes(33)
        self._signature = signer.sign(self._signed)
        self._verifier = signer.public_key().public_bytes_raw()

    def encrypt(self) -> None:
        """Message seed, next chain key, message keys, cipher, MAC."""
        _hmac(b"\x01")
        _hmac(b"\x02")
        _hkdf(80)
        Cipher(AES(_KEY), CBC(_IV)).encryptor().update(self._padded)
        _hmac(self._covered)

    def decrypt(self) -> None:
        _hmac(b"\x01")
        _hmac(b"\x02")
        _hkdf(80)
        _hmac(self._covered)
        Cipher(AES(_KEY), CBC(_IV)).decryptor().update(self._padded)

    def turn(self) -> None:
        """Two agreements and root steps, a new pair, and the message itself."""
        self._agree()
        _hkdf(64)
        self.decrypt()
        self._new_pair()
        self._agree()
        _hkdf(64)

    def start(self) -> None:
        """The bundle's signature, two new pairs, four agreements and keys; then a step and a message."""
        Ed25519PublicKey.from_public_bytes(self._verifier).verify(self._signature, self._signed)
        self._new_pair()
        self._new_pair()
        for _ in range(5):
            self._agree()
        _hkdf(64)
        _hkdf(64)
        self.encrypt()

    def operations(self) -> dict[str, Callable[[], None]]:
        return {"encrypt": self.encrypt, "decrypt": self.decrypt, "turn": self.turn, "start": self.start}

    def _agree(self) -> None:
        private = X25519PrivateKey.from_private_bytes(self._private)
        private.exchange(X25519PublicKey.from_public_bytes(self._public))

    def _new_pair(self) -> None:
        pair = X25519PrivateKey.generate()
        pair.private_bytes_raw()
        pair.public_key().public_bytes_raw()
