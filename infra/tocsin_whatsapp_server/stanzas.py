"""The stanzas that a server writes. Everything a client writes is built in `tocsin.whatsapp`."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, PN, SERVER, phash
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.directory import Account, Device, SignedPreKey
from tocsin_whatsapp_server.pairing import foreign_identity


def result(iq: Node, *children: Node, now: int | None = None) -> Node:
    """The answer to an iq. Silence hurts clients more than an empty answer does."""
    attrs: dict[str, str | JID] = {"from": SERVER, "id": iq.attr_str("id"), "type": "result"}
    if now is not None:
        attrs["t"] = str(now)
    return Node("iq", attrs, children or None)


def iq_error(iq: Node, code: int, text: str) -> Node:
    attrs: dict[str, str | JID] = {"from": SERVER, "id": iq.attr_str("id"), "type": "error"}
    return Node("iq", attrs, (Node("error", {"code": str(code), "text": text}),))


def success(device: Device, now: int) -> Node:
    return Node("success", {"t": str(now), "lid": device.lid, "props": "27", "location": "local", "abt": "1"})


def failure(reason: int, **more: str) -> Node:
    return Node("failure", {"reason": str(reason), "location": "local", **more})


def stream_error(code: int | None = None, conflict: str | None = None, text: str | None = None) -> Node:
    """How a connection ends. `conflict`: `replaced` or `device_removed`; `text`: the tag of a child without
    attributes, such as `xml-not-well-formed`."""
    attrs = {"code": str(code)} if code is not None else {}
    children = [Node("conflict", {"type": conflict})] if conflict else []
    if text:
        children.append(Node(text))
    return Node("stream:error", attrs, tuple(children) or None)


def offline_preview(messages: int, receipts: int, notifications: int) -> Node:
    counts = {
        "count": messages + receipts + notifications,
        "message": messages,
        "receipt": receipts,
        "notification": notifications,
        "appdata": 0,
        "call": 0,
    }
    preview = Node("offline_preview", {name: str(value) for name, value in counts.items()})
    return Node("ib", {"from": SERVER}, (preview,))


def offline_done(count: int) -> Node:
    return Node("ib", {"from": SERVER}, (Node("offline", {"count": str(count)}),))


def picture_changed(number: str, identity: str, now: int) -> Node:
    """Somebody has a new picture: of no use to a notifier, and to be acknowledged all the same."""
    attrs: dict[str, str | JID] = {"from": JID(number, PN), "type": "picture", "id": identity, "t": str(now)}
    return Node("notification", attrs, (Node("set", {"id": str(now)}),))


def privacy_token(issuer: Account, contact: Account, token: bytes, identity: str, now: int) -> Node:
    """To the devices of `contact`: `issuer` trusts it. The JID inside is the contact's own."""
    given: dict[str, str | JID] = {"jid": contact.pn, "t": str(now), "type": "trusted_contact"}
    tokens = Node("tokens", {}, (Node("token", given, token),))
    attrs: dict[str, str | JID] = {
        "from": issuer.pn,
        "sender_lid": issuer.lid,
        "type": "privacy_token",
        "id": identity,
        "t": str(now),
    }
    return Node("notification", attrs, (tokens,))


def without_copy(message: Node) -> Node:
    """A message of which its sender made no copy for this device."""
    return Node("message", message.attrs, (Node("unavailable", {"type": "view_once"}),))


def spoilt_bundle(user: Node, what: str) -> Node:
    """A `<user>` of the answer to a key request, as a broken or hostile server might give it."""
    jid = {"jid": user.attr_jid("jid")}
    if what == "error":
        return Node("user", jid, (Node("error", {"code": "503", "text": "service-unavailable"}),))
    if what in ("unvouched", "foreign"):
        kept = tuple(child for child in user.children() if child.tag != "device-identity")
        vouched = (Node("device-identity", {}, foreign_identity(user.require_child("identity").bytes(32))),)
        return Node("user", user.attrs, (*kept, *(vouched if what == "foreign" else ())))
    return Node("user", user.attrs, tuple(_spoilt(child, what) for child in user.children()))


def _spoilt(child: Node, what: str) -> Node:
    if child.tag not in ("skey", "key") or (what == "signature" and child.tag == "key"):
        return child
    name = "signature" if what == "signature" else "value"
    parts = (
        Node(part.tag, part.attrs, bytes(len(part.bytes()))) if part.tag == name else part
        for part in child.children()
    )
    return Node(child.tag, child.attrs, tuple(parts))


def message_ack(
    message: Node,
    now: int,
    *,
    error: int | None = None,
    phash: str | None = None,
    addressing_mode: str | None = None,
) -> Node:
    """`phash` tells the sender that its list of devices isn't ours; `addressing_mode`: the group's own."""
    attrs: dict[str, str | JID] = {
        "class": "message",
        "id": message.attr_str("id"),
        "from": message.attr_jid("to"),
        "t": str(now),
    }
    if error is not None:
        attrs["error"] = str(error)
    if phash is not None:
        attrs["phash"] = phash
    if addressing_mode is not None:
        attrs["addressing_mode"] = addressing_mode
    return Node("ack", attrs)


