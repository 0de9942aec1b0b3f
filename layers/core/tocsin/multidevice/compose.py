"""A notification's content as WhatsApp's Message: the same content always makes the same bytes.

So a repeat, a copy for a device that was missed and the answer to a retry receipt carry one and the same
message, whichever function makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from tocsin.multidevice.account import Account
from tocsin.notify.content import Content, Edit, File, Reaction, Text, Withheld
from tocsin.signal.padding import pad
from tocsin.tables.names import is_group
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.outgoing import (
    OutgoingMessage,
    carried,
    device_sent,
    document_message,
    edit_message,
    extended_message,
    image_message,
    reaction_message,
    text_message,
)
from tocsin.whatsapp.timer import Timer

if TYPE_CHECKING:
    from tocsin.keys.timers import ChatTimer
    from tocsin.whatsapp.media import Upload


def compose(
    content: Content, chat: str, own: JID, upload: Upload | None = None, timer: ChatTimer | None = None
) -> OutgoingMessage:
    """Return the message for `chat` (a bare JID: a person's or a group's). `own`: we, as that chat names us.
    `upload`: what was uploaded of a file. `timer`: the chat's, as far as it is known; what has content of its
    own carries it, or the reader sees a warning below. Raises ValueError for a file without an upload, and
    for words that are withheld."""
    carries = carried(Timer(timer.seconds, timer.at), group=is_group(chat)) if timer is not None else b""
    match content:
        case Text(text, None, None):
            return OutgoingMessage(text_message(text, carries=carries))
        case Text(text, quote, preview):
            return extended_message(
                text,
                quote=(quote.message_id, own, text_message(quote.text)) if quote else None,
                preview=(preview.url, preview.title, preview.description) if preview else None,
                carries=carries,
            )
        case File(attachment, caption):
            if upload is None:
                raise ValueError("a file that wasn't uploaded")
            if upload.kind == "image":
                return image_message(upload, attachment.media_type, caption, carries=carries)
            return document_message(
                upload, attachment.media_type, attachment.file_name, caption, carries=carries
            )
        case Edit(message_id, text, at, _):
            return edit_message(JID.parse(chat), message_id, text_message(text), at)
        case Reaction(message_id, emoji, at, author):
            return reaction_message(
                JID.parse(chat), message_id, emoji, at, JID.parse(author) if author else None
            )
        case Withheld(why):
            raise ValueError(why)
        case _:
            assert_never(content)


def plaintext_for(
    account: Account, chat: str, user: str, message: OutgoingMessage, random: Callable[[int], bytes]
) -> bytes:
    """Return the padded message for the devices of `user`: as it is, or as a copy for our own devices."""
    body = device_sent(JID.parse(chat), message.body) if account.is_own(user) else message.body
    return pad(body, random(1))
