"""Sample events: what texts are linted against, what previews show, what tests begin with."""

from __future__ import annotations

import copy
import json
from typing import Any

FULL: dict[str, Any] = {
    "ticket": {
        "id": "TCK-1042",
        "revision": 1,
        "subject": "No internet since 09:00",
        "description": "The modem's light is red.\nRestarted twice, no change.",
        "priority": "high",
        "status": "open",
        "location": "Jl. Merdeka 5",
        "url": "https://desk.example.com/tickets/1042",
        "created_at": "2026-11-22T02:00:00Z",
    },
    "customer": {"id": "C-77", "name": "Siti", "phone": "0812-3456-7890", "language": "id"},
    "technicians": [
        {"id": "T-3", "name": "Budi", "phone": "+62 813 1111 2222", "language": "id"},
        {"id": "T-4", "name": "Ayu", "phone": "+62 813 1111 3333", "language": "en"},
    ],
    "groups": ["120363000000000000@g.us"],
    "created_by": {"role": "admin", "id": "U-1"},
    "changed_by": {"role": "admin", "id": "U-1"},
    "reply": {"text": "Our line was cut by roadworks.\nIt works again since 10:30.", "by": "Budi"},
    "account": "default",
}
"""Everything the schema knows."""

MINIMAL: dict[str, Any] = {
    "ticket": {"id": "7", "revision": 0, "subject": "Help"},
    "customer": {"phone": "+62 812 3456 7890"},
    "technicians": [{"phone": "+62 813 1111 2222"}],
    "groups": ["120363000000000000@g.us"],
}
"""No more than it takes to tell one of each audience."""

HOSTILE: dict[str, Any] = {
    "ticket": {
        "id": "*1*",
        "revision": 1,
        "subject": "*bold* _italic_ ~gone~ `code` {{ 7 * 7 }}\n- item\n> quote\u202e",
        "description": "```\n" + "* x\n" * 400 + "{% for x in y %}",
        "priority": "*!*",
        "status": "_",
        "location": "_" * 400,
        "url": "https://desk.example.com/*_~`",
    },
    "customer": {"name": "*" * 200, "phone": "+62 812 3456 7890"},
    "technicians": [{"name": "_\n\n_", "phone": "+62 813 1111 2222"}],
    "groups": ["120363000000000000@g.us"],
    "created_by": {"role": "technician", "id": "T-9"},
    "reply": {"text": "> *quoted*\n```\n{{ 7 * 7 }}", "by": "_\u202e*"},
}
"""What somebody writes who wants to break the formatting."""


MESSAGE: dict[str, Any] = {
    "version": "1",
    "key": "invoice-7",
    "source": "billing",
    "recipients": [{"phone": "0812-3456-7890", "name": "Siti"}, {"group": "120363000000000000@g.us"}],
    "text": "*Invoice 7* is due",
    "language": "id",
}
"""A request for a message that is of no ticket."""


def sample_event(
    event_type: str = "TicketCreated", detail: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """An EventBridge event of `event_type`: `detail` (default `FULL`), with top-level fields changed."""
    return {
        "version": "0",
        "id": "3f7a9c1e-0000-4000-8000-000000000001",
        "detail-type": event_type,
        "source": "ticketing",
        "account": "000000000000",
        "time": "2026-11-22T02:00:00Z",
        "region": "ap-southeast-3",
        "resources": [],
        "detail": {**copy.deepcopy(FULL if detail is None else detail), **changes},
    }


def sample_body(
    event_type: str = "TicketCreated", detail: dict[str, Any] | None = None, **changes: Any
) -> str:
    """The same, as the intake queue carries it."""
    return json.dumps(sample_event(event_type, detail, **changes), ensure_ascii=False)


def sample_request(detail: dict[str, Any] | None = None, **changes: Any) -> str:
    """The same of a request for a message, by default `MESSAGE`."""
    return sample_body("MessageRequested", MESSAGE if detail is None else detail, **changes)
