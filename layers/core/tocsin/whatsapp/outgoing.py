"""The messages we write: serialised protobufs, and what a stanza says of the message it carries.

On the path of every send, so protobuf isn't loaded here: the few fields that a notifier fills are written by
hand. What others write is read with the real parser, in `content`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tocsin.signal.wire import varint
from tocsin.whatsapp.jid import JID

if TYPE_CHECKING:
    from tocsin.whatsapp.media import Upload
    from tocsin.whatsapp.timer import Timer


@dataclass(frozen=True, slots=True)
class Kind:
    """What a stanza says of its message. `type`: `text`, `media`, `reaction`; `mediatype`: of an attachment.

    `edit`: "1" for an edit, "7" for a revoke. `hidden`: a receiver that can't decrypt it shows nothing.
    """

    type: str = "text"
    mediatype: str | None = None
    edit: str | None = None
    hidden: bool = False


TEXT: Final = Kind()
EDIT: Final = Kind(edit="1", hidden=True)
REACTION: Final = Kind(type="reaction", hidden=True)
LINK: Final = Kind("media", "url")


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A serialised Message and what its stanza says of it."""

    body: bytes = field(repr=False)
    kind: Kind = TEXT


# Field numbers of the Message protobuf and of its parts.

_CONVERSATION: Final = 1
_SENDER_KEY_DISTRIBUTION: Final = 2
_IMAGE: Final = 3
_EXTENDED_TEXT: Final = 6
_DOCUMENT: Final = 7
_PROTOCOL: Final = 12
_DEVICE_SENT: Final = 31
_REACTION: Final = 46
_WITH_CAPTION: Final = 53
_EDITED: Final = 58
_CONTEXT_INFO: Final = 17
_EXPIRATION: Final = 25
_EXPIRATION_SET_AT: Final = 26
_DISAPPEARING_MODE: Final = 32
# A setting of the chat, which was changed there.
_BY_CHAT: Final = b"\x08\x00\x10\x01"
_MESSAGE_EDIT: Final = 14


def _field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def carried(timer: Timer | None, *, group: bool = False) -> bytes:
    """What a message's context info says of the chat's timer, if one is on. `group`: it is a group's."""
    if timer is None or not timer.seconds:
        return b""
    since = _number(_EXPIRATION_SET_AT, timer.at) if timer.at else b""
    mode = b"" if group else _field(_DISAPPEARING_MODE, _BY_CHAT)
    return _number(_EXPIRATION, timer.seconds) + since + mode


def text_message(text: str, *, carries: bytes = b"") -> bytes:
    """A serialised Message. `carries`: see `carried`."""
    if not carries:
        return _field(_CONVERSATION, text.encode())
    return _extended(text, carries)


def extended_message(
    text: str,
    *,
    quote: tuple[str, JID, bytes] | None = None,
    preview: tuple[str, str, str] | None = None,
    carries: bytes = b"",
) -> OutgoingMessage:
    """A text with more to it. `carries`: see `carried`.

    `quote`: id, author and Message of an earlier one, shown above it; the last is what the reader sees of it,
    should it be missing from the chat. `preview`: a link in the text, title and description of what it leads
    to.
    """
    about, context, kind = b"", b"", TEXT
    if preview is not None:
        url, title, description = preview
        about = _field(2, url.encode()) + _field(5, description.encode()) + _field(6, title.encode())
        kind = LINK
    if quote is not None:
        message_id, author, quoted = quote
        context = _field(1, message_id.encode()) + _field(2, str(author.bare).encode()) + _field(3, quoted)
    return OutgoingMessage(_extended(text, context + carries, about), kind)


def _extended(text: str, context: bytes, about: bytes = b"") -> bytes:
    more = _field(_CONTEXT_INFO, context) if context else b""
    return _field(_EXTENDED_TEXT, _field(1, text.encode()) + about + more)


def image_message(
    upload: Upload, mimetype: str, caption: str = "", *, carries: bytes = b""
) -> OutgoingMessage:
    """`carries`: see `carried`."""
    image = (
        _field(1, upload.url.encode())
        + _field(2, mimetype.encode())
        + (_field(3, caption.encode()) if caption else b"")
        + _field(4, upload.file_sha256)
        + _number(5, upload.length)
        + (_number(6, upload.height) + _number(7, upload.width) if upload.width and upload.height else b"")
        + _field(8, upload.media_key)
        + _field(9, upload.file_enc_sha256)
        + _field(11, upload.direct_path.encode())
        + _number(12, upload.uploaded_at)
        + (_field(_CONTEXT_INFO, carries) if carries else b"")
    )
    return OutgoingMessage(_field(_IMAGE, image), Kind("media", "image"))


def document_message(
    upload: Upload, mimetype: str, file_name: str, caption: str = "", *, carries: bytes = b""
) -> OutgoingMessage:
    """One with a caption is wrapped, as the official clients do. `carries`: see `carried`."""
    document = (
        _field(1, upload.url.encode())
        + _field(2, mimetype.encode())
        + _field(3, file_name.encode())
        + _field(4, upload.file_sha256)
        + _number(5, upload.length)
        + _field(7, upload.media_key)
        + _field(8, file_name.encode())
        + _field(9, upload.file_enc_sha256)
        + _field(10, upload.direct_path.encode())
        + _number(11, upload.uploaded_at)
        + (_field(_CONTEXT_INFO, carries) if carries else b"")
        + (_field(20, caption.encode()) if caption else b"")
    )
    body = _field(_DOCUMENT, document)
    wrapped = _field(_WITH_CAPTION, _field(1, body)) if caption else body
    return OutgoingMessage(wrapped, Kind("media", "document"))


def edit_message(chat: JID, message_id: str, message: bytes, at: int) -> OutgoingMessage:
    """`message` in place of the one that we sent to `chat` under `message_id`. `at`: ms.

    Receivers take it within 20 minutes of that one; it has an id of its own.
    """
    protocol = (
        _field(1, _key(chat, message_id, from_me=True))
        + _number(2, _MESSAGE_EDIT)
        + _field(14, message)
        + _number(15, at)
    )
    return OutgoingMessage(_field(_EDITED, _field(1, _field(_PROTOCOL, protocol))), EDIT)


def reaction_message(
    chat: JID, message_id: str, emoji: str, at: int, author: JID | None = None
) -> OutgoingMessage:
    """An emoji on what somebody wrote in `chat`; `author`: who, in a group. `at`: ms."""
    key = _key(chat, message_id, from_me=False, participant=author)
    body = _field(1, key) + _field(2, emoji.encode()) + _number(4, at)
    return OutgoingMessage(_field(_REACTION, body), REACTION)


def _key(chat: JID, message_id: str, *, from_me: bool, participant: JID | None = None) -> bytes:
    key = _field(1, str(chat).encode()) + _number(2, int(from_me)) + _field(3, message_id.encode())
    return key + (_field(4, str(participant.bare).encode()) if participant is not None else b"")


def device_sent(chat: JID, message: bytes) -> bytes:
    """What our own other devices get, so that the message shows there: `message` as sent to `chat`."""
    return _field(_DEVICE_SENT, _field(1, str(chat).encode()) + _field(2, message))


def with_sender_key(group: JID, distribution: bytes, message: bytes = b"") -> bytes:
    """`message` (or none) with the group's sender key in it. Joined protobufs are merged ones."""
    inner = _field(1, str(group).encode()) + _field(2, distribution)
    return _field(_SENDER_KEY_DISTRIBUTION, inner) + message