def receipt_ack(receipt: Node) -> Node:
    attrs: dict[str, str | JID] = {
        "class": "receipt",
        "id": receipt.attr_str("id"),
        "from": receipt.attr_jid("to"),
    }
    if kind := receipt.optional_str("type"):
        attrs["type"] = kind
    if participant := receipt.optional_jid("participant"):
        attrs["participant"] = participant
    return Node("ack", attrs)


def other_address(sender: Account, server: str) -> tuple[str, JID]:
    """The attribute that names the sender in the other family, by which clients join both to one session."""
    if server == sender.pn.server:
        return "sender_lid", sender.lid
    return "sender_pn", sender.pn


def device_list(account: Account, server: str) -> Node:
    """`<devices>` of a usync answer. Companions carry their key index: without it clients leave them out."""
    nodes = tuple(
        Node("device", {"id": str(device.number)} | _key_index(device)) for device in account.devices.values()
    )
    listed = Node("device-list", {"hash": device_hash(account, server)}, nodes)
    newest = max((device.linked_at for device in account.devices.values()), default=0)
    return Node("devices", {}, (listed, _key_index_list(account, newest)))


def _key_index_list(account: Account, ts: int) -> Node:
    return Node("key-index-list", {"ts": str(ts)}, account.key_indexes() if account.key_indexes else None)


def device_hash(account: Account, server: str) -> str:
    return phash(device.address(server) for device in account.devices.values())


def _key_index(device: Device) -> dict[str, str]:
    attrs = {"key-index": str(device.key_index)} if device.number else {}
    return attrs | ({"is_hosted": "true"} if device.number == HOSTED_DEVICE else {})


def devices_changed(device: Device, change: str, identity: str, now: int) -> Node:
    """To the account's contacts: `change` is `add` or `remove`."""
    account = device.account
    entry = Node("device", {"jid": device.pn, "lid": device.lid, **_key_index(device)})
    attrs = {
        "device_hash": device_hash(account, account.pn.server),
        "device_lid_hash": device_hash(account, account.lid.server),
    }
    children = (entry, _key_index_list(account, now))
    return Node(
        "notification",
        {"from": account.pn, "lid": account.lid, "type": "devices", "id": identity, "t": str(now)},
        (Node(change, attrs, children),),
    )


def own_devices_changed(account: Account, identity: str, now: int) -> Node:
    """To the account's own devices: the whole list after the change."""
    entries = tuple(
        Node("device", {"jid": device.pn, "lid": device.lid, **_key_index(device)})
        for device in account.devices.values()
    )
    devices = Node("devices", {"dhash": device_hash(account, account.pn.server)}, entries)
    return Node(
        "notification",
        {"from": account.pn, "type": "account_sync", "id": identity, "t": str(now)},
        (devices,),
    )


def identity_changed(account: Account, identity: str, now: int) -> Node:
    """To the contacts of a phone that was installed anew."""
    return Node(
        "notification",
        {"from": account.pn, "lid": account.lid, "type": "encrypt", "id": identity, "t": str(now)},
        (Node("identity"),),
    )


def prekeys_low(count: int, identity: str, now: int) -> Node:
    return Node(
        "notification",
        {"from": SERVER, "type": "encrypt", "id": identity, "t": str(now)},
        (Node("count", {"value": str(count)}),),
    )


def bundle(
    jid: JID,
    *,
    registration_id: int,
    identity: bytes,
    signed_prekey: SignedPreKey,
    prekey: tuple[int, bytes] | None,
    device_identity: bytes | None,
    now: int,
) -> Node:
    """One `<user>` of a key answer; `jid` as it was asked for. Lengths are exact: 4, 1, 32, 3, 32, 64."""
    children = [
        Node("registration", {}, registration_id.to_bytes(4, "big")),
        Node("type", {}, b"\x05"),
        Node("identity", {}, identity),
        Node("skey", {}, (*_key(signed_prekey.id, signed_prekey.public), _signature(signed_prekey))),
    ]
    if prekey is not None:
        children.append(Node("key", {}, _key(*prekey)))
    if device_identity is not None:
        children.append(Node("device-identity", {}, device_identity))
    return Node("user", {"jid": jid, "t": str(now)}, tuple(children))


def _key(key_id: int, public: bytes) -> tuple[Node, Node]:
    return Node("id", {}, key_id.to_bytes(3, "big")), Node("value", {}, public)


def _signature(signed_prekey: SignedPreKey) -> Node:
    return Node("signature", {}, signed_prekey.signature)


def key_digest(device: Device) -> Node:
    """What the server holds of a device; a client compares it, or only looks that it is there."""
    ids: Iterable[int] = device.prekeys
    return Node(
        "digest",
        {},
        (
            Node("registration", {}, device.registration_id.to_bytes(4, "big")),
            Node("type", {}, b"\x05"),
            Node("identity", {}, device.identity),
            Node(
                "skey",
                {},
                (
                    *_key(device.signed_prekey.id, device.signed_prekey.public),
                    _signature(device.signed_prekey),
                ),
            ),
            Node("list", {}, tuple(Node("id", {}, key_id.to_bytes(3, "big")) for key_id in ids)),
        ),
    )
