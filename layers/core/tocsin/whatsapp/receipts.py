"""Acks and receipts: what tells the server that a stanza needn't come again, and the sender how it fared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.whatsapp.errors import InvalidStanza, StanzaRefused
from tocsin.whatsapp.jid import JID, LID, NEWSLETTER
from tocsin.whatsapp.message import (
    MAX_RETRY_COUNT,
    PARTICIPANT_OUTSIDE_GROUP,
    demand_agreement,
    is_shared,
    parse_message,
)
from tocsin.whatsapp.node import Node, present

if TYPE_CHECKING:
    from tocsin.signal.x3dh import PreKeyBundle, SignedPreKey

# Negative acks: why a message won't be handled.
PARSE_ERROR = 487
UNKNOWN_STANZA = 488
INVALID_PROTOBUF = 491
NO_SECRET = 495

MAX_RECEIPT_IDS = 1000
"""WhatsApp's own clients name 256 at most; each may be looked up."""

MAX_RECEIPT_LOOKUPS = 5000
"""Ids times people: each pair is looked up. A gathered receipt names one message and a group's members."""

READABLE = frozenset({"msg", "pkmsg", "skmsg"})

_STATUS = {
    "": "delivered",
    "inactive": "delivered",
    "read": "read",
    "played": "read",
}


def ack(node: Node, error: int | None = None) -> Node:
    """Tell the server that `node` (message, receipt, notification or call) is safe with us.

    `error`: a negative ack. The type is copied, but not that of a message.
    """
    attrs = {
        "class": node.tag,
        "id": node.attrs.get("id"),
        "to": node.attrs.get("from"),
        "participant": node.attrs.get("participant"),
        "recipient": node.attrs.get("recipient"),
        "type": node.attrs.get("type") if node.tag != "message" else None,
        "error": str(error) if error is not None else None,
    }
    return Node("ack", present(attrs))


def refusal_of(node: Node) -> int | None:
    """The code of the negative ack for a message of which nothing could ever be read; None for whatever else.

    Such a message needn't be stored. A newsletter's has no ciphertext, and isn't for us.
    """
    if node.tag != "message":
        return None
    try:
        message = parse_message(node)
    except InvalidStanza:
        return PARSE_ERROR
    if message.unavailable is not None or message.chat.server == NEWSLETTER:
        return None
    kinds = {enc.type for enc in message.encs}
    if kinds & READABLE:
        return None
    return NO_SECRET if kinds == {"msmsg"} else UNKNOWN_STANZA


def decline(call: Node) -> Node | None:
    """End the ringing of a call; None if this stanza of a call isn't the offer of one."""
    offer = call.child("offer")
    if offer is None:
        return None
    asked = {
        "call-id": offer.attrs.get("call-id"),
        "call-creator": offer.attrs.get("call-creator"),
        "count": "0",
    }
    refusal = Node("reject", present(asked))
    return Node("call", present({"id": call.attrs.get("id"), "to": call.attrs.get("from")}), (refusal,))


def delivery_receipt(node: Node, type: str | None = "inactive") -> Node:
    """Confirm a message that was decrypted and stored; it replaces the ack.

    `type`: `inactive` while we aren't marked as online, `sender` for a message of an own other device,
    `peer_msg` for a control message, None if we are online.
    """
    return Node("receipt", present({**_addressed(node), "type": type}))


def read_receipt(node: Node, kind: str, at: int) -> Node:
    """Say that a message was read. `kind`: `read`, or `read-self` where only our own devices may know."""
    origin = node.attr_jid("from")
    in_group = is_shared(origin)
    sender = node.optional_jid("participant")
    attrs = {
        "id": node.attrs.get("id"),
        "to": origin if in_group else origin.chat,
        "participant": sender.bare if in_group and sender is not None else None,
        "type": kind,
        "t": str(at),
    }
    return Node("receipt", present(attrs))


def history_receipt(node: Node, own: JID) -> Node:
    """The second receipt of a history notification, to our own user."""
    return Node("receipt", present({"id": node.attrs.get("id"), "to": own.bare, "type": "hist_sync"}))


@dataclass(frozen=True, slots=True)
class RetryKeys:
    """Fresh keys for whoever is to start a new session with us. `prekey`: (id, public), never uploaded."""

    identity: bytes
    prekey: tuple[int, bytes]
    signed_prekey: SignedPreKey
    device_identity: bytes = field(repr=False)


def retry_receipt(
    node: Node, *, count: int, registration_id: int, error: int = 0, keys: RetryKeys | None = None
) -> Node:
    """Ask the sender of a message that didn't decrypt to send it again. A plain ack follows it.

    `count`: 1 for the first time. `error`: the reason, as the Signal errors name it.
    """
    retry: Mapping[str, str | JID | None] = {
        "count": str(count),
        "id": node.attrs.get("id"),
        "t": node.attrs.get("t"),
        "v": "1",
        "error": str(error),
    }
    parts = [
        Node("retry", present(retry)),
        Node("registration", {}, registration_id.to_bytes(4, "big")),
    ]
    if keys is not None:
        parts.append(_keys(keys))
    category = "peer" if node.attrs.get("category") == "peer" else None
    return Node("receipt", present({**_addressed(node), "type": "retry", "category": category}), tuple(parts))


def _keys(keys: RetryKeys) -> Node:
    from tocsin.whatsapp.iq import prekey_node, signed_prekey_node

    parts = (
        Node("type", {}, b"\x05"),
        Node("identity", {}, keys.identity),
        prekey_node(*keys.prekey),
        signed_prekey_node(keys.signed_prekey),
        Node("device-identity", {}, keys.device_identity),
    )
    return Node("keys", {}, parts)


