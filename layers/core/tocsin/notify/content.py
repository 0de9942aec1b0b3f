"""What a notification says, in the domain's words: a text, a file, an edit of an earlier text, a reaction.

A transport turns it into a message of its own kind (`compose.py` for WhatsApp). One notification has one
content for its whole life: whatever a message is made of is decided before it is first sent, and kept.
Each kind has a `text`: the words that the recipient reads.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quote:
    """An earlier message of ours to the same recipient, shown above the text. `text`: what that one said.

    `message_id`: as it was known when this was planned. A transport that gives ids of its own finds one here
    that it never gave if the earlier message wasn't sent by then, and says the text without it.
    """

    message_id: str
    text: str


@dataclass(frozen=True)
class Preview:
    """What is shown of a link in the text. `url` stands in the text as it stands here."""

    url: str
    title: str
    description: str = ""


@dataclass(frozen=True)
class Text:
    """Words, with WhatsApp's formatting in them."""

    text: str
    quote: Quote | None = None
    preview: Preview | None = None


@dataclass(frozen=True)
class Attachment:
    """A file in the deployment's bucket. `file_name`: as the recipient sees it."""

    key: str
    file_name: str
    media_type: str


@dataclass(frozen=True)
class File:
    """An attachment with a caption, shown as an image where phones can."""

    attachment: Attachment
    caption: str = ""

    @property
    def text(self) -> str:
        return self.caption


@dataclass(frozen=True)
class Edit:
    """New words for a message of ours that was sent before. `at`: when they were written, ms. `preview`: for
    the message that takes its place if it comes too late."""

    message_id: str
    text: str
    at: int
    preview: Preview | None = None


@dataclass(frozen=True)
class Reaction:
    """An emoji on a message that the recipient wrote. `author`: who wrote it (bare JID), where the chat is a
    group; `at`: ms."""

    message_id: str
    emoji: str
    at: int
    author: str | None = None

    @property
    def text(self) -> str:
        return self.emoji


@dataclass(frozen=True)
class Withheld:
    """What stands in for words that can't be had: `why` is a key of `WITHHELD`. It is read, never
    written, and never sent."""

    why: str

    @property
    def text(self) -> str:
        return ""


LOCKED = "text-locked"
"""They are sealed, and who reads has no key: a function that needs no texts, or an operator without the
right."""

DAMAGED = "text-damaged"
"""What lies there was not sealed for this record: it was cut, altered, or moved here from another one; or its
key is in no secret that we have."""

ERASED = "text-erased"
"""The words were erased, the record was left."""

SENSITIVE = "text-sensitive"
"""They are for the recipient alone: the console shows them to nobody, whatever their rights."""

WITHHELD = {
    SENSITIVE: "it is sensitive: for its recipient alone",
    LOCKED: "its words are sealed, and their key isn't at hand",
    DAMAGED: "its words were damaged, moved here from another record, or sealed with an unknown key",
    ERASED: "its words were erased",
}

Content = Text | File | Edit | Reaction | Withheld
