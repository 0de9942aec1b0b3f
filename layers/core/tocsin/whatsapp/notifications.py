"""Notifications that change whom we encrypt for: devices, identities, groups, restrictions."""

from __future__ import annotations

from dataclasses import dataclass, field

from tocsin.whatsapp.account_health import AccountNews, read_updates
from tocsin.whatsapp.bounds import MAX_MEMBERS, MAX_TOKEN_BYTES
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.group import expiration_in
from tocsin.whatsapp.jid import GROUP, JID, LID, MAX_DEVICE, PN, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.timer import Timer
from tocsin.whatsapp.timer import told as timer_told


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    """`user` reinstalled: drop sessions and identities of all their devices, under both addresses."""

    user: JID
    lid: JID | None


@dataclass(frozen=True, slots=True)
class DevicesChanged:
    """`action`: `add`, `remove` or `update` (the list is stale). `devices`: the ones named, as device JIDs.

    `device_hash`, `lid_hash`: over the whole list after the change, in the address form of `user` and by
    LIDs. `pairs`: both names of devices, where they are told.
    """

    user: JID
    lid: JID | None
    action: str
    devices: tuple[JID, ...]
    device_hash: str | None
    pairs: tuple[tuple[JID, JID], ...] = ()
    lid_hash: str | None = None


@dataclass(frozen=True, slots=True)
class OwnDevices:
    """Our own account's present devices. `device_hash` is over all of them."""

    devices: tuple[JID, ...]
    device_hash: str | None


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """`changes`: the tags of what happened. `removed`: who left or was put out: rotate the sender key.

    `pairs`: (phone number, LID) of people named. `timer`: if that was set.
    """

    group: JID
    changes: tuple[str, ...]
    removed: tuple[JID, ...]
    pairs: tuple[tuple[JID, JID], ...]
    timer: Timer | None = None


@dataclass(frozen=True, slots=True)
class PrivacyToken:
    """A contact trusts us: attach `token` to messages to them, for some three weeks from `timestamp`.

    `other`: the contact's other name, where both are told.
    """

    user: JID
    token: bytes = field(repr=False)
    timestamp: int
    other: JID | None = None


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """What WhatsApp tells of the account itself, in its order. `unreadable`: how many more it told that are
    known by name and can't be read."""

    news: tuple[AccountNews, ...]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Other:
    """A notification of no use to a notifier."""

    type: str


Notification = (
    IdentityChanged | DevicesChanged | OwnDevices | GroupChanged | PrivacyToken | AccountNotice | Other
)

_DEVICE_ACTIONS = ("add", "remove", "update")


def parse_notification(node: Node) -> Notification:
    """Read a `<notification>`. Raises `InvalidStanza`; it is to be acknowledged even then."""
    if node.tag != "notification":
        raise InvalidStanza("not a notification")
    kind = node.attr_label("type")
    origin = node.attr_jid("from")
    if kind == "encrypt" and node.child("identity") is not None and origin != SERVER:
        return _identity_changed(node, origin)
    if kind == "devices":
        return _devices_changed(node, origin)
    if kind == "account_sync" and node.child("devices") is not None:
        listed = node.require_child("devices")
        devices = tuple(_device(device) for device in listed.children("device"))
        return OwnDevices(devices, listed.optional_label("dhash"))
    if kind == "w:gp2" and origin.server == GROUP:
        return _group_changed(node, origin)
    if kind == "privacy_token":
        return _privacy_token(node, origin)
    if kind == "mex" and origin == SERVER:
        return _mex(node)
    return Other(kind)


def _identity_changed(node: Node, origin: JID) -> Notification:
    if origin.device:
        return Other("encrypt")  # a companion's new keys come with its next message
    return IdentityChanged(origin.chat, _lid(node))


def _lid(node: Node) -> JID | None:
    lid = node.optional_jid("lid") or node.optional_jid("sender_lid")
    return lid.chat if lid is not None else None


def _devices_changed(node: Node, origin: JID) -> Notification:
    for action in _DEVICE_ACTIONS:
        change = node.child(action)
        if change is not None:
            listed = {
                (_device(device), device.optional_jid("lid")): None for device in change.children("device")
            }
            return DevicesChanged(
                origin.chat,
                _lid(node),
                action,
                tuple(jid for jid, _ in listed),
                change.optional_label("device_hash"),
                tuple((jid, lid) for jid, lid in listed if lid is not None)[: MAX_DEVICE + 1],
                change.optional_label("device_lid_hash"),
            )
    raise InvalidStanza("a devices notification without a change")


def _device(node: Node) -> JID:
    """A device of a user; each is removed by a call of its own, so there must not be 65,536 of them."""
    jid = node.attr_jid("jid")
    if jid.device > MAX_DEVICE:
        raise InvalidStanza("a device that no user has")
    return jid


def _group_changed(node: Node, group: JID) -> GroupChanged:
    changes = node.children()
    removed: list[JID] = []
    pairs: dict[tuple[JID, JID], None] = {}
    for change in changes:
        for member in change.children("participant"):
            jid = member.attr_jid("jid").chat
            if change.tag in ("remove", "leave"):
                removed.append(jid)
            pair = _member_pair(member, jid)
            if pair is not None:
                pairs[pair] = None
    # Each pair is looked up. Whom it leaves out is learnt with the group's members.
    learnt = tuple(pairs)[:MAX_MEMBERS]
    seconds = expiration_in(node)
    timer = timer_told(seconds, node.optional_int("t") or 0) if seconds is not None else None
    return GroupChanged(group, tuple(change.tag for change in changes), tuple(removed), learnt, timer)


def _member_pair(member: Node, jid: JID) -> tuple[JID, JID] | None:
    """The member's phone number and LID, if both are told."""
    pn = jid if jid.server == PN else member.optional_jid("phone_number")
    lid = jid if jid.server == LID else member.optional_jid("lid")
    if pn is None or lid is None or pn.server != PN or lid.server != LID:
        return None
    return pn.chat, lid.chat


def _privacy_token(node: Node, origin: JID) -> Notification:
    tokens = node.child("tokens")
    user = node.optional_jid("sender_lid") or origin
    for token in tokens.children("token") if tokens is not None else ():
        timestamp = token.optional_int("t")
        if token.attrs.get("type") == "trusted_contact" and timestamp is not None:
            if not 0 < len(token.bytes()) <= MAX_TOKEN_BYTES:
                raise InvalidStanza("a privacy token of an impossible length")
            other = origin.chat if origin.chat != user.chat else None
            return PrivacyToken(user.chat, token.bytes(), timestamp, other)
    return Other("privacy_token")


def _mex(node: Node) -> Notification:
    news, unreadable = read_updates(node)
    return AccountNotice(news, unreadable) if news or unreadable else Other("mex")
