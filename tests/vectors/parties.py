"""The parties of the ratchet vectors: what each holds, and each operation that a step may ask for."""

from dataclasses import dataclass, field
from typing import Any

from tests.vectors.folder import unhex
from tocsin.signal import session
from tocsin.signal.curve import KeyPair, decode_point, encode_point, key_pair
from tocsin.signal.errors import (
    BadMac,
    Duplicate,
    FutureMessage,
    InvalidMessage,
    NoPreKey,
    NoSession,
    SignalError,
    UntrustedIdentity,
)
from tocsin.signal.state import Record, State, decode_record, encode_record
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate

CLASSES: list[tuple[type[SignalError], str]] = [
    (Duplicate, "duplicate"),
    (BadMac, "bad-mac"),
    (FutureMessage, "future"),
    (NoSession, "no-session"),
    (NoPreKey, "no-prekey"),
    (UntrustedIdentity, "untrusted"),
    (InvalidMessage, "invalid"),
]
NOW = 1_700_000_000


def class_of(error: SignalError) -> str:
    return next(name for kind, name in CLASSES if isinstance(error, kind))


@dataclass
class Party:
    """One device with its store: keys, records and pinned identities by peer."""

    local: Local
    prekeys: dict[int, KeyPair]
    records: dict[str, Record] = field(default_factory=dict)
    pinned: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: dict[str, Any]) -> "Party":
        def pairs(specs: list[dict[str, Any]]) -> dict[int, KeyPair]:
            return {each["id"]: key_pair(unhex(each["priv"])) for each in specs}

        identity = key_pair(unhex(spec["identity_priv"]))
        assert encode_point(identity.public) == unhex(spec["identity_pub"])
        local = Local(identity, spec["registration_id"], pairs(spec["signed_prekeys"]))
        return cls(local, pairs(spec["prekeys"]))

    def copy(self) -> "Party":
        return Party(self.local, dict(self.prekeys), dict(self.records), dict(self.pinned))

    def current(self, peer: str) -> State | None:
        return self.records[peer].current if peer in self.records else None

    def init(self, step: dict[str, Any]) -> None:
        spec, peer = step["bundle"], step["peer"]
        prekey_id = spec.get("prekey_id")
        bundle = PreKeyBundle(
            registration_id=spec["registration_id"],
            identity=decode_point(unhex(spec["identity_pub"])),
            signed_prekey_id=spec["signed_prekey_id"],
            signed_prekey=decode_point(unhex(spec["signed_prekey_pub"])),
            signed_prekey_signature=unhex(spec["signed_prekey_signature"]),
            prekey_id=prekey_id,
            prekey=None if prekey_id is None else decode_point(unhex(spec["prekey_pub"])),
        )
        pinned = self.pinned.get(peer, bundle.identity)
        if pinned != bundle.identity:
            raise UntrustedIdentity(pinned, bundle.identity)
        base, ratchet = key_pair(unhex(step["base_priv"])), key_pair(unhex(step["ratchet_priv"]))
        state = initiate(self.local, bundle, base=base, ratchet=ratchet, now=NOW)
        self.pinned[peer] = bundle.identity
        self.records[peer] = session.start(self.records.get(peer), state, NOW)

    def encrypt(self, step: dict[str, Any], plaintext: bytes) -> session.Ciphertext:
        peer = step["peer"]
        self.records[peer], message = session.send(
            self.records.get(peer), local=self.local, plaintext=plaintext
        )
        return message

    def decrypt(self, step: dict[str, Any]) -> session.Decryption:
        peer = step["peer"]
        message = session.parse(step["type"], unhex(step["ciphertext"]))
        prekey = None
        if isinstance(message, PreKeyMessage) and message.prekey_id is not None:
            prekey = self.prekeys.get(message.prekey_id)
        opened = session.decrypt(
            self.records.get(peer),
            message,
            self.local,
            prekey=prekey,
            ratchet=unhex(step.get("ratchet_priv", "00" * 32)),
            now=NOW,
            pinned=self.pinned.get(peer),
        )
        if opened.consumed_prekey is not None:
            del self.prekeys[opened.consumed_prekey]
        if isinstance(message, PreKeyMessage):
            self.pinned[peer] = message.identity
        self.records[peer] = opened.record
        assert decode_record(encode_record(opened.record)) == opened.record
        return opened
