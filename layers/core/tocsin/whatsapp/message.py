"""Messages on the wire: stanzas going out, stanzas coming in.

What the ciphertexts hold is written in `outgoing` and read in `content`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from tocsin.whatsapp.bounds import MAX_NAME
from tocsin.whatsapp.errors import InvalidStanza, StanzaRefused
from tocsin.whatsapp.jid import (
    BROADCAST,
    GROUP,
    HOSTED,
    HOSTED_LID,
    JID,
    LID,
    NEWSLETTER,
    PN,
    is_one_person,
)
from tocsin.whatsapp.node import Node, present
from tocsin.whatsapp.outgoing import TEXT, Kind

T = TypeVar("T")

_USERS: Final = frozenset((PN, LID, HOSTED, HOSTED_LID))

_USERNAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_.]{3,35}", re.ASCII)

MAX_RETRY_COUNT: Final = 1000
"""Clients give up after 5; the count is stored, and counted on from."""
# Attributes that name the sender beside `from` or `participant`, and those that name whom we wrote to.
_SENDER: Final = ("sender_pn", "sender_lid", "participant_pn", "participant_lid")
_RECIPIENT: Final = ("recipient", "peer_recipient_pn", "peer_recipient_lid", "recipient_pn", "recipient_lid")

SENDER_MISMATCH: Final = "sender-mismatch"
RECIPIENT_MISMATCH: Final = "recipient-mismatch"
PARTICIPANT_OUTSIDE_GROUP: Final = "participant-outside-group"
"""Why a stanza is refused (`StanzaRefused.reason`)."""


class Ciphertext(Protocol):
    """`type`: `msg` or `pkmsg`."""

    @property
    def type(self) -> str: ...
    @property
    def body(self) -> bytes: ...


# Going out


def message_stanza(
    message_id: str,
    to: JID,
    recipients: Sequence[tuple[JID, Ciphertext]],
    *,
    kind: Kind = TEXT,
    device_identity: bytes | None,
    peer_recipient_pn: JID | None = None,
    phash: str | None = None,
    privacy_token: bytes | None = None,
    contact_secret: bytes | None = None,
    device_fanout: bool = True,
) -> Node:
    """A message to one person. `recipients`: their devices and ours but this one, in one address form.

    `device_identity`: needed as soon as one ciphertext is a `pkmsg`. `privacy_token`: the recipient's, or
    `contact_secret` in its place. `device_fanout` False: a resend to some devices only.
    Raises ValueError for a message to nobody or without the needed identity.
    """
    attrs = present(
        {
            "id": message_id,
            "type": kind.type,
            "to": to,
            "peer_recipient_pn": peer_recipient_pn,
            "phash": phash,
            "edit": kind.edit,
            "device_fanout": None if device_fanout else "false",
        }
    )
    parts = [_participants(recipients, kind), *_identity(recipients, device_identity)]
    if privacy_token is not None:
        parts.append(Node("tctoken", {}, privacy_token))
    elif contact_secret is not None:
        parts.append(Node("cstoken", {}, contact_secret))
    return Node("message", attrs, tuple(parts))


def group_message_stanza(
    message_id: str,
    group: JID,
    sender_key_message: bytes,
    *,
    kind: Kind = TEXT,
    addressing_mode: str,
    phash: str,
    key_recipients: Sequence[tuple[JID, Ciphertext]] = (),
    device_identity: bytes | None = None,
) -> Node:
    """A message to a group. `key_recipients`: devices that still need the sender key, encrypted pairwise.

    `phash`: over all devices of all members, our own sending one included.
    """
    attrs = present(
        {
            "id": message_id,
            "type": kind.type,
            "to": group,
            "phash": phash,
            "addressing_mode": addressing_mode,
            "edit": kind.edit,
        }
    )
    parts: list[Node] = []
    if key_recipients:
        parts = [_participants(key_recipients, TEXT), *_identity(key_recipients, device_identity)]
    parts.append(Node("enc", _enc_attrs("skmsg", kind), sender_key_message))
    return Node("message", attrs, tuple(parts))


def retry_message_stanza(
    message_id: str,
    to: JID,
    ciphertext: Ciphertext,
    *,
    kind: Kind = TEXT,
    count: int,
    device_identity: bytes | None,
    timestamp: str | None = None,
    participant: JID | None = None,
    recipient: JID | None = None,
) -> Node:
    """The same message once more, for the one device that asked. `to`: the `from` of its retry receipt.

    `participant`: the device, in a group. `count`, `timestamp`: from the receipt.
    """
    attrs = present(
        {
            "id": message_id,
            "to": to,
            "type": kind.type,
            "t": timestamp,
            "participant": participant,
            "recipient": recipient,
            "edit": kind.edit,
            "device_fanout": None if to.server == GROUP else "false",
        }
    )
    enc = Node("enc", {**_enc_attrs(ciphertext.type, kind), "count": str(count)}, ciphertext.body)
    return Node("message", attrs, (enc, *_identity([(to, ciphertext)], device_identity)))


def peer_message_stanza(
    message_id: str, own_user: JID, ciphertext: Ciphertext, *, device_identity: bytes
) -> Node:
    """A control message to our own phone alone. `own_user`: our bare phone number."""
    attrs: dict[str, str | JID] = {
        "id": message_id,
        "to": own_user,
        "type": "text",
        "category": "peer",
        "push_priority": "high_force",
    }
    meta = Node("meta", {"appdata": "default"})
    enc = Node("enc", {"v": "2", "type": ciphertext.type}, ciphertext.body)
    return Node("message", attrs, (meta, enc, *_identity([(own_user, ciphertext)], device_identity)))


def _participants(recipients: Sequence[tuple[JID, Ciphertext]], kind: Kind) -> Node:
    if not recipients:
        raise ValueError("a message to nobody")
    return Node(
        "participants",
        {},
        tuple(
            Node("to", {"jid": jid}, (Node("enc", _enc_attrs(text.type, kind), text.body),))
            for jid, text in recipients
        ),
    )


def _enc_attrs(ciphertext_type: str, kind: Kind) -> dict[str, str | JID]:
    return present(
        {
            "v": "2",
            "type": ciphertext_type,
            "mediatype": kind.mediatype,
            "decrypt-fail": "hide" if kind.hidden else None,
        }
    )


def _identity(
    recipients: Sequence[tuple[JID, Ciphertext]], device_identity: bytes | None
) -> tuple[Node, ...]:
    """Our device identity, if a new session is among the ciphertexts: peers refuse one without it."""
    if all(text.type != "pkmsg" for _, text in recipients):
        return ()
    if device_identity is None:
        raise ValueError("a pkmsg needs the device identity")
    return (Node("device-identity", {}, device_identity),)


@dataclass(frozen=True, slots=True)
class MessageAck:
    """The server's word on a message. `error` 0: accepted. `phash`: our device list is not the server's.

    `refresh_lid`: the LID used is outdated. `timestamp`: the message's time, Unix seconds.
    """

    id: str
    to: JID | None
    error: int
    phash: str | None
    refresh_lid: bool
    timestamp: int | None
    addressing_mode: str | None = None


def parse_ack(node: Node) -> MessageAck:
    """Raises `InvalidStanza` if the stanza doesn't say whether the message was accepted. Other fields that
    can't be read are left out: refusing the ack of an accepted message would send it once more."""
    if node.tag != "ack" or node.attrs.get("class") != "message":
        raise InvalidStanza("not the ack of a message")
    return MessageAck(
        id=node.attr_label("id"),
        to=node.optional_jid("from"),
        error=node.optional_int("error") or 0,
        phash=_if_readable(node.optional_label, "phash"),
        refresh_lid=node.attrs.get("refresh_lid") == "true",
        timestamp=_if_readable(node.optional_int, "t"),
        addressing_mode=_if_readable(node.optional_label, "addressing_mode"),
    )


