"""What a person wrote, of whatever kind: its words, the message that it answers, and what else can be told.

    Message ── wrappers ── the fields that are set ── KINDS: a kind with its content
                             │                     └─ any other field: `other`, under its name
                             └─ SILENT: nothing that a person wrote

A new field of WhatsApp's schema, and one that we don't even know the number of, is `other`; nothing is left
out because nobody listed it. Where a message quotes is found by the type of its parts, for `ContextInfo` has
another number in each of them. The fields are those of Baileys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.unknown_fields import UnknownFieldSet

from tocsin.whatsapp.bounds import MAX_DETAIL, MAX_LABEL, MAX_NAME, MAX_NUMBER
from tocsin.whatsapp.proto.message_pb2 import (
    ContextInfo,
    ListResponse,
    Message,
    MessageKey,
    PollCreation,
    QuotingAt17,
    Wrapped,
)
from tocsin.whatsapp.timer import Timer
from tocsin.whatsapp.timer import told as timer_of

MAX_WRAPPERS: Final = 8
"""WhatsApp's own clients nest about five deep."""
MAX_OPTIONS: Final = 32
"""Of a poll. WhatsApp allows twelve."""

TEXT: Final = "text"
REACTION: Final = "reaction"
OTHER: Final = "other"
EMPTY: Final = "empty"
UNAVAILABLE: Final = "unavailable"

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "conversation": TEXT,
        "extended_text": TEXT,
        "image": "image",
        "video": "video",
        "ptv": "video",
        "document": "document",
        "audio": "audio",
        "sticker": "sticker",
        "contact": "contact",
        "contacts_array": "contact",
        "location": "location",
        "live_location": "location",
        "template_button_reply": "button",
        "buttons_response": "button",
        "list_response": "list",
        "interactive_response": "interactive",
        "reaction": REACTION,
        "encrypted_reaction": REACTION,
        "poll_creation": "poll",
        "poll_creation_v2": "poll",
        "poll_creation_v3": "poll",
        "poll_creation_v5": "poll",
        "poll_update": "poll_vote",
        "placeholder": UNAVAILABLE,
    }
)
"""Field of Message → kind. Every field that stands neither here nor in `SILENT` is `other`."""

SILENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sender_key_distribution": "the sender's key for a group",
        "fast_ratchet_key_sender_key_distribution": "the sender's key for a group call",
        "protocol": "control messages: `content.PROTOCOL` says which of them are a person's",
        "device_sent": "what an own device wrote to somebody; from anybody else it is spoofed",
        "message_context_info": "about the message beside it",
        "sticker_sync_rmr": "asks an own device to upload stickers again",
        "message_history_bundle": "a group's history, for a new member",
        "message_history_notice": "says that such a history was given",
    }
)
"""Field of Message → why it is nothing that a person wrote."""

DETAILS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        "mimetype": ("mime_type", MAX_NAME),
        "file_name": ("file_name", MAX_NAME),
        "file_length": ("size_bytes", MAX_NUMBER),
        "seconds": ("duration_seconds", MAX_NUMBER),
        "page_count": ("pages", MAX_NUMBER),
        "name": ("name", MAX_NAME),
        "address": ("address", MAX_DETAIL),
        "vcard": ("vcard", MAX_DETAIL),
        "view_once": ("view_once", 0),
    }
)
"""Field of a part → what it is called where it is told, and how long or how large it may be."""

_WORDS: Final = ("text", "caption", "selected_display_text", "selected_id", "selected_button_id")
"""Fields of a part that hold the sender's words, the best one first."""

Detail: TypeAlias = str | int
Details: TypeAlias = Mapping[str, Detail]


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote.

    `kind`: a value of `KINDS`, `other` or `empty`. `text`: its words, `None` if it has none. `quoted_id`: the
    message that it answers or reacts to. `target_id`: the message that its key names (which it reacts to,
    votes in, pins). `details`: what else can be told, by the names in multidevice/REPLIES.md.
    `timer`: the chat's, if told.
    """

    kind: str
    text: str | None = field(default=None, repr=False)
    quoted_id: str | None = None
    target_id: str | None = None
    details: Details = field(default_factory=dict, repr=False)
    timer: Timer | None = None


def is_wrapper(described: FieldDescriptor) -> bool:
    """Whether a field of Message holds another message and nothing else."""
    return described.message_type is not None and described.message_type.full_name == _WRAPPED


_WRAPPED: Final = Wrapped.DESCRIPTOR.full_name
_CONTEXT: Final = ContextInfo.DESCRIPTOR.full_name
_KEY: Final = MessageKey.DESCRIPTOR.full_name
_MESSAGE: Final = Message.DESCRIPTOR.full_name


def layers_of(message: Message) -> Iterator[tuple[Message, str | None]]:
    """A message, and each one that it is wrapped around, with the field that held it. The last is what was
    meant, or still a wrapper if there are more than `MAX_WRAPPERS`."""
    name = None
    for _ in range(MAX_WRAPPERS + 1):
        yield message, name
        held = [described for described, _ in message.ListFields()]
        if any(_is_content(described) for described in held):
            return  # beside it, a wrapper is of no account
        wrapper = next(filter(is_wrapper, held), None)
        if wrapper is None:
            return
        name = wrapper.name
        message = getattr(message, name).message


def written_in(message: Message) -> Written | None:
    """Read a message without its wrappers; `None` if no person wrote it."""
    held = [(described, part) for described, part in message.ListFields() if described.name not in SILENT]
    # The kinds we know first: a part that we don't may be about the one that we do.
    held.sort(key=lambda one: one[0].name not in KINDS)
    for described, part in held:
        return _read(described, part)
    unknown = next(iter(UnknownFieldSet(message)), None)
    if unknown is not None:
        quoted = _usual_quote(unknown.data)
        return Written(OTHER, quoted_id=quoted, details={"type": f"field {unknown.field_number}"})
    is_silent = any(described.name != "message_context_info" for described, _ in message.ListFields())
    return None if is_silent else Written(EMPTY)


def readable(value: str | bytes | None) -> str:
    """A proto2 string with invalid UTF-8 comes as bytes. A cut emoji must not lose the message."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def id_in(key: MessageKey) -> str | None:
    """The message that a key names; `None` for one that no message can have."""
    return _label(key.id)


