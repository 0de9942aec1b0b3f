"""The door's function, with the events that a function URL gives it."""

from __future__ import annotations

import base64
from typing import Any


def asked(method: str, path: str, body: str | bytes = "", query: str = "", **headers: str) -> dict[str, Any]:
    """An event of a function URL, payload 2.0."""
    encoded = isinstance(body, bytes)
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}},
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": encoded,
    }
