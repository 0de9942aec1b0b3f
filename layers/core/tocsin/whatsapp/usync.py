"""usync: which numbers are on WhatsApp, which LID a number has, which devices a user has.

The requests leave `sid` empty; the connection fills it in when it gives the iq its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tocsin.whatsapp.adv import KeyIndexes
from tocsin.whatsapp.iq import checked, refused, request
from tocsin.whatsapp.jid import HOSTED_DEVICE, JID, LID, PN
from tocsin.whatsapp.node import Node

MAX_PER_REQUEST = 100


@dataclass(frozen=True, slots=True)
class UserDevices:
    """One user of a device query. `user`: bare, in the address form asked for.

    `lid`, `pn`: the other forms, where the server gave them. `devices`: device JIDs; hosted ones are on
    `hosted` or `hosted.lid`. `error`: the server's code for this user, whose only known device then is 0.
    `key_indexes`: of companions, by device number; `counting`: which of those still count, as the phone
    signed it (unverified), where the server told.
    """

    user: JID
    lid: JID | None
    pn: JID | None
    devices: tuple[JID, ...]
    error: int | None = None
    device_hash: str | None = None
    key_indexes: Mapping[int, int] = field(default_factory=dict)
    counting: KeyIndexes | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """Whether a number is on WhatsApp, and under which JIDs: the server's digits, not the typed ones."""

    phone: str
    registered: bool
    pn: JID | None
    lid: JID | None


def usync_devices(users: Iterable[JID]) -> Node:
    """Ask for the devices and LIDs of at most 100 bare users, all of one address form."""
    query = (Node("devices", {"version": "2"}), Node("lid"))
    return _query("message", query, (Node("user", {"jid": user.bare}) for user in users))


def usync_lids(users: Iterable[JID]) -> Node:
    """Ask for the LIDs of phone numbers; the answer is read by `parse_devices`."""
    return _query("background", (Node("lid"),), (Node("user", {"jid": user.bare}) for user in users))


def usync_contacts(phones: Iterable[str]) -> Node:
    """Ask whether numbers (digits, with or without +) are on WhatsApp. The volume of this is watched."""
    query = (Node("contact", {"addressing_mode": "lid"}), Node("lid"))
    texts = ("+" + phone.removeprefix("+") for phone in phones)
    return _query("interactive", query, (Node("user", {}, (Node("contact", {}, t.encode()),)) for t in texts))


def _query(context: str, protocols: tuple[Node, ...], users: Iterable[Node]) -> Node:
    attrs = {"sid": "", "mode": "query", "context": context, "last": "true", "index": "0"}
    parts = (Node("query", {}, protocols), Node("list", {}, tuple(users)))
    return request("get", "usync", Node("usync", attrs, parts))


def parse_devices(answer: Node) -> tuple[UserDevices, ...]:
    """Raises `IqRefused` if the request or one of its protocols was refused, `InvalidStanza` if malformed."""
    return tuple(_user_devices(user) for user in _users(answer))


def parse_contacts(answer: Node) -> dict[str, Contact]:
    """By digits as they were asked (without +). A number that isn't answered is not in it."""
    contacts = (_contact(user) for user in _users(answer) if user.child("contact") is not None)
    return {contact.phone: contact for contact in contacts}


def _users(answer: Node) -> tuple[Node, ...]:
    usync = checked(answer).require_child("usync")
    result = usync.child("result")
    for protocol in result.children() if result is not None else ():
        error = protocol.child("error")
        if error is not None and protocol.tag in ("devices", "lid", "contact"):
            raise refused(error)
    return usync.require_child("list").children("user")


def _user_devices(user: Node) -> UserDevices:
    jid = user.attr_jid("jid").bare
    lid, pn = _other_forms(user, jid)
    devices = user.child("devices")
    if devices is None:
        return UserDevices(jid, lid, pn, ())
    error = devices.child("error")
    if error is not None:
        return UserDevices(jid, lid, pn, (jid,), refused(error).code)
    listed = devices.child("device-list")
    if listed is None:
        return UserDevices(jid, lid, pn, ())
    # Each once, however often it is listed: there are as many as there are numbers for them, at most.
    found = {
        device: node.optional_int("key-index") or 0
        for node in listed.children("device")
        if (device := _device(jid, node))
    }
    signed = devices.child("key-index-list")
    return UserDevices(
        jid,
        lid,
        pn,
        tuple(found),
        device_hash=listed.optional_label("hash"),
        key_indexes={device.device: index for device, index in found.items() if device.device},
        # Without companions there is nothing to be signed.
        counting=KeyIndexes(signed.bytes()) if signed is not None and signed.content else None,
    )


def _device(user: JID, node: Node) -> JID | None:
    number = node.attr_int("id")
    if number > 255 or (number and node.optional_int("key-index") is None):
        # The server refuses bundles of companions without a key index, and with them the whole request.
        return None
    if (node.attrs.get("is_hosted") == "true") != (number == HOSTED_DEVICE):
        return None  # hosted devices have that number, and no others do
    return user.with_device(number)


def _contact(user: Node) -> Contact:
    contact = user.require_child("contact")
    digits = contact.text().removeprefix("+").partition("@")[0]
    if contact.attrs.get("type") != "in":
        return Contact(digits, False, None, None)
    jid = user.optional_jid("jid")
    lid, pn = _other_forms(user, jid)
    return Contact(digits, True, pn, lid)


def _other_forms(user: Node, jid: JID | None) -> tuple[JID | None, JID | None]:
    """LID and phone number of a user, from wherever the server put them."""
    child = user.child("lid")
    # Inside <lid> an <error> may stand for "none": no val then.
    lid = child.optional_jid("val") if child is not None else None
    pn = user.optional_jid("pn_jid")
    if jid is not None and jid.server == LID:
        lid = jid
    if jid is not None and jid.server == PN:
        pn = jid
    # An address of the wrong kind would be learnt as a mapping, and send messages astray.
    lid = lid.bare if lid is not None and lid.server == LID else None
    return lid, (pn.bare if pn is not None and pn.server == PN else None)
