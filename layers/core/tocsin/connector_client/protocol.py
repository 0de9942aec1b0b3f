"""What the Lambdas and the connector say to each other over HTTPS, in one place for both ends.

Requests (`POST` but for health), body one binary node as `whatsapp.node.encode` writes it, but for a file:

    /v1/accounts/{account}/iq         an IQ; answered with the server's IQ, result or error
    /v1/accounts/{account}/message    a message; answered with the server's `<ack>`
    /v1/accounts/{account}/stanza     a receipt or the like; answered once it was written to the socket
    /v1/accounts/{account}/media      an encrypted file; answered with JSON, where it was uploaded to
    /v1/accounts/{account}/resumed    no body; the parked notifications are all through
    /v1/health  (GET)                 the only door without a token

Headers: `Authorization: Bearer <the account's connector token>`, `Tocsin-Incarnation`, and where they
matter `Tocsin-Resumed: 1`, `Tocsin-First-Contact: 1`, `Tocsin-Timeout` (whole seconds) and `Tocsin-Media`
(`image` or `document`).

Answers: 200 with a node (or nothing), else JSON `{"error": code, "detail": text, …}` with a code from here.
"""

from __future__ import annotations

import re
from typing import Final

ACCOUNT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What an account may be called; the name stands in paths, keys of the table and queue groups."""

NODE_TYPE: Final = "application/octet-stream"
JSON_TYPE: Final = "application/json"

INCARNATION: Final = "Tocsin-Incarnation"
RESUMED: Final = "Tocsin-Resumed"
FIRST_CONTACT: Final = "Tocsin-First-Contact"
TIMEOUT: Final = "Tocsin-Timeout"
MEDIA: Final = "Tocsin-Media"

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes. A frame to WhatsApp is shorter than 2^24 bytes, so nothing longer could be passed on."""

LARGE_BODY: Final = 1024 * 1024
"""Bytes from which a body counts as large: a file's, hardly ever a message's. It may have to wait on the wire
until the connector has room for it."""

IQ_TIMEOUT: Final = 60
"""Seconds the connector waits for the answer to an IQ, at most (transport.md, one-page map)."""

MESSAGE_TIMEOUT: Final = 75
"""Seconds the connector waits for the ack of a message, at most."""

UPLOAD_TIMEOUT: Final = 60
"""Seconds an upload may take, all its hosts included: with the wait for the ack less than a function has."""

# How long a limit is taken to last where the server doesn't say: both ends must believe the same.
RATE_LIMIT_SECONDS: Final = 15 * 60
ACCOUNT_LIMIT_SECONDS: Final = 3600
RESTRICTION_SECONDS: Final = 24 * 3600
"""Of first contacts. It is counted in days, and every attempt while it lasts makes it worse."""

# Error codes. Each stands beside the status that carries it.
MALFORMED: Final = "malformed"
UNAUTHORIZED: Final = "unauthorized"
NO_SUCH_PATH: Final = "no-such-path"
SLOW: Final = "slow"
TOO_LARGE: Final = "too-large"
KEY_USED: Final = "key-used"
LEASE: Final = "lease"
INCARNATION_REFUSED: Final = "incarnation"
NOT_CONNECTED: Final = "not-connected"
RESUMING: Final = "resuming"
RESTRICTED: Final = "restricted"
BROKEN: Final = "broken"
DRAINING: Final = "draining"
ACK_TIMEOUT: Final = "ack-timeout"
REQUEST_TIMEOUT: Final = "request-timeout"
UPLOAD_FAILED: Final = "upload-failed"
UPLOAD_REFUSED: Final = "upload-refused"

STATUS: Final = {
    MALFORMED: 400,
    UNAUTHORIZED: 401,
    NO_SUCH_PATH: 404,
    SLOW: 408,
    KEY_USED: 409,
    LEASE: 409,
    INCARNATION_REFUSED: 409,
    NOT_CONNECTED: 409,
    RESUMING: 409,
    RESTRICTED: 409,
    TOO_LARGE: 413,
    UPLOAD_REFUSED: 422,
    BROKEN: 500,
    UPLOAD_FAILED: 502,
    DRAINING: 503,
    ACK_TIMEOUT: 504,
    REQUEST_TIMEOUT: 504,
}
