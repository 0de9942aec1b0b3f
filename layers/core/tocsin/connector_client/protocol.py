"""What the Lambdas and the connector say to each other over HTTPS, in one place for both ends.

Requests (`POST` but for health), body one binary node as `whatsapp.node.encode` writes it, but for a file:

    /v1/accounts/{account}/iq         an IQ; answered with the server's IQ, result or error
    /v1/accounts/{account}/message    a message; answered with the server's `<ack>`
    /v1/accounts/{account}/stanza     a receipt or the like; answered once it was written to the socket
    /v1/accounts/{account}/media      an encrypted file; answered with JSON, where it was uploaded to
    /v1/accounts/{account}/download   JSON, which file (`direct_path`, `file_enc_sha256` in hex); answered by
                                      its bytes, still encrypted. One of the version before has no such path
    /v1/accounts/{account}/resumed    no body; the parked notifications are all through
    /v1/health  (GET)                 the only door without a token

Headers: `Authorization: Bearer <the account's connector token>`, `Tocsin-Incarnation`, and where they
matter `Tocsin-Resumed: 1`, `Tocsin-First-Contact: 1`, `Tocsin-Pace` (the audience and what else the pace goes
by, see `pace_words`), `Tocsin-Timeout` (whole seconds) and `Tocsin-Media` (`image` or `document`).

Answers: 200 with a node (or nothing), else JSON `{"error": code, "detail": text, …}` with a code from here.

Each request and each answer bears `Tocsin-Protocol`, the version of whom it is from; 0.1.0 bears none, which
is version 1. The lease says it too (`accounts.whereabouts`), so a function knows before it reserves anything.
Two adjacent versions understand each other, for an update has new functions beside the old connector and a
rollback the reverse: the newer one does as the older one expects. Two that are further apart refuse each
other by `protocol`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ACCOUNT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What an account may be called; the name stands in paths, keys of the table and queue groups."""

NODE_TYPE: Final = "application/octet-stream"
JSON_TYPE: Final = "application/json"

VERSION: Final = 2
"""Ours. One more with each change that a peer of the version before would misunderstand.

2: the header and the lease say the version, and each end checks that of the other."""

FIRST_VERSION: Final = 1
"""Of whoever says none."""

PROTOCOL: Final = "Tocsin-Protocol"
INCARNATION: Final = "Tocsin-Incarnation"
RESUMED: Final = "Tocsin-Resumed"
FIRST_CONTACT: Final = "Tocsin-First-Contact"
PACE: Final = "Tocsin-Pace"
TIMEOUT: Final = "Tocsin-Timeout"
MEDIA: Final = "Tocsin-Media"

VERDICT: Final = "tocsin-verdict"
"""Attribute that the connector adds to the ack of a message that was refused with 463 or 475: what WhatsApp
answered when it was asked about the account. A connector of before adds none."""

VERDICT_UNTIL: Final = "tocsin-until"
"""Beside it, Unix seconds: until when the account is kept from first contacts."""

NEW_CHAT_QUOTA: Final = "new-chat-quota"
"""Of a refusal that is `RESTRICTED`, the `cause` that is the quota; as `accounts.limits` calls it."""

LOCKED: Final = "locked"
COLD: Final = "cold"
CAPPED: Final = "capped"
"""Verdicts: the account may write to nobody new; this one person must write first; no new chats are left."""

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes. A frame to WhatsApp is shorter than 2^24 bytes, so nothing longer could be passed on."""

LARGE_BODY: Final = 1024 * 1024
"""Bytes from which a body counts as large: a file's, hardly ever a message's. It may have to wait on the wire
until the connector has room for it."""

IQ_TIMEOUT: Final = 60
"""Seconds the connector waits for the answer to an IQ, at most."""

MESSAGE_TIMEOUT: Final = 75
"""Seconds the connector waits for the ack of a message, at most."""

UPLOAD_TIMEOUT: Final = 60
"""Seconds an upload may take, all its hosts included: with the wait for the ack less than a function has."""

DOWNLOAD_TIMEOUT: Final = 20
"""Seconds a download may take, all its hosts included."""

MAX_DOWNLOAD: Final = MAX_BODY - 1024
"""Bytes of a file that is fetched for a function."""

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
PROTOCOL_REFUSED: Final = "protocol"
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
DOWNLOAD_FAILED: Final = "download-failed"

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
    PROTOCOL_REFUSED: 426,
    UPLOAD_REFUSED: 422,
    BROKEN: 500,
    UPLOAD_FAILED: 502,
    DOWNLOAD_FAILED: 502,
    DRAINING: 503,
    ACK_TIMEOUT: 504,
    REQUEST_TIMEOUT: 504,
}


URGENT: Final = "urgent"
DIGESTIBLE: Final = "digestible"
AGAIN: Final = "again"
KNOWN: Final = "known="
"""Words of `PACE` behind the audience. `again`: one device of somebody who has the message asks for it.
`known=` and Unix seconds: when the recipient last got something of the account or wrote to it. If the account
has its number only since later, the recipient is a first contact of that number."""


def pace_words(
    audience: str,
    *,
    urgent: bool = False,
    digestible: bool = False,
    again: bool = False,
    known_at: int | None = None,
) -> str:
    """What `PACE` says of a message. Who doesn't know the header paces it by its account alone. `known_at`:
    ms, `None` where it isn't said."""
    told = {URGENT: urgent, DIGESTIBLE: digestible, AGAIN: again}
    known = [] if known_at is None else [f"{KNOWN}{known_at // 1000}"]
    return " ".join([audience, *(word for word, holds in told.items() if holds), *known])


def known_at(words: Iterable[str]) -> int | None:
    """What these words say of `KNOWN`; None if they don't, or something else than a moment."""
    said = next((word.removeprefix(KNOWN) for word in words if word.startswith(KNOWN)), "")
    return int(said) if re.fullmatch("[0-9]{1,12}", said) else None


def version_of(header: str | None) -> int | None:
    """The version that a header's value names; None for what is no version."""
    if header is None:
        return FIRST_VERSION
    return int(header) if re.fullmatch("[1-9][0-9]{0,5}", header) else None


def objection(connector: int | None, functions: int | None) -> str | None:
    """Why a connector and functions of these versions can't work together, and what helps; None if they can.

    None for a version is one that can't be read."""
    if connector is not None and functions is not None and abs(connector - functions) <= 1:
        return None
    told = f"the connector speaks version {connector} of the protocol, the functions {functions}"
    older = "functions" if (functions or 0) < (connector or 0) else "connector"
    if older == "connector":
        return (
            f"{told}: the connector is too old. Messages wait, and go on by themselves once it is updated;"
            " with ConnectorMode=external, start it from the functions' release"
        )
    return (
        f"{told}: the functions are too old. Deploy a release at most one behind the connector's, or the"
        " connector's own"
    )
