"""What server and phone say while a device is paired."""

from __future__ import annotations

import hmac

from tests.support.noise_peer import NOW, Talk, device_keys, from_server, pair
from tocsin.signal.curve import sign
from tocsin.whatsapp.events import Event
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.pairing_pb2 import DeviceIdentity, SignedDeviceIdentity, SignedDeviceIdentityHmac

PHONE = JID.parse("6281234567890@s.whatsapp.net")


REFS = [f"2@ref{number}" for number in range(6)]


KEYS = device_keys()


def offer(refs: list[str] = REFS) -> Node:
    children = tuple(Node("ref", {}, ref.encode()) for ref in refs)
    return from_server("iq", {"type": "set", "xmlns": "md", "id": "5"}, Node("pair-device", {}, children))


def pair_success(adv_secret: bytes, *, account: str = "account") -> Node:
    """What the phone signs for our device, in the server's envelope."""
    key = pair(account)
    signed = SignedDeviceIdentity(
        details=DeviceIdentity(raw_id=1, timestamp=2, key_index=3).SerializeToString(),
        account_signature_key=key.public,
    )
    signed.account_signature = sign(
        key.private, b"\x06\x00" + signed.details + KEYS.identity.public, bytes(64)
    )
    details = signed.SerializeToString()
    container = SignedDeviceIdentityHmac(details=details, hmac=hmac.digest(adv_secret, details, "sha256"))
    children = (
        Node("device-identity", {}, container.SerializeToString()),
        Node("device", {"jid": PHONE.with_device(7), "lid": JID.parse("1000:7@lid")}),
        Node("platform", {"name": "android"}),
    )
    attrs: dict[str, str | JID] = {"type": "set", "xmlns": "md", "id": "6", "t": str(int(NOW))}
    return from_server("iq", attrs, Node("pair-success", {}, children))


def offered() -> tuple[Talk, list[Event]]:
    talk = Talk()
    events = talk.hears(offer())
    assert [node.attrs["type"] for node in talk.says()] == ["result"]
    return talk, events


def refresh(child: str) -> Node:
    return from_server("notification", {"type": "companion_reg_refresh", "id": "9"}, Node(child))
