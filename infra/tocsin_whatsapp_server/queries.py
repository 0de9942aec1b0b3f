"""Answers to iq requests. The table at the end is the index of what this server understands.

What it doesn't understand gets an empty result: silence would hang a client for a minute, and an error makes
some of them try again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tocsin.signal.curve import encode_point, verify
from tocsin.signal.errors import SignalError
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server import group_queries
from tocsin_whatsapp_server.answers import Answer, QueryError
from tocsin_whatsapp_server.audit import Audit
from tocsin_whatsapp_server.directory import Account, Device, Directory, SignedPreKey
from tocsin_whatsapp_server.groups import Groups
from tocsin_whatsapp_server.media import TICKET_SECONDS, MediaStore
from tocsin_whatsapp_server.stanzas import bundle, device_list, iq_error, key_digest, result


class Queries:
    """`answer` takes a request of a device, in the state the directory has at that moment."""

    def __init__(self, directory: Directory, groups: Groups, audit: Audit, media: MediaStore) -> None:
        self.media = media
        self.directory = directory
        self.groups = groups
        self.audit = audit

    def answer(self, device: Device, iq: Node, now: int) -> Answer:
        try:
            return self._handler(iq)(self, device, iq, now)
        except QueryError as error:
            return Answer(iq_error(iq, error.code, error.text))
        except InvalidStanza as error:
            return Answer(iq_error(iq, 400, f"bad-request: {error.reason}"))

    def _handler(self, iq: Node) -> Handler:
        namespace, kind = iq.optional_str("xmlns") or "", iq.optional_str("type") or ""
        first = iq.children()[0].tag if iq.children() else ""
        return HANDLERS.get((namespace, kind, first), unknown)


Handler = Callable[[Queries, Device, Node, int], Answer]


def unknown(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq), understood=False)


def nothing(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq))


def ping(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq, now=now))


def app_settings(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq, Node("props", {"protocol": "1", "hash": "1"})))


def block_list(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq, Node("list")))


def privacy_settings(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    category = Node("category", {"name": "readreceipts", "value": "all"})
    return Answer(result(iq, Node("privacy", {}, (category,))))


def issue_tokens(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    tokens = iq.require_child("tokens").children("token")
    found = [queries.directory.account(token.attr_jid("jid")) for token in tokens]
    return Answer(result(iq), trusted=tuple(account for account in found if account is not None))


def media_connection(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    """Where files go: there is always another to try after a failure."""
    if not queries.media.host:
        raise QueryError(503, "the media host isn't up")
    seconds = str(TICKET_SECONDS)
    attrs = {
        "auth": queries.media.ticket(device),
        "ttl": seconds,
        "auth_ttl": seconds,
        "max_buckets": "12",
    }
    host = Node("host", {"hostname": queries.media.host, "fallback_hostname": queries.media.fallback})
    return Answer(result(iq, Node("media_conn", attrs, (host,))))


# -- prekeys ---------------------------------------------------------------------------------------------


def prekey_count(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq, Node("count", {"value": str(len(device.prekeys))})))


def prekey_digest(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    return Answer(result(iq, key_digest(device)))


def upload_prekeys(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    """All or nothing: one wrong length refuses the whole upload."""
    identity = iq.require_child("identity").bytes(32)
    if identity != device.identity:
        raise QueryError(406, "another identity than at pairing")
    registration_id = int.from_bytes(iq.require_child("registration").bytes(4), "big")
    signed_prekey = _signed_prekey(iq.require_child("skey"), identity)
    keys = dict(_one_time_keys(iq.require_child("list")))
    device.registration_id = registration_id
    device.signed_prekey = signed_prekey
    device.prekeys |= keys
    queries.audit.prekeys_uploaded(device, len(keys))
    return Answer(result(iq), uploaded=len(keys))


def rotate_signed_prekey(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    device.signed_prekey = _signed_prekey(iq.require_child("rotate").require_child("skey"), device.identity)
    return Answer(result(iq))


def _one_time_keys(listed: Node) -> Iterator[tuple[int, bytes]]:
    for key in listed.children("key"):
        yield int.from_bytes(key.require_child("id").bytes(3), "big"), key.require_child("value").bytes(32)


def _signed_prekey(skey: Node, identity: bytes) -> SignedPreKey:
    key_id = int.from_bytes(skey.require_child("id").bytes(3), "big")
    public, signature = skey.require_child("value").bytes(32), skey.require_child("signature").bytes(64)
    try:
        verify(identity, encode_point(public), signature)
    except SignalError:
        raise QueryError(406, "the signed prekey isn't signed by the identity") from None
    return SignedPreKey(key_id, public, signature)


def key_bundles(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    users, drained = [], []
    for user in iq.require_child("key").children("user"):
        jid = user.attr_jid("jid")
        target = queries.directory.device(jid)
        if target is None:
            error = Node("error", {"code": "404", "text": "item-not-found"})
            users.append(Node("user", {"jid": jid}, (error,)))
            continue
        users.append(_bundle_of(queries.audit, target, jid, now))
        drained.append(target)
    return Answer(result(iq, Node("list", {}, tuple(users))), drained=tuple(drained))


def _bundle_of(audit: Audit, target: Device, jid: JID, now: int) -> Node:
    keys = target.take_bundle()
    prekey = None
    if keys.prekey_id is not None and keys.prekey is not None:
        prekey = (keys.prekey_id, keys.prekey)
        audit.prekey_handed_out(target, *prekey)
    return bundle(
        jid,
        registration_id=keys.registration_id,
        identity=keys.identity,
        signed_prekey=target.signed_prekey,
        prekey=prekey,
        device_identity=target.device_identity,
        now=now,
    )


# -- who is there ----------------------------------------------------------------------------------------


def usync(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    """Contacts, device lists and LIDs, each in the address form that was asked for. Protocols that aren't
    known are left out of the answer, as clients expect."""
    request = iq.require_child("usync")
    protocols = [
        protocol for protocol in request.require_child("query").children() if protocol.tag in PROTOCOLS
    ]
    users = [
        _usync_user(queries, device, user, protocols)
        for user in request.require_child("list").children("user")
    ]
    results = Node("result", {}, tuple(Node(protocol.tag) for protocol in protocols))
    answer = Node("usync", request.attrs, (results, Node("list", {}, tuple(users))))
    return Answer(result(iq, answer))


def _usync_user(queries: Queries, device: Device, user: Node, protocols: list[Node]) -> Node:
    contact = user.child("contact")
    if contact is not None and contact.content:
        jid = _typed_number(contact.text())
        account = queries.directory.account(jid)
    else:
        jid = user.attr_jid("jid").bare
        account = queries.directory.account(jid)
    by_lid = any(protocol.optional_str("addressing_mode") == LID for protocol in protocols)
    if account is not None and by_lid:
        attrs: dict[str, str | JID] = {"jid": account.lid, "pn_jid": account.pn}
        server = LID
    else:
        attrs, server = {"jid": jid}, jid.server
    children = [PROTOCOLS[protocol.tag](account, server, user) for protocol in protocols]
    if account is not None and any(protocol.tag == "devices" for protocol in protocols):
        account.contacts.add(device.account.number)
    return Node("user", attrs, tuple(child for child in children if child is not None))


def _typed_number(text: str) -> JID:
    """`+62 …`, with or without `@c.us` behind it."""
    return JID(re.sub(r"[^0-9]", "", text.partition("@")[0]), PN)


def _contact(account: Account | None, server: str, user: Node) -> Node | None:
    asked = user.child("contact")
    if asked is None:
        return None
    return Node("contact", {"type": "in" if account else "out"}, asked.content)


def _devices(account: Account | None, server: str, user: Node) -> Node | None:
    if account is None:
        return Node("devices", {}, (Node("error", {"code": "404", "text": "item-not-found"}),))
    return device_list(account, server)


def _lid(account: Account | None, server: str, user: Node) -> Node | None:
    return Node("lid", {"val": account.lid}) if account else None


PROTOCOLS: dict[str, Callable[[Account | None, str, Node], Node | None]] = {
    "contact": _contact,
    "devices": _devices,
    "lid": _lid,
}


def remove_companion(queries: Queries, device: Device, iq: Node, now: int) -> Answer:
    target = queries.directory.device(iq.require_child("remove-companion-device").attr_jid("jid"))
    if target is None or target.account is not device.account or target.number == 0:
        raise QueryError(404, "item-not-found")
    if device.number not in (0, target.number):
        raise QueryError(403, "forbidden")
    return Answer(result(iq), removed=target)


HANDLERS: dict[tuple[str, str, str], Handler] = {
    # (xmlns, type, first child)
    ("w:p", "get", ""): ping,
    ("w:p", "get", "ping"): ping,
    ("encrypt", "get", "count"): prekey_count,
    ("encrypt", "get", "digest"): prekey_digest,
    ("encrypt", "get", "key"): key_bundles,
    ("encrypt", "set", "registration"): upload_prekeys,
    ("encrypt", "set", "rotate"): rotate_signed_prekey,
    ("usync", "get", "usync"): usync,
    ("passive", "set", "active"): nothing,
    ("passive", "set", "passive"): nothing,
    ("w:m", "set", "media_conn"): media_connection,
    ("abt", "get", "props"): app_settings,
    ("blocklist", "get", ""): block_list,
    ("privacy", "get", "privacy"): privacy_settings,
    ("privacy", "set", "tokens"): issue_tokens,
    ("urn:xmpp:whatsapp:dirty", "set", "clean"): nothing,
    ("md", "set", "remove-companion-device"): remove_companion,
    **group_queries.HANDLERS,
}
