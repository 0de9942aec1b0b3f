"""Notifications ⇄ items of the notifications table.

Stored attributes are public: whatever was ever written can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tocsin.dynamo.writes import Item
from tocsin.notify.content import Attachment, Preview, Quote
from tocsin.notify.hold import held_until
from tocsin.notify.notification import Attempt, Notification, Problem, Recovery, State

KEPT_SECONDS = 35 * 24 * 3600
"""How long a notification is kept after its last start or failure. A dead letter lives 14 days from its move,
and any retry receipt must be servable, so never less than 30 days."""

DETAIL_LENGTH = 500

_PLAIN = (
    "id",
    "account",
    "ticket_id",
    "event_type",
    "revision",
    "audience",
    "recipient",
    "recipient_name",
    "language",
    "text",
    "created_at",
    "expires_at",
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
    "requeued_at",
    "edits",
    "reacts_to",
    "reacts_to_author",
    "recipient_lid",
    "refused_address",
)
_COUNTERS = ("parkings", "redriven", "attempts_dropped")


def item_of_notification(notification: Notification, expire_at: int) -> dict[str, Any]:
    """The attributes of a notification's item, without its key. `expire_at`: seconds."""
    plain = {name: getattr(notification, name) for name in (*_PLAIN, *_OPTIONAL)}
    return present(
        {
            **plain,
            "state": notification.state,
            "message_id": notification.message_id,
            "attempts": [attempt.to_json() for attempt in notification.attempts],
            "recoveries": {device: one.to_json() for device, one in notification.recoveries.items()},
            "receipts": dict(notification.receipts),
            "event_id": notification.event_id or None,
            "quote": vars(notification.quote) if notification.quote else None,
            "preview": vars(notification.preview) if notification.preview else None,
            "attachment": vars(notification.attachment) if notification.attachment else None,
            "last_error": notification.last_error.to_json() if notification.last_error else None,
            "expire_at": expire_at,
        }
    )


def notification_of_item(item: Item) -> Notification:
    """The notification that an item (or a stream image of it) holds."""
    values: Mapping[str, Any] = item
    plain: dict[str, Any] = {name: values[name] for name in _PLAIN}
    optional: dict[str, Any] = {name: values.get(name) for name in _OPTIONAL}
    optional |= {name: values.get(name, 0) for name in _COUNTERS}
    last_error, quote = values.get("last_error"), values.get("quote")
    attachment, preview = values.get("attachment"), values.get("preview")
    recoveries = values.get("recoveries", {})
    if "held_until" not in values and last_error:
        # A record from before holds were written down.
        optional["held_until"] = held_until(last_error["code"], values.get("due_at"))
    return Notification(
        **plain,
        **optional,
        state=State(values["state"]),
        attempts=tuple(Attempt.from_json(attempt) for attempt in values.get("attempts", ())),
        recoveries=MappingProxyType({device: Recovery.from_json(one) for device, one in recoveries.items()}),
        receipts=MappingProxyType(values.get("receipts", {})),
        event_id=values.get("event_id", ""),
        quote=Quote(**quote) if quote else None,
        preview=Preview(**preview) if preview else None,
        attachment=Attachment(**attachment) if attachment else None,
        last_error=Problem.from_json(last_error) if last_error else None,
    )


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