def _label(value: str) -> str | None:
    label = readable(value)
    return label if 0 < len(label) <= MAX_LABEL else None


def _is_content(described: FieldDescriptor) -> bool:
    return described.name not in SILENT and not is_wrapper(described)


def _read(described: FieldDescriptor, part: Any) -> Written:
    kind = KINDS.get(described.name, OTHER)
    if isinstance(part, (str, bytes)):
        return Written(kind, readable(part) or None)
    if described.name == "audio" and part.ptt:
        kind = "voice"
    context, key = _part_of_type(part, _CONTEXT), _part_of_type(part, _KEY)
    about = None if is_wrapper(described) else _inner(part)
    target = id_in(key) if key is not None else None
    quoted = _label(context.stanza_id) if context is not None else None
    details = {**(about.details if about else {}), **_details(part)}
    if kind == OTHER:
        details["type"] = described.json_name
    return Written(
        kind,
        _words(part) or (about.text if about else None),
        quoted or target or (about.quoted_id if about else None),
        target,
        details,
        timer_of(context.expiration, context.ephemeral_setting_timestamp)
        if context is not None and context.HasField("expiration")
        else None,
    )


def _inner(part: ProtoMessage) -> Written | None:
    """What the message within a part says: a comment's, or the note of a payment."""
    inner = _part_of_type(part, _MESSAGE)
    if inner is None:
        return None
    *_, (meant, _) = layers_of(inner)
    return written_in(meant)


def _part_of_type(part: ProtoMessage, full_name: str) -> Any:
    """The first part of a part that has a type, whatever its number; `None` if there is none."""
    for described, value in part.ListFields():
        if described.message_type is not None and described.message_type.full_name == full_name:
            return value
    return None


def _words(part: Any) -> str | None:
    """The sender's words in a part, or in its body."""
    held = {described.name: value for described, value in part.ListFields()}
    words = next((readable(held[name]) for name in _WORDS if held.get(name)), "")
    if not words and "body" in held:
        words = _words(held["body"]) or ""
    if not words and "native_flow_response" in held:
        words = readable(held["native_flow_response"].params_json)
    if isinstance(part, ListResponse):
        words = readable(part.title) or readable(part.single_select_reply.selected_row_id)
    return words or None


def _details(part: Any) -> dict[str, Detail]:
    details: dict[str, Detail] = {}
    for described, value in part.ListFields():
        name, most = DETAILS.get(described.name, ("", 0))
        if not name:
            continue
        if isinstance(value, bool):
            if value:
                details[name] = value
        elif isinstance(value, int):
            if value <= most:
                details[name] = value
        elif text := readable(value)[:most]:
            details[name] = text
    details.update(_place(part))
    if isinstance(part, PollCreation):
        options = (readable(option.name)[:MAX_NAME] for option in part.options[:MAX_OPTIONS])
        details["options"] = "\n".join(options)
    return details


def _place(part: Any) -> dict[str, str]:
    """Degrees as text, for the tables hold no fractions. Only where they are a place on Earth."""
    latitude, longitude = getattr(part, "latitude", None), getattr(part, "longitude", None)
    if latitude is None or longitude is None or not part.HasField("latitude"):
        return {}
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return {}
    return {"latitude": f"{latitude:.6f}", "longitude": f"{longitude:.6f}"}


def _usual_quote(data: object) -> str | None:
    """What a part of unknown shape quotes, if it keeps its `ContextInfo` where nearly all do."""
    if not isinstance(data, bytes):
        return None
    try:
        return _label(QuotingAt17.FromString(data).context_info.stanza_id)
    except ProtobufError:
        return None
