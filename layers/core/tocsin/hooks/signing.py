"""Signatures of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, under one secret or, while it is
changed, under two."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret(random: Callable[[int], bytes]) -> str:
    """A secret as its owner gets it. `random(n)`: n random bytes."""
    return PREFIX + base64.b64encode(random(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`timestamp`: seconds. The key are the bytes that the secret's text stands for."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt, signed with each of the secrets."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(one, message_id, timestamp, body) for one in secrets),
    }
