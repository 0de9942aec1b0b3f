"""The responder's side of Noise_XX, and the bytes that come before the first frame."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import KeyPair
from tocsin.whatsapp.errors import HandshakeFailed
from tocsin.whatsapp.frames import INTRO
from tocsin.whatsapp.noise import SymmetricState, Transport
from tocsin.whatsapp.proto.handshake_pb2 import HandshakeMessage

ROUTING = b"ED\x00\x01"


class Intro:
    """Takes off what a client says before its first frame: routing information if it was given some, then
    `WA 06 03`. Feed it until `done`; raises HandshakeFailed for anything else. `routing`: empty if none
    came."""

    def __init__(self) -> None:
        self._buffer = b""
        self.routing = b""
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Return what follows the intro; nothing while it is incomplete."""
        if self.done:
            return data
        self._buffer += data
        start = 0
        if self._buffer.startswith(ROUTING):
            if len(self._buffer) < 7:
                return b""
            start = 7 + int.from_bytes(self._buffer[4:7], "big")
        elif not ROUTING.startswith(self._buffer[:4]):
            self._check(self._buffer[:4])
        if len(self._buffer) < start + len(INTRO):
            return b""
        self._check(self._buffer[start : start + len(INTRO)])
        self.routing = self._buffer[7:start]
        rest, self._buffer, self.done = self._buffer[start + len(INTRO) :], b"", True
        return rest

    @staticmethod
    def _check(said: bytes) -> None:
        if not INTRO.startswith(said):
            raise HandshakeFailed("the client's first bytes are not WA, 6, 3")


@dataclass(frozen=True)
class ClientFinish:
    """Who the client proved to be (`static`, its Noise key), what it says of itself, and the open cipher."""

    static: bytes
    payload: bytes = field(repr=False)
    transport: Transport


class ServerHandshake:
    """Two steps: `answer` to the ClientHello, then `finish` with the ClientFinish. One per connection.

    `ephemeral`: a fresh pair. `certificates`: the serialised chain for `static`.
    """

    def __init__(self, static: KeyPair, ephemeral: KeyPair, certificates: bytes) -> None:
        self._static = static
        self._ephemeral = ephemeral
        self._certificates = certificates
        self._state = SymmetricState()

    def answer(self, client_hello: bytes) -> bytes:
        """The ServerHello, as a frame payload. Raises HandshakeFailed."""
        client_ephemeral = _parsed(client_hello).client_hello.ephemeral
        if len(client_ephemeral) != 32:
            raise HandshakeFailed("the client's hello has no ephemeral key")
        state = self._state
        state.mix_hash(client_ephemeral)
        state.mix_hash(self._ephemeral.public)
        message = HandshakeMessage()
        message.server_hello.ephemeral = self._ephemeral.public
        state.mix_agreement(self._ephemeral.private, client_ephemeral)
        message.server_hello.static = state.encrypt(self._static.public)
        state.mix_agreement(self._static.private, client_ephemeral)
        message.server_hello.payload = state.encrypt(self._certificates)
        return message.SerializeToString()

    def finish(self, client_finish: bytes) -> ClientFinish:
        """Raises HandshakeFailed if a part is missing or doesn't decrypt."""
        finish = _parsed(client_finish).client_finish
        state = self._state
        static = state.decrypt(finish.static)
        if len(static) != 32:
            raise HandshakeFailed("the client's static key has not 32 bytes")
        state.mix_agreement(self._ephemeral.private, static)
        payload = state.decrypt(finish.payload)
        receive_key, send_key = state.split()
        return ClientFinish(static, payload, Transport(send_key, receive_key))


def _parsed(payload: bytes) -> HandshakeMessage:
    try:
        return HandshakeMessage.FromString(payload)
    except ProtobufError as error:
        raise HandshakeFailed("a handshake message can't be read") from error
