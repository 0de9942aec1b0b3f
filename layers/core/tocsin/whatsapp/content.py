"""What a decrypted message says: what a person wrote, or which control message it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message as ProtoMessage

from tocsin.whatsapp.bounds import MAX_LABEL, MAX_NAME, MAX_NUMBER
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.history import AddressPair, jid_in
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.message_secret import SECRET_BYTES, SealedEdit
from tocsin.whatsapp.proto.message_pb2 import (
    ContextInfo,
    HistorySyncNotification,
    LidMigrationPayload,
    Message,
    PeerDataResponse,
    ProtocolMessage,
    WebMessageInfo,
)
from tocsin.whatsapp.timer import Timer
from tocsin.whatsapp.timer import told as timer_of
from tocsin.whatsapp.written import (
    MAX_OPTIONS,
    OTHER,
    Details,
    Written,
    id_in,
    layers_of,
    readable,
    written_in,
)

EDIT: Final = "edit"
DELETED: Final = "deleted"

# protocolMessage types, and whether only our own devices may send them.
_REVOKE: Final = 0
_TIMER: Final = 3
_HISTORY: Final = 5
_EDIT: Final = 14
_PEER_DATA_REQUEST: Final = 16
_PEER_DATA: Final = 17
_LID_MIGRATION: Final = 22
_OWN_ONLY: Final = frozenset((_HISTORY, 6, _PEER_DATA, _LID_MIGRATION))

_PLACEHOLDER_RESEND: Final = 4
MAX_RESENT: Final = 64
MAX_SHORTENED: Final = 200 * 1024
"""Bytes. What is stored of a message that is being handled must fit into an item."""

PROTOCOL: Final[Mapping[int, str]] = MappingProxyType(
    {
        _REVOKE: DELETED,
        _TIMER: "timer",
        _HISTORY: "history",
        _EDIT: EDIT,
        _LID_MIGRATION: "lid-migration",
        _PEER_DATA: "peer-data",
    }
)
"""Type of a control message → kind; others are `protocol`. A person's are `edit` and `deleted` alone."""

NO_REPLIES: Final = frozenset(
    ("timer", "history", "lid-migration", "peer-data", "protocol", "sender-key", "spoofed")
)
"""Kinds that nobody wrote. All others are a person's."""

_SEALED_EDIT: Final = 2
"""`SecretEncrypted.type` of an edit; what else is sealed so (events, schedules) is `other`."""


