"""Noise_XX_25519_AESGCM_SHA256 as WhatsApp uses it: the handshake, then one cipher per direction.

Spec: The Noise Protocol Framework, sections 5 (symmetric state) and 7.5 (XX). Handshake and transport are two
types, so that neither can be used for the other.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import KeyPair, agree
from tocsin.signal.errors import InvalidKey
from tocsin.whatsapp.certificate import ROOT_KEY, verify_chain
from tocsin.whatsapp.errors import HandshakeFailed, TransportFailed
from tocsin.whatsapp.frames import INTRO
from tocsin.whatsapp.proto.handshake_pb2 import HandshakeMessage

# Padded to 32 bytes, so it is the first hash as it stands (Noise, section 5.2).
PROTOCOL_NAME: Final = b"Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(12, "big")


def _expand(chaining_key: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """HKDF-SHA256 with empty info, two outputs of 32 bytes."""
    extracted = hmac.digest(chaining_key, secret, "sha256")
    first = hmac.digest(extracted, b"\x01", "sha256")
    return first, hmac.digest(extracted, first + b"\x02", "sha256")


class SymmetricState:
    """Hash, chaining key, cipher key and counter of one handshake; both sides run the same operations.

    A failed `decrypt` raises `HandshakeFailed`, after which the state is of no more use.
    """

    def __init__(self, prologue: bytes = INTRO) -> None:
        self.hash = self.chaining_key = self._key = PROTOCOL_NAME
        self.counter = 0
        self.mix_hash(prologue)

    def __repr__(self) -> str:
        return f"SymmetricState(counter={self.counter})"

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        self.chaining_key, self._key = _expand(self.chaining_key, secret)
        self.counter = 0

    def mix_agreement(self, private: bytes, public: bytes) -> None:
        """Mix an X25519 agreement in. Raises `HandshakeFailed` for a public key of low order."""
        try:
            self.mix_key(agree(private, public))
        except InvalidKey as exc:
            raise HandshakeFailed("the peer's key is of low order") from exc

    def encrypt(self, plaintext: bytes) -> bytes:
        ciphertext = AESGCM(self._key).encrypt(_nonce(self.counter), plaintext, self.hash)
        self.counter += 1
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        try:
            plaintext = AESGCM(self._key).decrypt(_nonce(self.counter), ciphertext, self.hash)
        except (InvalidTag, ValueError) as exc:
            raise HandshakeFailed("a handshake field doesn't decrypt") from exc
        self.counter += 1
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The transport keys: initiator to responder, responder to initiator."""
        return _expand(self.chaining_key, b"")


class Transport:
    """The cipher of an open connection: one key and one counter per direction, no associated data.

    Encrypt in the order in which the frames leave: the counter is the order.
    """

    def __init__(self, send_key: bytes, receive_key: bytes) -> None:
        self._send = AESGCM(send_key)
        self._receive = AESGCM(receive_key)
        self._sent = 0
        self._received = 0

    def __repr__(self) -> str:
        return f"Transport(sent={self._sent}, received={self._received})"

    def encrypt(self, plaintext: bytes) -> bytes:
        if self._sent > 0xFFFFFFFF:
            raise TransportFailed("counter used up; connect again")
        ciphertext = self._send.encrypt(_nonce(self._sent), plaintext, None)
        self._sent += 1
        return ciphertext

    def decrypt(self, payload: bytes) -> bytes:
        """Raises `TransportFailed`: from then on the stream can't be trusted."""
        try:
            plaintext = self._receive.decrypt(_nonce(self._received), payload, None)
        except (InvalidTag, ValueError) as exc:
            raise TransportFailed("a frame doesn't decrypt") from exc
        self._received += 1
        return plaintext


class ClientHandshake:
    """The initiator's three steps. Make one per connection, with a fresh `ephemeral`.

    `static`: the account's Noise pair. `payload`: the serialised ClientPayload.
    """

    def __init__(
        self, static: KeyPair, ephemeral: KeyPair, payload: bytes, *, root_key: bytes = ROOT_KEY
    ) -> None:
        self._static = static
        self._ephemeral = ephemeral
        self._payload = payload
        self._root_key = root_key
        self._state = SymmetricState()

    def __repr__(self) -> str:
        return "ClientHandshake()"

    @property
    def hash(self) -> bytes:
        return self._state.hash

    def hello(self) -> bytes:
        """The ClientHello, as a frame payload. The first frame follows the intro bytes."""
        self._state.mix_hash(self._ephemeral.public)
        message = HandshakeMessage()
        message.client_hello.ephemeral = self._ephemeral.public
        return message.SerializeToString()

    def finish(self, server_hello: bytes, now: float) -> tuple[bytes, Transport]:
        """Check the server, and return the ClientFinish (a frame payload) and the open transport.

        `now`: Unix seconds, for the certificates. Raises `HandshakeFailed` or its `InvalidCertificate`;
        nothing of ours was said then, not even who we are.
        """
        ephemeral, sealed_static, sealed_certificate = _server_hello(server_hello)
        state = self._state
        state.mix_hash(ephemeral)
        state.mix_agreement(self._ephemeral.private, ephemeral)
        static = state.decrypt(sealed_static)
        if len(static) != 32:
            raise HandshakeFailed("the server's static key has not 32 bytes")
        state.mix_agreement(self._ephemeral.private, static)
        verify_chain(state.decrypt(sealed_certificate), static, self._root_key, now)

        message = HandshakeMessage()
        message.client_finish.static = state.encrypt(self._static.public)
        state.mix_agreement(self._static.private, ephemeral)
        message.client_finish.payload = state.encrypt(self._payload)
        send_key, receive_key = state.split()
        return message.SerializeToString(), Transport(send_key, receive_key)


def _server_hello(payload: bytes) -> tuple[bytes, bytes, bytes]:
    try:
        hello = HandshakeMessage.FromString(payload).server_hello
    except ProtobufError as exc:
        raise HandshakeFailed("the server's hello can't be read") from exc
    if len(hello.ephemeral) != 32 or not hello.static or not hello.payload:
        raise HandshakeFailed("the server's hello lacks a part")
    return hello.ephemeral, hello.static, hello.payload
