"""AES-256-CBC with PKCS#7 padding, as message bodies use it."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tocsin.signal.errors import InvalidMessage

_BLOCK = 16
_PADDING = tuple(bytes((count,)) * count for count in range(_BLOCK + 1))


def encrypt(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """`key`: 32 bytes, `iv`: 16. One to sixteen bytes longer than the plaintext."""
    padded = plaintext + _PADDING[_BLOCK - len(plaintext) % _BLOCK]
    return Cipher(AES(key), CBC(iv)).encryptor().update(padded)


def decrypt(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Call this only with an authenticated `ciphertext`. Raises InvalidMessage for wrong size or padding."""
    if not ciphertext or len(ciphertext) % _BLOCK:
        raise InvalidMessage("a ciphertext is a whole number of blocks")
    padded = Cipher(AES(key), CBC(iv)).decryptor().update(ciphertext)
    count = padded[-1]
    if not 1 <= count <= _BLOCK or not padded.endswith(_PADDING[count]):
        raise InvalidMessage("wrong padding inside an authentic message")
    return padded[:-count]
