"""A shop that puts events of its own on a bus, and the files by which they become ticket events."""

from __future__ import annotations

from typing import Any

PATTERN = {"source": ["shop"], "detail-type": ["OrderLate"]}
MAPPING = {
    "kind": "shop",
    "change": [{"when": "event.\"detail-type\" == 'OrderLate'", "is": "created"}],
    "ticket": {"id": "body.order", "subject": "body.what"},
    "customer": {"each": "body.buyer", "name": "name", "phone": "phone"},
}


def an_event(what: str = "Modem") -> dict[str, Any]:
    """As it stands on the bus, but for what EventBridge adds."""
    buyer = {"name": "Siti", "phone": "0812-3456-7890"}
    return {
        "source": "shop",
        "detail-type": "OrderLate",
        "detail": {"order": 7, "what": what, "buyer": buyer},
    }
