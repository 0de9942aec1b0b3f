"""What a decrypted message says: the text of a reply, what it answers, or which control message it is."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.whatsapp.bounds import MAX_LABEL, MAX_NAME, MAX_NUMBER
from tocsin.whatsapp.errors import InvalidJid, InvalidStanza
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.notifications import MAX_TOKEN_BYTES
from tocsin.whatsapp.proto.message_pb2 import (
    ContextInfo,
    HistorySync,
    HistorySyncNotification,
    LidMigrationPayload,
    Message,
    PeerDataResponse,
    ProtocolMessage,
    WebMessageInfo,
)

MAX_WRAPPERS: Final = 5
MAX_HISTORY_BYTES: Final = 64 * 2**20
MAX_SALT_BYTES: Final = 256

_WRAPPERS: Final = (
    "ephemeral",
    "view_once",
    "view_once_v2",
    "view_once_v2_extension",
    "document_with_caption",
    "edited",
    "bot_invoke",
    "group_status",
    "group_status_v2",
    "associated_child",
)

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

_PROTOCOL_KINDS: Final = {
    _REVOKE: "revoke",
    _TIMER: "timer",
    _HISTORY: "history",
    _EDIT: "edit",
    _LID_MIGRATION: "lid-migration",
    _PEER_DATA: "peer-data",
}


@dataclass(frozen=True, slots=True)
class AddressPair:
    """One person's two addresses, bare."""

    pn: JID
    lid: JID


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

    `kind`: `text`, `image`, `video`, `document`, `button`, `list`, `interactive`, `reaction`, `other` (a
    reply without text: contact, location, audio, sticker), `edit`, `revoke`, `timer`, `history`,
    `lid-migration`, `peer-data`, `sender-key`, `protocol`, `spoofed` (a control message that only our own
    devices may send), `encrypted` (poll votes and the like), `unknown`.
    `text`: the reply's words, `None` if it has none. `quoted_id`: the message it answers, edits or revokes.
    `chat`: whom an own other device wrote to. `expiration`: the chat's timer in seconds, if told.
    """

    kind: str
    text: str | None = field(default=None, repr=False)
    quoted_id: str | None = None
    chat: str | None = field(default=None, repr=False)
    expiration: int | None = None
    sender_key: SenderKey | None = None
    pairs: tuple[AddressPair, ...] = field(default=(), repr=False)
    history: HistorySyncNotification | None = field(default=None, repr=False)
    resent: tuple[Resent, ...] = field(default=(), repr=False)

    @property
    def is_reply(self) -> bool:
        """True if a person said something, with or without words."""
        return self.kind in _REPLIES


_REPLIES: Final = frozenset(
    ("text", "image", "video", "document", "button", "list", "interactive", "reaction", "other")
)


def parse_plaintext(plaintext: bytes) -> Message:
    """The Message in a decrypted, unpadded plaintext. Raises `InvalidStanza` (answer with nack 491)."""
    try:
        return Message.FromString(plaintext)
    except ProtobufError as exc:
        raise InvalidStanza("protobuf") from exc


def content_of(message: Message, *, from_me: bool = False) -> Content:
    """Read a message. `from_me`: one of our own devices sent it; only then may it speak for the account."""
    sender_key = _sender_key(message)
    chat = None
    if message.HasField("device_sent") and from_me:
        chat = message.device_sent.destination_jid or None
        message = message.device_sent.message
    for _ in range(MAX_WRAPPERS):
        inner = _unwrapped(message)
        if inner is None:
            break
        message = inner
    content = _control(message.protocol, from_me) if message.HasField("protocol") else _reply(message)
    if content.kind == "unknown" and sender_key is not None:
        content = Content("sender-key")
    return replace(
        content,
        text=_text(content.text),
        quoted_id=_text(content.quoted_id),
        chat=_text(chat),
        sender_key=sender_key or _sender_key(message),
    )


def _text(value: str | bytes | None) -> str | None:
    """A proto2 string with invalid UTF-8 comes as bytes. A cut emoji must not lose the message."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _sender_key(message: Message) -> SenderKey | None:
    if not message.HasField("sender_key_distribution"):
        return None
    key = message.sender_key_distribution
    return SenderKey(_text(key.group_id) or "", key.distribution)


def _unwrapped(message: Message) -> Message | None:
    for name in _WRAPPERS:
        if message.HasField(name):
            inner: Message = getattr(message, name).message
            return inner
    return None


def _control(protocol: ProtocolMessage, from_me: bool) -> Content:
    if protocol.type in _OWN_ONLY and not from_me:
        return Content("spoofed")
    kind = _PROTOCOL_KINDS.get(protocol.type, "protocol")
    target = protocol.key.id or None
    if kind == "edit":
        return Content(kind, _reply(protocol.edited_message).text, target)
    if kind == "timer":
        return Content(kind, expiration=protocol.ephemeral_expiration)
    if kind == "history":
        return Content(kind, history=protocol.history_sync_notification)
    if kind == "peer-data":
        return Content(kind, resent=_resent(protocol.peer_data_response))
    if kind == "lid-migration":
        return Content(kind, pairs=_migrated(protocol.lid_migration_mapping.payload))
    return Content(kind, quoted_id=target if kind == "revoke" else None)


def _reply(message: Message) -> Content:
    for name, read in _READERS:
        if message.HasField(name):
            return read(message)
    return Content("unknown")


