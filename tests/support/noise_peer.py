"""The other side of a connection, for tests: the Noise responder, and a little world of keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.x3dh import SignedPreKey
from tocsin.whatsapp.connection import Config, Connection
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.device_keys import DeviceKeys, Login
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.events import Event
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.noise import SymmetricState, Transport
from tocsin.whatsapp.proto.handshake_pb2 import CertChain, HandshakeMessage

NOW = 1_788_000_000.0
OWN_PN = JID.parse("628110000001:2@s.whatsapp.net")
OWN_LID = JID.parse("100000000000001:2@lid")


def entropy() -> Callable[[int], bytes]:
    """Bytes that differ at each call and repeat at each run."""
    calls = 0

    def random(size: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(calls.to_bytes(4, "big")).digest(size)

    return random


def pair(name: str) -> KeyPair:
    return key_pair(hashlib.sha256(name.encode()).digest())


ROOT = pair("root")


def device_keys(login: Login | None = None, routing_info: bytes | None = None) -> DeviceKeys:
    identity, prekey = pair("identity"), pair("signed prekey")
    signature = sign(identity.private, encode_point(prekey.public), bytes(64))
    return DeviceKeys(
        noise=pair("noise"),
        identity=identity,
        registration_id=1234,
        signed_prekey=SignedPreKey(1, prekey, signature),
        adv_secret=b"s" * 32,
        login=login,
        routing_info=routing_info,
    )


def certificate(static: bytes) -> bytes:
    """A chain that certifies `static` under ROOT."""
    issuer = pair("intermediate")
    chain = CertChain()
    _certify(chain.intermediate, ROOT, issuer.public, serial=7, issuer_serial=0)
    _certify(chain.leaf, issuer, static, serial=8, issuer_serial=7)
    return chain.SerializeToString()


def _certify(
    target: CertChain.NoiseCertificate, issuer: KeyPair, key: bytes, *, serial: int, issuer_serial: int
) -> None:
    details = CertChain.NoiseCertificate.Details(
        serial=serial,
        issuer_serial=issuer_serial,
        key=key,
        not_before=int(NOW) - 9,
        not_after=int(NOW) + 99999,
    )
    target.details = details.SerializeToString()
    target.signature = sign(issuer.private, target.details, bytes(64))


class Peer:
    """Answers the handshake, then reads and writes nodes. `certificate` may be replaced by a bad one."""

    def __init__(self) -> None:
        self.static = pair("server static")
        self.certificate = certificate(self.static.public)
        self.client_payload = b""
        self._ephemeral = pair("server ephemeral")
        self._state = SymmetricState()
        self._splitter = FrameSplitter()
        self._transport: Transport | None = None

    def answer_hello(self, first_write: bytes) -> bytes:
        intro, rest = first_write[: len(INTRO)], first_write[len(INTRO) :]
        assert intro == INTRO
        [payload] = self._splitter.feed(rest)
        remote = HandshakeMessage.FromString(payload).client_hello.ephemeral
        state, reply = self._state, HandshakeMessage()
        state.mix_hash(remote)
        reply.server_hello.ephemeral = self._ephemeral.public
        state.mix_hash(self._ephemeral.public)
        state.mix_agreement(self._ephemeral.private, remote)
        reply.server_hello.static = state.encrypt(self.static.public)
        state.mix_agreement(self.static.private, remote)
        reply.server_hello.payload = state.encrypt(self.certificate)
        return frame(reply.SerializeToString())

    def take_finish(self, write: bytes) -> None:
        [payload] = self._splitter.feed(write)
        finish = HandshakeMessage.FromString(payload).client_finish
        static = self._state.decrypt(finish.static)
        self._state.mix_agreement(self._ephemeral.private, static)
        self.client_payload = self._state.decrypt(finish.payload)
        receive, send = self._state.split()
        self._transport = Transport(send, receive)

    def seal(self, plaintext: bytes) -> bytes:
        assert self._transport is not None
        return frame(self._transport.encrypt(plaintext))

    def open(self, writes: Iterable[bytes]) -> list[Node]:
        assert self._transport is not None
        frames = [one for write in writes for one in self._splitter.feed(write)]
        return [decode(self._transport.decrypt(one)) for one in frames]


class Talk:
    """A client connection and its peer, with one clock. `client` has finished the handshake."""

    def __init__(self, login: Login | None = None) -> None:
        self.now = NOW
        self.peer = Peer()
        self._said: list[Node] = []
        self.client = Connection(device_keys(login), Config(root_key=ROOT.public), random=entropy())
        self.client.start(self.now)
        [hello] = self.client.data_to_send()
        self.client.receive_data(self.peer.answer_hello(hello), self.now)
        [finish] = self.client.data_to_send()
        self.peer.take_finish(finish)

    def hears(self, *nodes: Node) -> list[Event]:
        """The peer sends nodes; what the client makes of them."""
        for node in nodes:
            self.client.receive_data(self.peer.seal(encode(node)), self.now)
        return self.client.events()

    def says(self) -> list[Node]:
        """What the client has sent since the last look."""
        said, self._said = self._said + self.peer.open(self.client.data_to_send()), []
        return said

    def waits(self, seconds: float, *, alive: bool = True) -> list[Event]:
        """Time passes in the client's own steps; the peer, while `alive`, answers pings and nothing else."""
        end = self.now + seconds
        events: list[Event] = []
        while (tick := self.client.next_tick) is not None and tick <= end:
            self.now = max(self.now, tick)
            self.client.tick(self.now)
            if alive:
                self._answer_pings()
            events += self.client.events()
        self.now = end
        return events

    def _answer_pings(self) -> None:
        for node in self.peer.open(self.client.data_to_send()):
            if node.attrs.get("xmlns") == "w:p":
                answer = from_server("iq", {"type": "result", "id": node.attr_str("id")})
                self.client.receive_data(self.peer.seal(encode(answer)), self.now)
            else:
                self._said.append(node)


def logged_in(push_name: str | None = "Help desk") -> Talk:
    """A talk past `<success>`."""
    talk = Talk(Login(OWN_PN, OWN_LID, 3, push_name))
    talk.hears(Node("success", {"t": str(int(NOW)), "lid": OWN_LID}))
    return talk


def from_server(tag: str, attrs: dict[str, str | JID], *children: Node) -> Node:
    return Node(tag, {"from": SERVER, **attrs}, children or None)