def _if_readable(read: Callable[[str], T | None], name: str) -> T | None:
    with suppress(InvalidStanza):
        return read(name)
    return None


# Coming in


@dataclass(frozen=True, slots=True)
class Enc:
    """One ciphertext. `type`: `pkmsg`, `msg`, `skmsg` or one we can't read. `count`: of a resend, else 0."""

    type: str
    body: bytes = field(repr=False)
    version: int
    count: int


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A `<message>`, still encrypted.

    `sender`: device JID in the address form of the stanza; `sender_alt`: the same device in the other form,
    where the stanza gives it. `chat`: whose conversation it belongs to (bare). `recipient`, `recipient_alt`:
    whom one of our own devices wrote to. `timestamp`: Unix seconds. `offline`: it was queued while we were
    away. `peer`: a control message between own devices. `unavailable`: there is no copy for us, and why.
    `username`: what the sender is called at WhatsApp, without "@"; theirs to change at any time.
    """

    id: str
    sender: JID
    sender_alt: JID | None
    chat: JID
    from_me: bool
    recipient: JID | None
    recipient_alt: JID | None
    timestamp: int
    encs: tuple[Enc, ...]
    device_identity: bytes | None = field(repr=False)
    push_name: str | None = field(repr=False)
    offline: bool
    peer: bool
    edit: str | None
    addressing_mode: str | None
    unavailable: str | None
    username: str | None = field(default=None, repr=False)

    @property
    def is_group(self) -> bool:
        return self.chat.server == GROUP

    @property
    def lid(self) -> JID | None:
        """The sending device under its LID: the address of its Signal sessions, where known."""
        return _in_form(self.sender, self.sender_alt, LID)

    @property
    def pn(self) -> JID | None:
        return _in_form(self.sender, self.sender_alt, PN)


def _in_form(sender: JID, other: JID | None, server: str) -> JID | None:
    for jid in (sender, other):
        if jid is not None and jid.chat.server == server:
            return jid
    return None


def parse_message(node: Node, own: Collection[JID] = ()) -> InboundMessage:
    """`own`: our account's user JIDs, by LID and by phone number. Raises `InvalidStanza`; `StanzaRefused` if
    the attributes name several people where there is one."""
    if node.tag != "message":
        raise InvalidStanza("not a message")
    origin = node.attr_jid("from")
    sender, chat, in_group = _sender_and_chat(node, origin)
    demand_agreement(node, sender, own)
    from_me = any(sender.same_user(me) for me in own)
    recipient = node.optional_jid("recipient")
    if recipient is not None and not in_group:
        if own and not from_me:
            raise InvalidStanza("a recipient on a message that isn't ours")
        chat = recipient.chat
    unavailable = node.child("unavailable")
    identity = node.child("device-identity")
    return InboundMessage(
        id=node.attr_label("id"),
        sender=sender,
        sender_alt=_other_form(node, sender, "participant" if in_group else "sender"),
        chat=chat,
        from_me=from_me,
        recipient=recipient,
        recipient_alt=_first_jid(
            node, "peer_recipient_pn", "peer_recipient_lid", "recipient_pn", "recipient_lid"
        ),
        timestamp=node.attr_int("t"),
        encs=tuple(map(_parse_enc, node.children("enc"))),
        device_identity=identity.bytes() if identity is not None else None,
        push_name=_push_name(node),
        offline="offline" in node.attrs,
        peer=node.attrs.get("category") == "peer",
        edit=node.optional_label("edit"),
        addressing_mode=node.optional_label("addressing_mode"),
        unavailable=(unavailable.optional_label("type") or "unknown") if unavailable is not None else None,
        username=_username(node, "participant_username" if in_group else "username"),
    )


def demand_agreement(node: Node, sender: JID, own: Collection[JID]) -> None:
    """Raise `StanzaRefused` unless all attributes that name the sender can be one person's, and so with those
    that name a recipient. Else one attribute would say who speaks, and another whose session is used."""
    if not is_one_person((sender, *map(node.optional_jid, _SENDER)), own):
        raise StanzaRefused(SENDER_MISMATCH)
    if not is_one_person(map(node.optional_jid, _RECIPIENT), own):
        raise StanzaRefused(RECIPIENT_MISMATCH)


def is_shared(origin: JID) -> bool:
    """True if a conversation has several people, so that `participant` names the sender."""
    return origin.server in (GROUP, BROADCAST)


def _sender_and_chat(node: Node, origin: JID) -> tuple[JID, JID, bool]:
    """Who wrote, in which conversation, and whether that has several people."""
    if is_shared(origin):
        sender = node.attr_jid("participant")
        if not sender.user or sender.server not in _USERS:
            raise InvalidStanza("participant is no user")
        return sender, origin, True
    if "participant" in node.attrs:
        raise StanzaRefused(PARTICIPANT_OUTSIDE_GROUP)
    if not origin.user:
        raise InvalidStanza("a message from nobody")
    if origin.server not in _USERS and origin.server != NEWSLETTER:
        raise InvalidStanza(f"a message from {origin.kind}")
    return origin, origin.chat, False


def _other_form(node: Node, sender: JID, prefix: str) -> JID | None:
    """The sender's other address, with the device of the one in the stanza."""
    suffix = "pn" if sender.chat.server == LID else "lid"
    other = node.optional_jid(f"{prefix}_{suffix}")
    if other is None:
        return None
    if other.chat.server != (PN if suffix == "pn" else LID) or not other.user:
        raise InvalidStanza(f"{prefix}_{suffix} is of another kind")
    return other if other.device else other.with_device(sender.device)


def _first_jid(node: Node, *names: str) -> JID | None:
    return next((jid for name in names if (jid := node.optional_jid(name)) is not None), None)


def _push_name(node: Node) -> str | None:
    name = node.optional_str("notify")
    return None if name is None or name == "-" else name[:MAX_NAME]


def _username(node: Node, attribute: str) -> str | None:
    """The name that WhatsApp lets one person have; what can't be one says nothing."""
    name = (node.optional_str(attribute) or "").removeprefix("@")
    return name if _USERNAME.fullmatch(name) else None


def _parse_enc(node: Node) -> Enc:
    return Enc(
        node.attr_label("type"),
        node.bytes(),
        node.optional_int("v") or 2,
        node.optional_int("count", MAX_RETRY_COUNT) or 0,
    )