def _answer(kind: str, text: str, context: ContextInfo) -> Content:
    expiration = context.expiration if context.HasField("expiration") else None
    return Content(kind, text or None, context.stanza_id or None, expiration=expiration)


def _interactive(message: Message) -> Content:
    response = message.interactive_response
    text = response.body.text or response.native_flow_response.params_json
    return _answer("interactive", text, response.context_info)


def _list(message: Message) -> Content:
    response = message.list_response
    text = response.title or response.single_select_reply.selected_row_id
    return _answer("list", text, response.context_info)


def _button(message: Message) -> Content:
    response = message.buttons_response
    text = response.selected_display_text or response.selected_button_id
    return _answer("button", text, response.context_info)


def _template(message: Message) -> Content:
    response = message.template_button_reply
    return _answer("button", response.selected_display_text or response.selected_id, response.context_info)


_Reader = Callable[[Message], Content]

_READERS: Final[tuple[tuple[str, _Reader], ...]] = (
    ("conversation", lambda m: Content("text", m.conversation or None)),
    ("extended_text", lambda m: _answer("text", m.extended_text.text, m.extended_text.context_info)),
    ("image", lambda m: _answer("image", m.image.caption, m.image.context_info)),
    ("video", lambda m: _answer("video", m.video.caption, m.video.context_info)),
    ("document", lambda m: _answer("document", m.document.caption, m.document.context_info)),
    ("template_button_reply", _template),
    ("buttons_response", _button),
    ("list_response", _list),
    ("interactive_response", _interactive),
    ("reaction", lambda m: Content("reaction", m.reaction.text or None, m.reaction.key.id or None)),
    ("contact", lambda m: Content("other")),
    ("location", lambda m: Content("other")),
    ("audio", lambda m: Content("other")),
    ("sticker", lambda m: Content("other")),
    ("poll_update", lambda m: Content("encrypted")),
    ("encrypted_reaction", lambda m: Content("encrypted")),
    ("encrypted_edit", lambda m: Content("encrypted")),
)


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
    chat = _jid(info.key.remote_jid)
    message_id = _text(info.key.id)
    if chat is None or not info.HasField("message"):
        return None
    if not message_id or len(message_id) > MAX_LABEL:
        return None
    return Resent(
        message_id,
        chat,
        info.key.from_me,
        _jid(info.participant or info.key.participant),
        min(info.timestamp, MAX_NUMBER),
        (_text(info.push_name) or "")[:MAX_NAME] or None,
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


@dataclass(frozen=True, slots=True)
class Entrusted:
    """A privacy token of the contact `lid` (bare), issued at `at`; `issued_at`: when we issued ours, 0 if
    never. Unix seconds."""

    lid: JID
    token: bytes = field(repr=False)
    at: int
    issued_at: int


@dataclass(frozen=True, slots=True)
class History:
    """The part of a history chunk that a notifier has use for. `push_names`: by JID text. `salt`: for contact
    secrets, where the chunk has it."""

    pairs: tuple[AddressPair, ...]
    push_names: dict[str, str] = field(repr=False)
    entrusted: tuple[Entrusted, ...] = field(repr=False, default=())
    salt: bytes | None = field(repr=False, default=None)


def history_of(compressed: bytes) -> History:
    """Read a history chunk (one zlib stream: an inline payload, or a decrypted download).

    Raises `InvalidStanza`; more than 64 MiB inflated is refused too.
    """
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(compressed, MAX_HISTORY_BYTES + 1)
        if len(data) > MAX_HISTORY_BYTES or not stream.eof:
            raise InvalidStanza("history chunk")
        chunk = HistorySync.FromString(data)
    except (zlib.error, ProtobufError) as exc:
        raise InvalidStanza("history chunk") from exc
    told = [(one.pn_jid, one.lid_jid) for one in chunk.phone_number_to_lid]
    for chat in chunk.conversations:
        told += [(chat.pn_jid or chat.id, chat.lid_jid or chat.id)]
    pairs = (pair for pn, lid in told if (pair := _pair(pn, lid)) is not None)
    names = ((_text(one.id), _text(one.push_name)) for one in chunk.push_names)
    salt = chunk.nct_salt if 0 < len(chunk.nct_salt) <= MAX_SALT_BYTES else None
    return History(
        tuple(dict.fromkeys(pairs)),
        {jid: name for jid, name in names if jid and name},
        tuple(one for chat in chunk.conversations if (one := _entrusted(chat)) is not None),
        salt,
    )


def _entrusted(chat: HistorySync.Conversation) -> Entrusted | None:
    lid = _jid(chat.lid_jid or chat.id)
    if lid is None or lid.server != LID or not 0 < len(chat.tc_token) <= MAX_TOKEN_BYTES:
        return None
    if not 0 < chat.tc_token_timestamp <= MAX_NUMBER:
        return None
    issued_at = chat.tc_token_sender_timestamp
    return Entrusted(lid, chat.tc_token, chat.tc_token_timestamp, issued_at if issued_at <= MAX_NUMBER else 0)


def _jid(text: str) -> JID | None:
    try:
        return JID.parse(_text(text) or "").chat
    except InvalidJid:
        return None


def _pair(pn: str, lid: str) -> AddressPair | None:
    number, user = _jid(pn), _jid(lid)
    if number is None or user is None or not number.user or not user.user:
        return None
    return AddressPair(number, user) if (number.server, user.server) == (PN, LID) else None
