"""An outcome as a CloudEvent (1.0, structured), for those whose tools read that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.timestamps import iso

TYPES: Mapping[str, str] = {
    "NotificationSent": "notification.sent",
    "NotificationDelivered": "notification.delivered",
    "NotificationRead": "notification.read",
    "NotificationFailed": "notification.failed",
    "NotificationSuppressed": "notification.suppressed",
    "NotificationOverdue": "notification.overdue",
    "ReplyReceived": "reply.received",
    "IdentityChanged": "identity.changed",
}
"""Detail type on the bus → the type by which the world outside knows it."""

VERSION = "1"
"""Of the schemas of outcomes."""


def about(detail: Mapping[str, Any]) -> str:
    """What an outcome is about: its ticket, the key of its request, or the person; empty if it names none."""
    return str(detail.get("ticket_id") or detail.get("request_key") or detail.get("recipient_lid") or "")


def cloud_event(type_: str, detail: Mapping[str, Any], at: int, stack: str) -> dict[str, Any]:
    """`type_`: of `TYPES`; `at`: ms; `stack`: the deployment, which makes `source` and `id` unique."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(detail["id"]),
        "source": f"urn:tocsin:{stack}",
        "type": f"tocsin.{type_.removeprefix('tocsin.')}",
        "time": iso(at),
        "datacontenttype": "application/json",
        "dataschema": f"urn:tocsin:{type_.replace('.', '-')}:{VERSION}",
        "data": detail,
    }
    subject = about(detail)
    return event | ({"subject": subject} if subject else {})
