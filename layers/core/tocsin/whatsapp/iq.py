"""IQ requests for the account itself, and what an answer says. The connection gives each its id."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.whatsapp.bounds import MAX_TOLD
from tocsin.whatsapp.errors import InvalidStanza, WireError
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node, present

if TYPE_CHECKING:
    from tocsin.signal.x3dh import SignedPreKey


MAX_BACKOFF = 6 * 3600
"""Seconds. A queue can put a record off by twelve hours at most; whoever is to wait longer asks again."""


class IqRefused(WireError):
    """The server answered with an error. `code` 500, 503, 530: try again later; 429: minutes later, at least
    `backoff` seconds; anything else is final.
    """

    def __init__(self, code: int, text: str = "", backoff: int | None = None) -> None:
        super().__init__(f"{code} {text}".rstrip())
        self.code = code
        self.text = text
        self.backoff = backoff


def checked(answer: Node) -> Node:
    """The answer, if it is a result. Raises `IqRefused`; an error without a code counts as 500."""
    error = answer.child("error")
    if answer.attrs.get("type") == "result" and error is None:
        return answer
    raise refused(error)


def refused(error: Node | None) -> IqRefused:
    if error is None:
        return IqRefused(500, "no result")
    code, backoff = _number(error, "code"), _number(error, "backoff")
    text = (error.optional_str("text") or "")[:MAX_TOLD]
    return IqRefused(code or 500, text, min(backoff, MAX_BACKOFF) if backoff is not None else None)


def _number(error: Node, name: str) -> int | None:
    """Also None for a value that can't be read: the refusal counts all the same."""
    with suppress(InvalidStanza):
        return error.optional_int(name)
    return None


def request(kind: str, namespace: str, *children: Node, to: JID = SERVER) -> Node:
    """An iq of type `get` or `set`, still without id."""
    return Node("iq", {"to": to, "type": kind, "xmlns": namespace}, children or None)


def with_id(node: Node, request_id: str) -> Node:
    """The iq under this id. A usync query has an id of its own, of the same shape."""
    content = node.content
    if isinstance(content, tuple) and node.child("usync") is not None:
        content = tuple(
            replace(child, attrs={**child.attrs, "sid": request_id})
            if child.attrs.get("sid") == ""
            else child
            for child in content
        )
    return replace(node, attrs={**node.attrs, "id": request_id}, content=content)


def keepalive() -> Node:
    return request("get", "w:p")


def active() -> Node:
    """Ask for live delivery. Before it the server may withhold stanzas."""
    return request("set", "passive", Node("active"))


def prekey_count() -> Node:
    return request("get", "encrypt", Node("count"))


def parse_prekey_count(answer: Node) -> int:
    return checked(answer).require_child("count").attr_int("value")


def upload_prekeys(
    registration_id: int, identity_public: bytes, prekeys: Mapping[int, bytes], signed_prekey: SignedPreKey
) -> Node:
    """Offer one-time prekeys. `prekeys`: public keys (32 bytes) by id; the private halves are stored."""
    return request(
        "set",
        "encrypt",
        Node("registration", {}, registration_id.to_bytes(4, "big")),
        Node("type", {}, b"\x05"),
        Node("identity", {}, identity_public),
        Node("list", {}, tuple(prekey_node(number, public) for number, public in prekeys.items())),
        signed_prekey_node(signed_prekey),
    )


def rotate_signed_prekey(signed_prekey: SignedPreKey) -> Node:
    return request("set", "encrypt", Node("rotate", {}, (signed_prekey_node(signed_prekey),)))


def prekey_node(number: int, public: bytes) -> Node:
    parts = (Node("id", {}, number.to_bytes(3, "big")), Node("value", {}, public))
    return Node("key", {}, parts)


def signed_prekey_node(key: SignedPreKey) -> Node:
    parts = (
        Node("id", {}, key.id.to_bytes(3, "big")),
        Node("value", {}, key.pair.public),
        Node("signature", {}, key.signature),
    )
    return Node("skey", {}, parts)


def remove_device(own: JID) -> Node:
    """Unlink this device (`own`: its phone-number JID with device). Await the result, then wipe."""
    return request("set", "md", Node("remove-companion-device", {"jid": own, "reason": "user_initiated"}))


def clean_dirty(kind: str, timestamp: str | None) -> Node:
    clean = Node("clean", present({"type": kind, "timestamp": timestamp}))
    return request("set", "urn:xmpp:whatsapp:dirty", clean)


def issue_privacy_token(contact: JID, now: int) -> Node:
    """Tell the server that we trust `contact` (a bare LID); once a week and contact, after a send."""
    token = Node("token", {"jid": contact, "t": str(now), "type": "trusted_contact"})
    return request("set", "privacy", Node("tokens", {}, (token,)))


def privacy_settings() -> Node:
    return request("get", "privacy", Node("privacy"))


def parse_privacy_settings(answer: Node) -> dict[str, str]:
    """Each category and what it is set to: `readreceipts` → `all` or `none`."""
    listed = checked(answer).require_child("privacy").children("category")
    return {one.attr_label("name"): one.attr_label("value") for one in listed}


def group_info(group: JID) -> Node:
    return request("get", "w:g2", Node("query", {"request": "interactive"}), to=group)


def pong(ping: Node) -> Node:
    """The answer to a server's ping, which may come without id."""
    return Node("iq", present({"to": SERVER, "type": "result", "id": ping.attrs.get("id")}))


def not_understood(question: Node) -> Node:
    """The answer to a request of the server that Tocsin doesn't use."""
    attrs = present({"to": SERVER, "type": "error", "id": question.attrs.get("id")})
    return Node("iq", attrs, (Node("error", {"code": "501", "text": "feature-not-implemented"}),))


def offline_batch(count: int = 100) -> Node:
    """Ask for the next part of what was queued while we were away."""
    return Node("ib", {}, (Node("offline_batch", {"count": str(count)}),))


def presence(kind: str, push_name: str) -> Node:
    """`kind`: `available` or `unavailable`. The name is what recipients see; without it they see "-"."""
    return Node("presence", {"type": kind, "name": push_name})
