"""Stanzas as the server sends them, one of each kind, and the parsers that read them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from tests.support.noise_peer import OWN_LID, OWN_PN, device_keys, from_server
from tocsin.whatsapp import bundles, call, iq, message, notifications, receipts, usync
from tocsin.whatsapp.jid import GROUP, JID
from tocsin.whatsapp.node import Node

OWN = (OWN_PN, OWN_LID)
ALICE = JID.parse("200000000000002@lid")
ALICE_PN = JID.parse("6281234567890@s.whatsapp.net")
TABLET = ALICE.with_device(12)
TEAM = JID("120363000000000000", GROUP)


def inbound(**attrs: Any) -> Node:
    base = {"from": TABLET, "id": "M1", "t": "1788000000", "type": "text", "sender_pn": ALICE_PN}
    return Node("message", {**base, **attrs}, (Node("enc", {"v": "2", "type": "msg"}, b"x"),))


def result(*children: Node) -> Node:
    return from_server("iq", {"type": "result", "id": "1"}, *children)


def bundle_user(device: JID, **damage: bytes) -> Node:
    keys = device_keys()
    part: dict[str, bytes] = {
        "registration": bytes((0, 0, 4, 210)), "type": b"\x05", "identity": keys.identity.public, **damage
    }  # fmt: skip
    parts = [Node(name, {}, value) for name, value in part.items()]
    return Node(
        "user",
        {"jid": device},
        (*parts, iq.signed_prekey_node(keys.signed_prekey), iq.prekey_node(7, b"k" * 32)),
    )


def usync_answer(*users: Node, **protocols: Node) -> Node:
    outcome = Node("result", {}, tuple(Node(name, {}, (error,)) for name, error in protocols.items()))
    return result(Node("usync", {}, (outcome, Node("list", {}, users))))


def note(kind: str, *children: Node, **attrs: Any) -> Node:
    return Node("notification", {"from": ALICE, "id": "N", "type": kind, **attrs}, children or None)


def parse_retry(node: Node, own: Collection[JID] = ()) -> receipts.RetryRequest:
    """A retry receipt in one step, as the handlers read it in two."""
    return receipts.retry_request(receipts.parse_receipt(node, own), node)


PARSERS: list[Callable[[Node], object]] = [
    lambda node: message.parse_message(node, OWN),
    message.parse_ack,
    receipts.parse_receipt,
    parse_retry,
    notifications.parse_notification,
    call.parse_call,
    receipts.refusal_of,
    lambda node: receipts.read_receipt(node, "read", 1),
    iq.parse_privacy_settings,
    bundles.parse_bundles,
    usync.parse_devices,
    usync.parse_contacts,
    iq.parse_prekey_count,
]


VALID = [
    inbound(notify="Alice"),
    inbound(**{"from": TEAM, "participant": TABLET, "participant_pn": ALICE_PN}),
    Node("ack", {"class": "message", "id": "M1", "from": ALICE, "t": "9", "error": "479"}),
    Node(
        "receipt", {"from": TABLET, "id": "M1", "t": "5"}, (Node("list", {}, (Node("item", {"id": "M2"}),)),)
    ),
    Node("receipt", {"from": TABLET, "id": "M1", "type": "retry"}, bundle_user(TABLET).children()),
    Node(
        "receipt",
        {"from": TABLET, "id": "M1", "type": "retry"},
        (
            Node("retry", {"count": "2", "id": "M1", "t": "5"}),
            Node("registration", {}, bytes(4)),
            Node("keys", {}, bundle_user(TABLET).children()),
        ),
    ),
    note("encrypt", Node("identity")),
    note("devices", Node("add", {"device_hash": "2:h"}, (Node("device", {"jid": TABLET}),))),
    note("account_sync", Node("devices", {"dhash": "2:d"}, (Node("device", {"jid": OWN_PN}),))),
    note("w:gp2", Node("remove", {}, (Node("participant", {"jid": ALICE, "lid": ALICE}),)), **{"from": TEAM}),
    note(
        "privacy_token", Node("tokens", {}, (Node("token", {"type": "trusted_contact", "t": "5"}, b"tok"),))
    ),
    note("mex", Node("update", {"op_name": "NotificationUserReachoutTimelockUpdate"}, b"[" * 99)),
    result(Node("list", {}, (bundle_user(ALICE), bundle_user(TABLET)))),
    result(Node("count", {"value": "9"})),
    result(Node("privacy", {}, (Node("category", {"name": "readreceipts", "value": "all"}),))),
    Node(
        "call", {"from": ALICE, "id": "C"}, (Node("offer", {"call-creator": ALICE, "caller_pn": ALICE_PN}),)
    ),
    usync_answer(Node("user", {"jid": ALICE}, (Node("devices", {}, (Node("device-list", {}, ()),)),))),
    usync_answer(Node("user", {"jid": ALICE, "pn_jid": ALICE_PN}, (Node("contact", {"type": "in"}, b"+6"),))),
]


def media_answer(*hosts: str, **attrs: str) -> Node:
    told = {"auth": "a+/b", "ttl": "300", "auth_ttl": "100", **attrs}
    children = tuple(Node("host", {"hostname": host}) for host in hosts)
    return Node("iq", {"type": "result"}, (Node("media_conn", told, children),))
