"""A notification for tests: they name what matters to them, the rest is Siti's first ticket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tocsin.notify.content import Text
from tocsin.notify.notification import Notification, derived_id

N = Notification(
    id="0123456789abcdef01",
    account="default",
    ticket_id="TCK-1",
    event_type="TicketCreated",
    revision=1,
    audience="customer",
    recipient="6281234567890",
    recipient_name="Siti",
    language="id",
    content=Text("Halo"),
    created_at=1_000_000,
    expires_at=2_000_000,
)


def a_notification(**changes: Any) -> Notification:
    """`N` with other fields."""
    return replace(N, **changes)


def an_id(*about: object) -> str:
    """An id that is the same for the same, where it doesn't matter how ids are made."""
    return derived_id("", *map(str, about))
