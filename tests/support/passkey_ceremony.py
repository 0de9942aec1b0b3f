"""An unpaired connection, and a server and a phone that want the account's passkey, step by step."""

from __future__ import annotations

import base64
import hashlib
import json

from tests.support.noise_peer import Talk, from_server
from tests.support.pairing_stanzas import KEYS, offered
from tocsin.whatsapp.assertion import Assertion, check_assertion
from tocsin.whatsapp.events import Event, PasskeyRequested, QrOffered
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.passkey import Passkey, PhoneHalf, options

CHALLENGE = hashlib.sha256(b"challenge").digest()
REF = "2@a-fresh-ref"


def steady(size: int) -> bytes:
    return hashlib.shake_256(b"phone").digest(size)


PASSKEY = Passkey.made(steady)


class Gate:
    """`scanned`: the secret in the code that the phone scanned. `told`: all that the connection said."""

    def __init__(self, talk: Talk | None = None, scanned: bytes | None = None) -> None:
        if talk is None:
            talk, [qr] = offered()
            assert isinstance(qr, QrOffered)
            scanned = base64.b64decode(qr.text.split(",")[3])
        self.talk = talk
        self.scanned = scanned
        self.phone = PhoneHalf(KEYS.noise.public, KEYS.identity.public, scanned, steady)
        self.told: list[Event] = []
        self._requests: list[Node] = []

    def hears(self, *nodes: Node) -> list[Event]:
        events = self.talk.hears(*nodes)
        self.told += events
        return events

    def waits(self, seconds: float) -> list[Event]:
        events = self.talk.waits(seconds)
        self.told += events
        return events

    # The server

    def challenges(self, challenge: bytes = CHALLENGE, content: bytes | None = None) -> list[Event]:
        """`passkey_prologue_request`. `content`: in place of the options; empty: none."""
        children = [Node("passkey_request_options", {}, options(challenge) if content is None else content)]
        attrs = {"type": "passkey_prologue_request", "id": "80"}
        return self.hears(from_server("notification", attrs, *(children if content != b"" else ())))

    def asked(self) -> Node:
        """The request that the client sent last, acks left out; exactly one."""
        [node] = [node for node in self.talk.says() if node.tag == "iq"]
        return node

    def answers(self, request: Node, *children: Node) -> list[Event]:
        return self.hears(from_server("iq", {"type": "result", "id": request.attr_str("id")}, *children))

    def refuses(self, request: Node) -> list[Event]:
        error = Node("error", {"code": "400", "text": "bad-request"})
        return self.hears(from_server("iq", {"type": "error", "id": request.attr_str("id")}, error))

    def gives_ref(self) -> list[Event]:
        request = self.asked()
        assert request.child("ref") is not None
        return self.answers(request, Node("ref", {}, REF.encode()))

    def continues(self, content: bytes) -> list[Event]:
        half = Node("primary_ephemeral_identity", {}, content)
        return self.hears(from_server("notification", {"type": "crsc_continuation", "id": "81"}, half))

    # The operator

    def assertion(self, challenge: bytes = CHALLENGE) -> Assertion:
        answer = PASSKEY.answer(json.loads(options(challenge)))
        return check_assertion(json.dumps(answer), challenge)

    def pastes(self, challenge: bytes = CHALLENGE, *, always_ask: bool = False) -> list[Event]:
        self.talk.client.hand_over_assertion(self.assertion(challenge), self.talk.now, always_ask=always_ask)
        events = self.talk.client.events()
        self.told += events
        return events

    def compares(self, *, same: bool) -> list[Event]:
        self.talk.client.compare_codes(same, self.talk.now)
        events = self.talk.client.events()
        self.told += events
        return events

    # The way to each step. Each returns the request that is then to be answered, or the phone's half.

    def to_ref(self, *, always_ask: bool = False) -> Node:
        self.challenges()
        self.talk.says()
        self.pastes(always_ask=always_ask)
        return self.asked()

    def to_prologue(self, *, always_ask: bool = False) -> Node:
        self.answers(self.to_ref(always_ask=always_ask), Node("ref", {}, REF.encode()))
        return self.asked()

    def to_half(self, *, always_ask: bool = False) -> bytes:
        request = self.to_prologue(always_ask=always_ask)
        prologue = request.require_child("passkey_prologue")
        proof = prologue.child("pairing_handoff_proof")
        half = self.phone.begin(
            prologue.require_child("prologue_payload").bytes(), proof.bytes(32) if proof else None, REF
        )
        self.answers(request)
        return half

    def to_nonce(self, *, always_ask: bool = False) -> Node:
        self.continues(self.to_half(always_ask=always_ask))
        return self.asked()

    def to_code(self, *, always_ask: bool = False) -> list[Event]:
        request = self.to_nonce(always_ask=always_ask)
        self.phone.open_nonce(request.require_child("companion_nonce").bytes(32))
        return self.answers(request)

    def to_pairing(self) -> Node:
        self.to_code()
        return self.asked()

    def to_vouching(self) -> bytes:
        """The secret that the phone vouches with."""
        request = self.to_pairing()
        secret = self.phone.open_request(request.require_child("encrypted_pairing_request").bytes())
        self.answers(request)
        return secret


def requested(events: list[Event]) -> PasskeyRequested:
    [event] = events
    assert isinstance(event, PasskeyRequested)
    return event
