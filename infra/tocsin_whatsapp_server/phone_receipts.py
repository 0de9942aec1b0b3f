"""The stanzas with which a phone answers a message: ack, receipts, and the retry receipt with its keys."""

from __future__ import annotations

from tocsin.signal.curve import encode_point, verify
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.directory import Account
from tocsin_whatsapp_server.endpoint import Keys

MAX_RETRIES = 5
"""So often a phone asks for one message, and so often it answers when it is asked."""


def acknowledgement(stanza: Node) -> Node:
    attrs: dict[str, str | JID] = {
        "class": stanza.tag,
        "id": stanza.attr_str("id"),
        "to": stanza.attr_jid("from"),
    }
    kind = stanza.optional_str("type")
    if kind is not None and stanza.tag != "message":
        attrs["type"] = kind
    if participant := stanza.optional_jid("participant"):
        attrs["participant"] = participant
    return Node("ack", attrs)


def delivery_receipt(stanza: Node, sender: JID, own: Account, *, is_own: bool) -> Node:
    """`is_own`: the message is of another device of the phone's own account."""
    attrs: dict[str, str | JID] = {"id": stanza.attr_str("id"), "to": sender}
    recipient = stanza.optional_jid("recipient")
    if "participant" in stanza.attrs:
        attrs |= {"to": stanza.attr_jid("from"), "participant": sender}
        if is_own:
            attrs["type"] = "sender"
    elif stanza.optional_str("category") == "peer":
        attrs |= {"to": own.bare(sender.server), "type": "peer_msg"}
    elif recipient is not None:
        attrs |= {"recipient": recipient, "type": "sender"}
    return Node("receipt", attrs)


def retry_receipt(stanza: Node, count: int, code: int, registration_id: int, keys: Node | None) -> Node:
    """Ask for a message the `count`th time. `code`: why. `keys`: where a new session is wanted."""
    retry = {
        "count": str(count),
        "id": stanza.attr_str("id"),
        "t": stanza.attr_str("t"),
        "v": "1",
        "error": str(code),
    }
    registration = Node("registration", {}, registration_id.to_bytes(4, "big"))
    attrs: dict[str, str | JID] = {
        "id": stanza.attr_str("id"),
        "to": stanza.attr_jid("from"),
        "type": "retry",
    }
    for kept in ("recipient", "participant"):
        if jid := stanza.optional_jid(kept):
            attrs[kept] = jid
    return Node("receipt", attrs, (Node("retry", retry), registration, *([keys] if keys else [])))


def offered_keys(keys: Keys, prekey_id: int, prekey: bytes, signature: bytes, identity: bytes | None) -> Node:
    """The `<keys>` of a retry receipt. `prekey`: one that was never uploaded. `identity`: who vouches for a
    companion."""
    signed = keys.signed_prekey
    signed_prekey = (
        Node("id", {}, signed.id.to_bytes(3, "big")),
        Node("value", {}, signed.public),
        Node("signature", {}, signature),
    )
    one_time = (Node("id", {}, prekey_id.to_bytes(3, "big")), Node("value", {}, prekey))
    vouching = [Node("device-identity", {}, identity)] if identity is not None else []
    return Node(
        "keys",
        {},
        (
            Node("type", {}, b"\x05"),
            Node("identity", {}, keys.identity.public),
            Node("key", {}, one_time),
            Node("skey", {}, signed_prekey),
            *vouching,
        ),
    )


def offered_bundle(keys: Node, registration_id: int) -> PreKeyBundle:
    """The `<keys>` of a retry receipt. Raises InvalidStanza, BadSignature."""
    skey, one_time = keys.require_child("skey"), keys.child("key")
    identity, signed_prekey = keys.require_child("identity").bytes(32), skey.require_child("value").bytes(32)
    signature = skey.require_child("signature").bytes(64)
    verify(identity, encode_point(signed_prekey), signature)
    return PreKeyBundle(
        registration_id=registration_id,
        identity=identity,
        signed_prekey_id=int.from_bytes(skey.require_child("id").bytes(3), "big"),
        signed_prekey=signed_prekey,
        signed_prekey_signature=signature,
        prekey_id=int.from_bytes(one_time.require_child("id").bytes(3), "big") if one_time else None,
        prekey=one_time.require_child("value").bytes(32) if one_time else None,
    )