def _addressed(node: Node) -> dict[str, str | JID | None]:
    """A receipt repeats the stanza's addresses exactly as they came."""
    return {
        "id": node.attrs.get("id"),
        "to": node.attrs.get("from"),
        "participant": node.attrs.get("participant"),
        "recipient": node.attrs.get("recipient"),
    }


@dataclass(frozen=True, slots=True)
class Receipt:
    """How messages of ours fared. `ids`: one or more message ids. `sender`: the device that says so.

    `type`: as on the wire, "" for plain. `status`: `delivered`, `read`, or None for types that say nothing of
    a recipient. `participants`: in groups, who has it by now (bare or device JIDs), if gathered.
    """

    ids: tuple[str, ...]
    sender: JID
    sender_alt: JID | None
    chat: JID
    type: str
    timestamp: int | None
    recipient: JID | None
    participants: tuple[JID, ...] = ()

    @property
    def status(self) -> str | None:
        return _STATUS.get(self.type)


def is_report(node: Node) -> bool:
    """Whether a stanza is a receipt that says how far a message got, and asks for nothing: a recipient's, or
    one of our own devices' ("sender"), which has a copy of what we send."""
    return node.tag == "receipt" and (node.attrs.get("type") or "") in {*_STATUS, "sender"}


def parse_receipt(node: Node, own: Collection[JID] = ()) -> Receipt:
    """`own`: our account's user JIDs, by LID and by phone number. Raises `InvalidStanza`; `StanzaRefused` if
    the attributes name several people where there is one."""
    if node.tag != "receipt":
        raise InvalidStanza("not a receipt")
    origin = node.attr_jid("from")
    sender = _sender(node, origin)
    demand_agreement(node, sender, own)
    ids, gathered = _named_ids(node), _gathered(node)
    if len(ids) > MAX_RECEIPT_IDS:
        raise InvalidStanza("too many ids in one receipt")
    if len(ids) * len(gathered) > MAX_RECEIPT_LOOKUPS:
        raise InvalidStanza("too many people in one receipt")
    other = _other_form(node, origin, sender)
    return Receipt(
        ids=ids,
        sender=sender,
        sender_alt=other.with_device(sender.device) if other is not None and not other.device else other,
        chat=origin if is_shared(origin) else origin.chat,
        type=node.optional_label("type") or "",
        timestamp=node.optional_int("t"),
        recipient=node.optional_jid("recipient"),
        participants=gathered,
    )


def _named_ids(node: Node) -> tuple[str, ...]:
    """Each id once: of the receipt, of its list, of the messages for which it gathers people."""
    listed = node.child("list")
    items = listed.children("item") if listed is not None else ()
    keys = (group.optional_label("key") for group in node.children("participants"))
    ids = (node.attr_label("id"), *(item.attr_label("id") for item in items), *keys)
    return tuple(dict.fromkeys(name for name in ids if name is not None))


def _gathered(node: Node) -> tuple[JID, ...]:
    groups = node.children("participants")
    return tuple(dict.fromkeys(user.attr_jid("jid") for group in groups for user in group.children("user")))


def _sender(node: Node, origin: JID) -> JID:
    """The device that speaks. It speaks for itself alone, so `participant` is allowed in groups only."""
    if is_shared(origin):
        return node.optional_jid("participant") or origin
    if "participant" in node.attrs or node.child("participants") is not None:
        raise StanzaRefused(PARTICIPANT_OUTSIDE_GROUP)
    return origin


def _other_form(node: Node, origin: JID, sender: JID) -> JID | None:
    """The sender's other name. One in the same form says nothing new, and must not hide the other."""
    prefix = "participant" if is_shared(origin) else "sender"
    forms = ("pn", "lid") if sender.chat.server == LID else ("lid", "pn")
    named = (node.optional_jid(f"{prefix}_{form}") for form in forms)
    return next((jid for jid in named if jid is not None), None)


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """A device of a recipient couldn't decrypt a message of ours.

    `requester`: that device; `to`: where the answer goes (its device, or the group). `count`: from 1.
    `bundle`: fresh keys, if it sent any (no signature verified); `registration_id`: its present one.
    """

    id: str
    requester: JID
    requester_alt: JID | None
    to: JID
    participant: JID | None
    recipient: JID | None
    count: int
    timestamp: str | None
    registration_id: int
    bundle: PreKeyBundle | None
    error: int = 0


def retry_request(receipt: Receipt, node: Node) -> RetryRequest:
    """Return what a receipt (`node`, parsed already) asks for. Keys that aren't any count as not sent: the
    server has some of that device, too. Raises `InvalidStanza`."""
    from tocsin.whatsapp.bundles import parse_bundle

    if receipt.type != "retry":
        raise InvalidStanza("not a retry receipt")
    retry = node.require_child("retry")
    keys = node.child("keys")
    count = retry.attr_int("count", MAX_RETRY_COUNT)
    if not count:
        raise InvalidStanza("retry count out of range")
    at = retry.optional_int("t")
    bundle = None
    if keys is not None:
        with suppress(InvalidStanza):
            bundle = parse_bundle(keys, node)
    return RetryRequest(
        id=retry.optional_label("id") or receipt.ids[0],
        requester=receipt.sender,
        requester_alt=receipt.sender_alt,
        to=node.attr_jid("from"),
        participant=node.optional_jid("participant"),
        recipient=receipt.recipient,
        count=count,
        timestamp=str(at) if at is not None else None,
        registration_id=int.from_bytes(node.require_child("registration").bytes(4), "big"),
        bundle=bundle,
        error=retry.optional_int("error") or 0,
    )
