"""What the end of a connection means for us: one table for stream errors, one for login failures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from tocsin.whatsapp.errors import HandshakeFailed, InvalidCertificate
from tocsin.whatsapp.node import Node


class Kind(Enum):
    """What to do next.

    RECONNECT_NOW: no delay, no alarm. BACKOFF: after the next delay. WAIT: after `seconds`. STOP: only by an
    operator. REFRESH_VERSION: learn the present version, one try at once, then every 30 minutes.
    """

    RECONNECT_NOW = "reconnect-now"
    BACKOFF = "backoff"
    WAIT = "wait"
    STOP = "stop"
    REFRESH_VERSION = "refresh-version"


@dataclass(frozen=True, slots=True)
class Reaction:
    """`reason`: a code for logs and metrics. `wipe`: our keys are void; put them aside, pair again.

    `state`: what the account is in meanwhile, as the lease says it. `seconds`: how long to wait, with WAIT.
    `skip`: delays to leave out, with BACKOFF. `alert`: an operator should know. `detail`: for the log.
    `guessed`: the server didn't say how long to wait. `stanza`: of a refused login all that was said, to be
    kept; it may hold a token, so it is neither shown nor logged.
    """

    kind: Kind
    reason: str
    state: str = "connecting"
    wipe: bool = False
    seconds: float | None = None
    skip: int = 0
    alert: bool = False
    detail: str = ""
    guessed: bool = False
    stanza: Node | None = field(default=None, repr=False, compare=False)


def _stop(reason: str, state: str = "stopped", *, wipe: bool = False) -> Reaction:
    return Reaction(Kind.STOP, reason, state, wipe=wipe, alert=True)


def _backoff(reason: str, *, alert: bool = False, skip: int = 0) -> Reaction:
    return Reaction(Kind.BACKOFF, reason, alert=alert, skip=skip)


RESTART: Final = Reaction(Kind.RECONNECT_NOW, "restart-required")
LOST: Final = _backoff("connection-lost")
STREAM_END: Final = _backoff("stream-end")
DEAF: Final = _backoff("deaf")
UNDECRYPTABLE: Final = _backoff("undecryptable")
HANDSHAKE_FAILED: Final = _backoff("handshake-failed")
HANDSHAKE_TIMEOUT: Final = _backoff("handshake-timeout")
BAD_CERTIFICATE: Final = _backoff("certificate", alert=True)
QR_EXPIRED: Final = Reaction(Kind.RECONNECT_NOW, "qr-expired", "pairing")
PAIRING_REFUSED: Final = _backoff("pairing-refused", alert=True)
PASSKEY_ENDED: Final = replace(_backoff("passkey-ended"), state="pairing")
REPLACED: Final = _stop("replaced", "replaced")
DEVICE_REMOVED: Final = _stop("device-removed", "logged_out", wipe=True)

STREAM_ERRORS: Final = {
    "515": RESTART,
    # The device may have been removed: the next login tells, with failure 401.
    "516": _backoff("maybe-removed", alert=True),
    "401": _backoff("unauthorised", alert=True),
    "409": REPLACED,
    "429": _backoff("rate-limited", alert=True, skip=5),
    "500": _backoff("server-fault"),
    "503": _backoff("server-restart"),
}

FAILURES: Final = {
    "400": _stop("refused"),
    "401": _stop("logged-out", "logged_out", wipe=True),
    # Linking again helps only after the owner did what the phone asks for: not logged out, but stopped.
    "403": _stop("account-locked", wipe=True),
    "405": Reaction(Kind.REFRESH_VERSION, "version-too-old", alert=True),
    "406": _stop("banned", wipe=True),
    "409": _stop("user-agent-refused"),
    "413": _stop("foreign-token-expired"),
    "414": _stop("foreign-token-invalid"),
    "415": _stop("not-found"),
    "418": _stop("client-unknown"),
    "500": _backoff("server-fault"),
    "501": _backoff("experimental", alert=True),
    "503": _backoff("server-unavailable"),
}

KEPT: Final = frozenset({"402", "403", "406"})
"""Refusals that are said once and tell more than their reason."""

_BAN: Final = "402"
_BAN_SECONDS: Final = 24 * 3600
"""How long a temporary ban is taken to last if the server doesn't say."""

_BANS: Final = {
    "101": "too many messages to strangers",
    "102": "blocked by too many",
    "103": "too many groups made with strangers",
    "104": "the same message to too many",
    "106": "too many messages by broadcast list",
}


def on_handshake_failed(error: HandshakeFailed) -> Reaction:
    """The reaction to a server that couldn't prove itself."""
    if isinstance(error, InvalidCertificate):
        return replace(BAD_CERTIFICATE, detail=error.reason)
    return replace(HANDSHAKE_FAILED, detail=str(error))


def on_stream_error(node: Node, last_sent: Iterable[Node] = ()) -> Reaction:
    """The reaction to `<stream:error>`. What isn't in the tables keeps the keys and backs off.

    `last_sent`: if the server found a stanza malformed, it is one of these, and only we know them.
    """
    conflict = node.child("conflict")
    conflict_type = conflict.optional_str("type") if conflict is not None else None
    if conflict_type == "device_removed":
        return DEVICE_REMOVED
    if conflict_type == "replaced":
        return REPLACED
    code = node.optional_str("code")
    if code in STREAM_ERRORS:
        return STREAM_ERRORS[code]
    if node.child("xml-not-well-formed") is not None:
        detail = "last sent: " + ", ".join(map(_named, last_sent))
        return replace(_backoff("malformed-stanza", alert=True), detail=detail)
    unacked = node.child("ack")
    if unacked is not None:
        detail = f"{unacked.optional_str('class')} {unacked.optional_str('id')}"
        return replace(_backoff("unacked", alert=True), detail=detail[:200])
    return replace(_backoff("unknown-stream-error", alert=True), detail=repr(node)[:200])


def _named(node: Node) -> str:
    """A stanza as it may stand in a log: what it is, not what is in it."""
    parts = (node.tag, node.attrs.get("type"), node.attrs.get("xmlns"), node.attrs.get("id"))
    return " ".join(str(part) for part in parts if part)


def on_failure(node: Node) -> Reaction:
    """The reaction to `<failure>`, which comes instead of `<success>`."""
    reason = node.optional_str("reason")
    detail = (node.optional_str("message") or "")[:200]
    if reason == _BAN:
        return _on_ban(node)
    if reason in FAILURES:
        kept = node if reason in KEPT else None
        return replace(FAILURES[reason], detail=detail, stanza=kept)
    return replace(_backoff("unknown-failure", alert=True), detail=f"{reason} {detail}"[:200])


def _on_ban(node: Node) -> Reaction:
    expire = node.optional_str("expire") or ""
    # As with the other limits, 0 isn't an end.
    is_told = expire.isascii() and expire.isdecimal() and len(expire) < 10 and int(expire) > 0
    return Reaction(
        Kind.WAIT,
        "banned-temporarily",
        "restricted",
        seconds=int(expire) if is_told else _BAN_SECONDS,
        alert=True,
        detail=_BANS.get(node.optional_str("code") or "", "temporary ban"),
        guessed=not is_told,
        stanza=node,
    )
