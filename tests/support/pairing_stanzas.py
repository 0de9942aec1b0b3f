"""What server and phone say while a device is paired."""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.noise_peer import NOW, Talk, device_keys, from_server, pair
from tocsin.signal.curve import agree, sign
from tocsin.whatsapp import link_code
from tocsin.whatsapp.events import Event, PairingCodeOffered
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


# A code to type


def code_offered() -> tuple[Talk, str, Node]:
    """A talk in which a code is shown, the code, and the request for it."""
    talk, _ = offered()
    talk.client.request_pairing_code(PHONE, talk.now)
    [asked] = talk.says()
    reg = Node("link_code_companion_reg", {}, (Node("link_code_pairing_ref", {}, b"ref"),))
    [event] = talk.hears(from_server("iq", {"type": "result", "id": asked.attr_str("id")}, reg))
    assert isinstance(event, PairingCodeOffered)
    return talk, event.code.replace("-", ""), asked


def primary_hello(code: str, ref: bytes = b"ref") -> Node:
    wrapped = link_code.wrap_ephemeral(code, pair("phone ephemeral").public, bytes(32), bytes(16))
    children = (
        Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped),
        Node("primary_identity_pub", {}, pair("account").public),
        Node("link_code_pairing_ref", {}, ref),
    )
    reg = Node("link_code_companion_reg", {"stage": "primary_hello"}, children)
    return from_server("notification", {"type": "link_code_companion_reg", "id": "9"}, reg)


def phone_opens(wrapped: bytes, companion_ephemeral: bytes) -> bytes:
    """The ADV secret, computed on the phone's side."""

    def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
        return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")

    shared = agree(pair("phone ephemeral").private, companion_ephemeral)
    key = hkdf(shared, wrapped[:32], b"link_code_pairing_key_bundle_encryption_key")
    plaintext = AESGCM(key).decrypt(wrapped[32:44], wrapped[44:], None)
    assert plaintext[:64] == KEYS.identity.public + pair("account").public
    identities = agree(pair("account").private, KEYS.identity.public)
    return hkdf(shared + identities + plaintext[64:], bytes(32), b"adv_secret")


def secret_behind(code: str, asked: Node, finish: Node) -> bytes:
    companion = link_code.unwrap_ephemeral(
        code,
        asked.require_child("link_code_companion_reg")
        .require_child("link_code_pairing_wrapped_companion_ephemeral_pub")
        .bytes(),
    )
    reg = finish.require_child("link_code_companion_reg")
    return phone_opens(reg.require_child("link_code_pairing_wrapped_key_bundle").bytes(156), companion)
