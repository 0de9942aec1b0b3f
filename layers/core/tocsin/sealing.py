"""Sealing: what lies in the table is encrypted and bound to its place (AES-256-GCM).

    sealed = length of key id (1) ‖ key id ‖ nonce (12) ‖ ciphertext ‖ GCM tag (16)

The associated data name partition key, sort key, attribute and the tag of the turn that wrote it, so a record
that was damaged, cut, swapped with another or brought back from an earlier turn is refused where it is read.
Each record names its key, so that a new one can be introduced without rewriting the table.

Texts are sealed by `RecordSealer`, which derives a key for each record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_SEAL_BYTES = 16
_MIN_SECRET = 32


class DamagedRecord(Exception):
    """What is stored at (pk, sk, attribute) can't be what was written there: damaged, cut, swapped, or sealed
    with a key that isn't in the secret. Treat it as absent, and let a new one replace it under its tag."""

    def __init__(self, pk: str, sk: str, attribute: str) -> None:
        super().__init__(pk, sk, attribute)
        self.pk = pk
        self.sk = sk
        self.attribute = attribute

    def __str__(self) -> str:
        return f"damaged record: {masked(self.pk)} / {masked(self.sk)} / {self.attribute}"


def masked(key: str) -> str:
    """A key of the table, fit for a log: runs of eight and more digits keep their first four and last two."""
    shown, digits = [], ""
    for character in key + "\0":
        if character.isdigit():
            digits += character
            continue
        shown.append(digits if len(digits) < 8 else f"{digits[:4]}…{digits[-2:]}")
        shown.append(character)
        digits = ""
    return "".join(shown[:-1])


class Place:
    """Where a sealed value belongs: item, attribute, and the tag it was written under."""

    __slots__ = ("attribute", "pk", "sk", "tag")

    def __init__(self, pk: str, sk: str, attribute: str, tag: bytes = b"") -> None:
        self.pk = pk
        self.sk = sk
        self.attribute = attribute
        self.tag = tag

    def associated_data(self) -> bytes:
        """The parts with their lengths in front, so that no two places share one encoding."""
        parts = (self.pk.encode(), self.sk.encode(), self.attribute.encode(), self.tag)
        return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


class Sealer:
    """Seals with the key `current`, opens with any of `keys` (id → 32 bytes)."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._ciphers = {key_id.encode(): AESGCM(key) for key_id, key in keys.items()}
        self._current = current.encode()
        if self._current not in self._ciphers:
            raise ValueError("the current sealing key isn't among the keys")
        if any(not 0 < len(key_id) < 256 for key_id in self._ciphers):
            raise ValueError("a sealing key's id has 1 to 255 bytes")

    def __repr__(self) -> str:
        return f"Sealer(current={self._current.decode()!r})"

    @classmethod
    def from_secret(cls, secret: str) -> Sealer:
        """From the secret's JSON: {"id": "k1", "key": text}, or {"current": id, "keys": {id: text}}.

        `text`: at least 32 characters of randomness. Raises ValueError, without naming what it read.
        """
        return cls(*keys_of_secret(secret))

    def seal(self, plain: bytes, place: Place, nonce: bytes) -> bytes:
        """`nonce`: 12 random bytes, fresh for each seal."""
        key_id = self._current
        sealed = self._ciphers[key_id].encrypt(nonce, plain, place.associated_data())
        return bytes((len(key_id),)) + key_id + nonce + sealed

    def unseal(self, sealed: object, place: Place) -> bytes:
        """Return what was sealed for exactly this place. Raises DamagedRecord."""
        damaged = DamagedRecord(place.pk, place.sk, place.attribute)
        if not isinstance(sealed, bytes) or not sealed:
            raise damaged
        start = 1 + sealed[0]
        nonce = sealed[start : start + _NONCE_BYTES]
        cipher = self._ciphers.get(sealed[1:start])
        if cipher is None or len(sealed) < start + _NONCE_BYTES + _SEAL_BYTES:
            raise damaged
        try:
            return cipher.decrypt(nonce, sealed[start + _NONCE_BYTES :], place.associated_data())
        except InvalidTag:
            raise damaged from None


SALT_BYTES = 32
"""Of the salt from which a record's key is derived. Two salts never meet."""

_RECORD_LABEL = b"tocsin record key\x00"
# The key of a record seals once: a second sealing has another salt, so its nonce needs no randomness.
_ONLY_NONCE = bytes(_NONCE_BYTES)


class RecordSealer:
    """Seals each record with a key of its own, derived from the current one of `keys` (id → 32 bytes).

        sealed = length of key id (1) ‖ key id ‖ salt (32) ‖ ciphertext ‖ GCM tag (16)
        record key = HKDF-SHA256(key, salt, "tocsin record key" ‖ 0)

    Derived, not wrapped: a random key per record, wrapped by the secret's, would be a second ciphertext to
    store and to check, and protect nothing more. The limit of 2³² random nonces under one key (NIST SP
    800-38D, 8.3), which `Sealer` is far from, does not exist here.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._keys = {key_id.encode(): key for key_id, key in keys.items()}
        self._current = current.encode()
        if self._current not in self._keys:
            raise ValueError("the current sealing key isn't among the keys")
        if any(not 0 < len(key_id) < 256 for key_id in self._keys):
            raise ValueError("a sealing key's id has 1 to 255 bytes")

    def __repr__(self) -> str:
        return f"RecordSealer(current={self._current.decode()!r})"

    @classmethod
    def from_secret(cls, secret: str) -> RecordSealer:
        """From a secret in the form of `Sealer.from_secret`. Raises ValueError."""
        return cls(*keys_of_secret(secret))

    def seal(self, plain: bytes, place: Place, salt: bytes) -> bytes:
        """`salt`: `SALT_BYTES` random bytes, fresh for each seal."""
        cipher = _record_cipher(self._keys[self._current], salt)
        sealed = cipher.encrypt(_ONLY_NONCE, plain, place.associated_data())
        return bytes((len(self._current),)) + self._current + salt + sealed

    def unseal(self, sealed: object, place: Place) -> bytes:
        """Return what was sealed for exactly this place. Raises DamagedRecord."""
        damaged = DamagedRecord(place.pk, place.sk, place.attribute)
        if not isinstance(sealed, bytes) or not sealed:
            raise damaged
        start = 1 + sealed[0]
        end = start + SALT_BYTES
        key = self._keys.get(sealed[1:start])
        if key is None or len(sealed) < end + _SEAL_BYTES:
            raise damaged
        cipher = _record_cipher(key, sealed[start:end])
        try:
            return cipher.decrypt(_ONLY_NONCE, sealed[end:], place.associated_data())
        except InvalidTag:
            raise damaged from None


def _record_cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, _RECORD_LABEL).derive(key))


def keys_of_secret(secret: str) -> tuple[dict[str, bytes], str]:
    """Return the keys in a secret's JSON (id → 32 bytes) and which one seals. Raises ValueError."""
    try:
        content = json.loads(secret)
        keys = content["keys"] if "keys" in content else {content["id"]: content["key"]}
        current = content["current"] if "keys" in content else content["id"]
        return {key_id: derive_key(text) for key_id, text in keys.items()}, current
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError):
        raise ValueError('the sealing secret must be {"id": …, "key": …}') from None


def derive_key(text: str) -> bytes:
    """32 bytes from a secret's text. The text is random already, so one hash under a label is enough."""
    if len(text) < _MIN_SECRET:
        raise ValueError(f"a sealing key needs at least {_MIN_SECRET} characters")
    return sha256(b"tocsin sealing key\x00" + text.encode()).digest()
