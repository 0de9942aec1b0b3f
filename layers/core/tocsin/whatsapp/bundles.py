"""Prekey bundles: what other devices publish to have sessions started with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp.adv import Voucher
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.iq import checked, refused, request
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

MAX_PER_REQUEST = 100


@dataclass(frozen=True, slots=True)
class BundleError:
    """No bundle for this device. `code`: the server's, or 0 for a bundle that can't be used."""

    code: int
    text: str


def fetch_bundles(devices: Iterable[JID], *, replace: bool = False) -> Node:
    """Ask for at most 100 bundles. `devices`: LID device JIDs. `replace`: a session is to be replaced."""
    reason = {"reason": "identity"} if replace else {}
    users = tuple(Node("user", {"jid": device, **reason}) for device in devices)
    return request("get", "encrypt", Node("key", {}, users))


def parse_bundles(answer: Node) -> dict[JID, PreKeyBundle | BundleError]:
    """Each device's bundle or why there is none. No signature is verified yet, neither that of the signed
    prekey nor those by which a phone vouches for a companion.

    Raises `IqRefused` if the whole request was, `InvalidStanza` if the answer has no list.
    """
    bundles: dict[JID, PreKeyBundle | BundleError] = {}
    for user in checked(answer).require_child("list").children("user"):
        device = user.attr_jid("jid")
        error = user.child("error")
        if error is not None:
            why = refused(error)
            bundles[device] = BundleError(why.code, why.text)
            continue
        try:
            bundles[device] = parse_bundle(user, user)
        except InvalidStanza as exc:
            bundles[device] = BundleError(0, exc.reason)
    return bundles


def parse_bundle(keys: Node, outer: Node) -> PreKeyBundle:
    """The bundle in `keys`; `outer` holds the registration id (the same node, but in retry receipts)."""
    if keys.require_child("type").bytes(1) != b"\x05":
        raise InvalidStanza("key type isn't 5")
    signed = keys.require_child("skey")
    prekey = keys.child("key")
    vouching = keys.child("device-identity")
    return PreKeyBundle(
        registration_id=int.from_bytes(outer.require_child("registration").bytes(4), "big"),
        identity=keys.require_child("identity").bytes(32),
        signed_prekey_id=_key_id(signed),
        signed_prekey=signed.require_child("value").bytes(32),
        signed_prekey_signature=signed.require_child("signature").bytes(64),
        prekey_id=_key_id(prekey) if prekey is not None else None,
        prekey=prekey.require_child("value").bytes(32) if prekey is not None else None,
        voucher=Voucher(vouching.bytes()) if vouching is not None else None,
    )


def _key_id(key: Node) -> int:
    return int.from_bytes(key.require_child("id").bytes(3), "big")
