"""Notifications ⇄ items of the notifications table.

Stored attributes are public: whatever was ever written can be read. Their moments are in ms, but
`expires_at` and the time to live (`expire_at`) in seconds. What people wrote is one sealed attribute
(`texts.py`): the content, the recipient's name, and an address that was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, assert_never

from tocsin.dynamo.writes import Item
from tocsin.notify.content import (
    DAMAGED,
    ERASED,
    SENSITIVE,
    Attachment,
    Content,
    Edit,
    File,
    Preview,
    Quote,
    Reaction,
    Text,
    Withheld,
)
from tocsin.notify.hold import held_until
from tocsin.notify.notification import Attempt, Notification, Problem, Recovery, State
from tocsin.notify.store.texts import SEALED, Texts, TextWithheld
from tocsin.tables.names import message_id_of
from tocsin.tables.notifications import notification_key
from tocsin.timestamps import from_seconds, to_seconds

DETAIL_LENGTH = 500

MALFORMED = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)
"""What reading a record raises that has another form than the expected one."""

CONTENT_VERSION = 1
"""Of the form in which contents are stored. A form that this code can't read has another one."""

_PLAIN = (
    "id",
    "account",
    "ticket_id",
    "event_type",
    "revision",
    "audience",
    "recipient",
    "language",
    "created_at",
    "retries_used",
    "generation",
)
_OPTIONAL = (
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "suppressed_at",
    "overdue_at",
    "waiting_since",
    "due_at",
    "held_until",
    "event_at",
    "source",
    "requeued_at",
    "recipient_lid",
    "text_id",
    "person",
    "lane",
    "recipient_username",
)
_WORDS = ("content", "recipient_name", "refused_address")
"""What is sealed. Records from before texts were sealed hold them as attributes of their own."""

_MARKS = ("sensitive", "urgent", "hurried")
"""Written where they hold."""

_COUNTERS = ("parkings", "redriven", "attempts_dropped", "tries")


class UnknownContent(ValueError):
    """A record holds a content that this code doesn't know. It was written by a newer version: deploy that
    one, and send the notification again (`tocsin dead-letters redrive`)."""

    def __init__(self, kind: str, version: int) -> None:
        super().__init__(kind, version)
        self.kind = kind
        self.version = version

    def __str__(self) -> str:
        return f"a content of kind {self.kind}, version {self.version}, is unknown: a newer version wrote it"


def item_of_notification(notification: Notification, expire_at: int, texts: Texts) -> dict[str, Any]:
    """The attributes of a notification's item, without its key. `expire_at`: seconds. Raises TextWithheld
    where texts can't be sealed.

    What follows from the rest isn't stored: a write costs by the begun KiB, and each notification is written
    four times.
    """
    plain = {name: getattr(notification, name) for name in (*_PLAIN, *_OPTIONAL)}
    if notification.lane == notification.recipient:
        plain["lane"] = None
    plain |= {name: getattr(notification, name) or None for name in _MARKS}
    return present(
        {
            **plain,
            "expires_at": to_seconds(notification.expires_at),
            "state": notification.state,
            "message_id": notification.given_message_id,
            "attempts": [attempt.to_json() for attempt in notification.attempts],
            "recoveries": {device: one.to_json() for device, one in notification.recoveries.items()},
            "receipts": dict(notification.receipts),
            "digest_of": [list(said) for said in notification.digest_of] or None,
            "event_id": notification.event_id or None,
            SEALED: _sealed(notification, texts),
            "last_error": notification.last_error.to_json() if notification.last_error else None,
            "expire_at": expire_at,
        }
    )


def notification_of_item(item: Item, texts: Texts) -> Notification:
    """The notification that an item (or a stream image of it) holds, with its key. Words that can't be had
    are `Withheld`: the rest of the record is worth reading without them. Raises UnknownContent."""
    values: Mapping[str, Any] = item
    words = _words(values, texts)
    plain: dict[str, Any] = {name: values[name] for name in _PLAIN}
    optional: dict[str, Any] = {name: values.get(name) for name in _OPTIONAL}
    optional |= {name: values.get(name, 0) for name in _COUNTERS}
    optional |= {name: values.get(name, False) for name in _MARKS}
    message_id = values.get("message_id")
    optional["given_message_id"] = None if message_id == message_id_of(plain["id"]) else message_id
    last_error = values.get("last_error")
    recoveries = values.get("recoveries", {})
    if "held_until" not in values and last_error:
        # A record from before holds were written down.
        optional["held_until"] = held_until(last_error["code"], values.get("due_at"))
    return Notification(
        **plain,
        **optional,
        expires_at=from_seconds(values["expires_at"]),
        state=State(values["state"]),
        attempts=tuple(Attempt.from_json(attempt) for attempt in values.get("attempts", ())),
        recoveries=MappingProxyType({device: Recovery.from_json(one) for device, one in recoveries.items()}),
        receipts=MappingProxyType(values.get("receipts", {})),
        event_id=values.get("event_id", ""),
        digest_of=tuple((said[0], said[1]) for said in values.get("digest_of", ())),
        content=_content(words, values),
        recipient_name=words.get("recipient_name", ""),
        refused_address=words.get("refused_address"),
        last_error=Problem.from_json(last_error) if last_error else None,
    )