@dataclass(frozen=True, slots=True)
class SenderKey:
    """A group's sender key, to be stored before anything else of the stanza is decrypted."""

    group: str
    distribution: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resent:
    """A message of which we had no copy, from our own phone. `chat`: bare; `from_me`: the owner wrote it.
    `participant`: who wrote it, in a group. `timestamp`: Unix seconds."""

    id: str
    chat: JID
    from_me: bool
    participant: JID | None
    timestamp: int
    push_name: str | None = field(repr=False)
    message: Message = field(repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says.

    `kind`: what a person wrote (`written.KINDS`, `other`, `empty`, `edit`, `deleted`), or one of
    `NO_REPLIES`, of which `spoofed` is a control message that only our own devices may send. `text`: the
    words, `None` if there are none. `quoted_id`: the message it answers. `target_id`: the message it edits,
    deletes, reacts to or votes in. `details`: as `Written.details`. `chat`: whom an own other device wrote
    to. `timer`: the chat's, if told. `secret`: under which later edits of it are sealed.
    `sealed`: an edit that is.
    """

    kind: str
    text: str | None = field(default=None, repr=False)
    quoted_id: str | None = None
    chat: str | None = field(default=None, repr=False)
    timer: Timer | None = None
    target_id: str | None = None
    details: Details = field(default_factory=dict, repr=False)
    sender_key: SenderKey | None = None
    pairs: tuple[AddressPair, ...] = field(default=(), repr=False)
    history: HistorySyncNotification | None = field(default=None, repr=False)
    resent: tuple[Resent, ...] = field(default=(), repr=False)
    secret: bytes | None = field(default=None, repr=False)
    sealed: SealedEdit | None = None

    @property
    def is_reply(self) -> bool:
        """True if a person said something, with or without words."""
        return self.kind not in NO_REPLIES


def parse_plaintext(plaintext: bytes) -> Message:
    """The Message in a decrypted, unpadded plaintext. Raises `InvalidStanza` (answer with nack 491)."""
    try:
        return Message.FromString(plaintext)
    except ProtobufError as exc:
        raise InvalidStanza("protobuf") from exc


def content_of(message: Message, *, from_me: bool = False) -> Content:
    """Read a message. `from_me`: one of our own devices sent it; only then may it speak for the account."""
    outer = [message]
    chat = None
    if message.HasField("device_sent"):
        if from_me:
            chat = readable(message.device_sent.destination_jid) or None
            message = message.device_sent.message
        elif written_in(message) is None:
            return Content("spoofed")
    nested = list(layers_of(message))
    outer += [layer for layer, _ in nested]
    meant, _ = nested[-1]
    sender_key = next(filter(None, map(_sender_key, outer)), None)
    content = _meant(meant, from_me)
    if content.kind == "protocol" and sender_key is not None:
        content = Content("sender-key")
    if any(name is not None and name.startswith("view_once") for _, name in nested):
        content = replace(content, details={**content.details, "view_once": True})
    secret = next(filter(None, map(_secret, outer)), None)
    return replace(content, chat=chat, sender_key=sender_key, secret=secret)


def _meant(message: Message, from_me: bool) -> Content:
    """What the innermost message says. What a person wrote goes before a control message beside it."""
    written = written_in(message)
    if message.HasField("secret_encrypted") and message.secret_encrypted.type == _SEALED_EDIT:
        return _sealed(message)
    if message.HasField("protocol"):
        control = _control(message.protocol, from_me)
        if written is None or control.is_reply or from_me:
            return control
    return _content(written) if written is not None else Content("protocol")


def _content(written: Written) -> Content:
    return Content(
        written.kind,
        written.text,
        written.quoted_id,
        timer=written.timer,
        target_id=written.target_id,
        details=written.details,
    )


def _sealed(message: Message) -> Content:
    sealed = message.secret_encrypted
    target = id_in(sealed.key)
    if target is None:
        return Content(EDIT)
    return Content(EDIT, target_id=target, sealed=SealedEdit(target, sealed.payload, sealed.iv))


def _sender_key(message: Message) -> SenderKey | None:
    if not message.HasField("sender_key_distribution"):
        return None
    key = message.sender_key_distribution
    return SenderKey(readable(key.group_id), key.distribution)


def _secret(message: Message) -> bytes | None:
    secret = message.message_context_info.message_secret
    return secret if len(secret) == SECRET_BYTES else None


def _control(protocol: ProtocolMessage, from_me: bool) -> Content:
    if protocol.type in _OWN_ONLY and not from_me:
        return Content("spoofed")
    kind = PROTOCOL.get(protocol.type, "protocol")
    if kind == EDIT:
        return _edit(protocol)
    if kind == DELETED:
        return Content(kind, target_id=id_in(protocol.key))
    if kind == "timer":
        return Content(
            kind, timer=timer_of(protocol.ephemeral_expiration, protocol.ephemeral_setting_timestamp)
        )
    if kind == "history":
        return Content(kind, history=protocol.history_sync_notification)
    if kind == "peer-data":
        return Content(kind, resent=_resent(protocol.peer_data_response))
    if kind == "lid-migration":
        return Content(kind, pairs=_migrated(protocol.lid_migration_mapping.payload))
    return Content(kind)


def _edit(protocol: ProtocolMessage) -> Content:
    """An edit tells the words, and what it quotes, anew. What kind was edited isn't told twice."""
    *_, (meant, _) = layers_of(protocol.edited_message)
    now = written_in(meant) or Written(OTHER)
    return Content(EDIT, now.text, now.quoted_id, target_id=id_in(protocol.key), timer=now.timer)


def shortened(message: Message, characters: int) -> Message:
    """Return a copy without what a reader of it has no use for: fields that we don't know, thumbnails, quoted
    messages, the rest of long lists, and what texts have beyond so many characters."""
    copy = Message()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    _shorten(copy, characters)
    if copy.ByteSize() <= MAX_SHORTENED:
        return copy
    # No client makes one that is still so large. Its words are left.
    return Message(conversation=(content_of(copy).text or "")[:characters])


def _shorten(part: ProtoMessage, characters: int) -> None:
    for described, value in part.ListFields():
        if isinstance(value, (str, bytes)):
            if len(value) > characters:
                setattr(part, described.name, value[:characters])
        elif isinstance(value, ContextInfo):
            value.ClearField("quoted_message")
        elif isinstance(value, ProtoMessage):
            _shorten(value, characters)
        elif described.is_repeated and described.message_type is not None:
            del value[MAX_OPTIONS:]
            for member in value:
                _shorten(member, characters)


def placeholder_request(chat: JID, message_id: str) -> bytes:
    """Ask our own phone for a message in `chat` (bare) of which we got no copy: a serialised Message."""
    message = Message()
    message.protocol.type = _PEER_DATA_REQUEST
    request = message.protocol.peer_data_request
    request.type = _PLACEHOLDER_RESEND
    key = request.placeholders.add().key
    key.remote_jid, key.from_me, key.id = str(chat), False, message_id
    return message.SerializeToString()


def _resent(response: PeerDataResponse) -> tuple[Resent, ...]:
    if response.type != _PLACEHOLDER_RESEND:
        return ()
    found = (_one_resent(result.placeholder.web_message_info) for result in response.results[:MAX_RESENT])
    return tuple(one for one in found if one is not None)


def _one_resent(data: bytes) -> Resent | None:
    try:
        info = WebMessageInfo.FromString(data)
    except ProtobufError:
        return None
    chat = jid_in(info.key.remote_jid)
    message_id = readable(info.key.id)
    if chat is None or not info.HasField("message"):
        return None
    if not message_id or len(message_id) > MAX_LABEL:
        return None
    return Resent(
        message_id,
        chat,
        info.key.from_me,
        jid_in(info.participant or info.key.participant),
        min(info.timestamp, MAX_NUMBER),
        readable(info.push_name)[:MAX_NAME] or None,
        info.message,
    )


def _migrated(payload: bytes) -> tuple[AddressPair, ...]:
    """Pairs of a LID migration; the latest LID where there are two."""
    try:
        mappings = LidMigrationPayload.FromString(payload).mappings
    except ProtobufError as exc:
        raise InvalidStanza("LID migration") from exc
    return tuple(
        AddressPair(JID(str(one.pn), PN), JID(str(one.latest_lid or one.assigned_lid), LID))
        for one in mappings
        if one.pn and (one.latest_lid or one.assigned_lid)
    )
