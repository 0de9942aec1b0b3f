"""What a phone shows of a message: words, what they quote, a file that was downloaded and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tocsin.whatsapp import media
from tocsin.whatsapp.proto.message_pb2 import ContextInfo, DocumentMessage, ImageMessage, Message
from tocsin_whatsapp_server.media import MediaRefused, MediaStore

WRAPPERS = ("ephemeral", "document_with_caption", "edited")

EDIT = 14
EDIT_SECONDS = 20 * 60
"""For so long a message can be edited, as official clients have it."""


@dataclass(frozen=True)
class Shown:
    """`quoted`: what the sender says that the quoted message said. `preview`: of a link. `media`: what the
    message tells of its file, and whether it is so; `file`: its bytes if it is."""

    kind: str
    text: str
    quoted_id: str | None = None
    quoted: str | None = None
    preview: dict[str, str] | None = None
    media: dict[str, Any] | None = None
    file: bytes | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        more = {"quoted": self.quoted, "preview": self.preview, "media": self.media}
        return {name: value for name, value in more.items() if value is not None}


def show(message: Message, store: MediaStore) -> Shown:
    """What a phone has no screen for is shown as its kind."""
    if message.HasField("conversation"):
        return Shown("text", message.conversation)
    if message.HasField("extended_text"):
        text = message.extended_text
        return Shown("text", text.text, *_quote(text.context_info), preview=_preview(message))
    if message.HasField("reaction"):
        return Shown("reaction", message.reaction.text, message.reaction.key.id or None)
    if message.HasField("image"):
        return _file(media.IMAGE, message.image, {}, store)
    if message.HasField("document"):
        return _file(media.DOCUMENT, message.document, {"file_name": message.document.file_name}, store)
    if message.HasField("protocol") and message.protocol.type == EDIT:
        edited = show(message.protocol.edited_message, store)
        return Shown("edit", edited.text, message.protocol.key.id)
    for wrapper in WRAPPERS:
        if message.HasField(wrapper):
            return show(getattr(message, wrapper).message, store)
    kinds = [descriptor.name for descriptor, _ in message.ListFields()]
    return Shown(kinds[0] if kinds else "empty", "")


def _quote(context: ContextInfo) -> tuple[str | None, str | None]:
    if not context.stanza_id:
        return None, None
    quoted = context.quoted_message
    return context.stanza_id, quoted.conversation or quoted.extended_text.text or None


def _preview(message: Message) -> dict[str, str] | None:
    text = message.extended_text
    if not text.matched_text:
        return None
    return {"matched": text.matched_text, "title": text.title, "description": text.description}


def _file(kind: str, told: ImageMessage | DocumentMessage, more: dict[str, Any], store: MediaStore) -> Shown:
    facts = {
        "mimetype": told.mimetype,
        "length": told.file_length,
        "sha256": told.file_sha256.hex(),
        **more,
        "verified": False,
    }
    if isinstance(told, ImageMessage):
        facts |= {"width": told.width, "height": told.height}
    file = None
    try:
        blob = store.look(told.direct_path)
        file = media.decrypt(blob, kind, told.media_key, told.file_sha256, told.file_enc_sha256)
        facts["verified"] = len(file) == told.file_length and sha256(file).digest() == told.file_sha256
    except (MediaRefused, media.DamagedMedia) as problem:
        facts["problem"] = str(problem)
    return Shown(kind, told.caption, *_quote(told.context_info), media=facts, file=file)