def _sealed(notification: Notification, texts: Texts) -> bytes:
    words = {
        "content": stored_content(notification.content),
        "recipient_name": notification.recipient_name or None,
        "refused_address": notification.refused_address,
    }
    return texts.seal(present(words), notification_key(notification.id), *_bound_to(vars(notification)))


def _bound_to(values: Mapping[str, Any]) -> tuple[str, ...]:
    """To what the words of a notification are bound beside its place: to whom they go, and what they may pass
    (a confirmation passes an opt-out). None of it ever changes."""
    return (values["account"], values["recipient"], values["audience"], values["event_type"])


def _words(values: Mapping[str, Any], texts: Texts) -> Mapping[str, Any]:
    """The content (as it is stored, or `Withheld`), name and refused address of an item."""
    if SEALED not in values:
        return {name: values[name] for name in _WORDS if name in values}
    if texts.hides_sensitive and values.get("sensitive"):
        return {"content": Withheld(SENSITIVE)}
    try:
        return texts.open(values[SEALED], (values["pk"], values["sk"]), *_bound_to(values))
    except TextWithheld as refusal:
        return {"content": Withheld(refusal.why)}


def _content(words: Mapping[str, Any], values: Mapping[str, Any]) -> Content:
    stored = words.get("content")
    if isinstance(stored, Withheld):
        return stored
    if stored is not None:
        return read_content(stored)
    return (
        _untagged_content(values) if "text" in values else Withheld(DAMAGED if SEALED in values else ERASED)
    )


def stored_content(content: Content) -> dict[str, Any]:
    """A content as it is stored: its kind, the version of this form, and what it is made of. Raises
    ValueError for one that is withheld."""
    kind: str
    parts: dict[str, Any]
    match content:
        case Text(text, quote, preview):
            kind, parts = "text", {"text": text, "quote": _parts(quote), "preview": _parts(preview)}
        case File(attachment, caption):
            kind, parts = "file", {"attachment": _parts(attachment), "caption": caption}
        case Edit(message_id, text, at, preview):
            kind = "edit"
            parts = {"message_id": message_id, "text": text, "at": at, "preview": _parts(preview)}
        case Reaction(message_id, emoji, at, author):
            kind = "reaction"
            parts = {"message_id": message_id, "emoji": emoji, "at": at, "author": author}
        case Withheld(why):
            raise ValueError(f"words that are withheld ({why}) can't be written")
        case _:
            assert_never(content)
    return {"v": CONTENT_VERSION, "kind": kind, **present(parts)}


def read_content(stored: Mapping[str, Any]) -> Content:
    """The content in `stored`. Raises UnknownContent."""
    if stored["v"] != CONTENT_VERSION:
        raise UnknownContent(stored["kind"], stored["v"])
    match stored["kind"]:
        case "text":
            quote, preview = stored.get("quote"), _preview(stored)
            return Text(stored["text"], Quote(**quote) if quote else None, preview)
        case "file":
            return File(Attachment(**stored["attachment"]), stored["caption"])
        case "edit":
            return Edit(stored["message_id"], stored["text"], stored["at"], _preview(stored))
        case "reaction":
            return Reaction(stored["message_id"], stored["emoji"], stored["at"], stored.get("author"))
        case kind:
            raise UnknownContent(kind, CONTENT_VERSION)


def _untagged_content(values: Mapping[str, Any]) -> Content:
    """The content of a record from before contents had kinds: which optional attribute is there tells it."""
    text, at = values["text"], values["created_at"]
    if "attachment" in values:
        return File(Attachment(**values["attachment"]), text)
    if "edits" in values:
        return Edit(values["edits"], text, at, _preview(values))
    if "reacts_to" in values:
        return Reaction(values["reacts_to"], text, at, values.get("reacts_to_author"))
    quote = values.get("quote")
    return Text(text, Quote(**quote) if quote else None, _preview(values))


def _preview(values: Mapping[str, Any]) -> Preview | None:
    preview = values.get("preview")
    return Preview(**preview) if preview else None


def _parts(part: Quote | Preview | Attachment | None) -> dict[str, str] | None:
    return None if part is None else vars(part)


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not None: absent is how an item says None."""
    return {name: value for name, value in values.items() if value is not None}


def bounded(problem: Problem) -> dict[str, str]:
    """A problem as it is stored."""
    return Problem(problem.code, problem.class_, cut(problem.detail)).to_json()


def bounded_attempt(attempt: Attempt) -> dict[str, Any]:
    """An attempt as it is stored."""
    return {**attempt.to_json(), "detail": cut(attempt.detail)}


def cut(detail: str) -> str:
    return detail if len(detail) <= DETAIL_LENGTH else detail[: DETAIL_LENGTH - 1] + "…"
