"""What EventBridge wraps around a `detail`, and what each of our details says alike: which account it is
for."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from tocsin.nesting import nested_too_deep
from tocsin.notify.events.checks import (
    HOLDS_CONTROLS,
    MAX_BYTES,
    MAX_ID_CHARACTERS,
    MAX_NESTED,
    InvalidEvent,
    controls,
)
from tocsin.notify.events.foreign import SOURCE

DEFAULT_ACCOUNT = "default"

MAX_SOURCE_CHARACTERS = 64
_BROUGHT_BY = "tocsin-source:"


def load_envelope(body: str) -> dict[str, Any]:
    """The JSON object in `body`. Raises InvalidEvent for anything that isn't one, however hostile."""
    if len(body) > MAX_BYTES:
        raise InvalidEvent([f"event: is larger than {MAX_BYTES} bytes"])
    try:
        body.encode()
        envelope = json.loads(body, parse_constant=_no_constant)
        if nested_too_deep(envelope, MAX_NESTED):
            raise RecursionError
        json.dumps(envelope, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidEvent(["event: holds half a surrogate pair, which is no text"]) from None
    except RecursionError:
        raise InvalidEvent([f"event: is nested too deep: {MAX_NESTED} levels are the limit"]) from None
    except ValueError:
        raise InvalidEvent(["event: is not JSON"]) from None
    if not isinstance(envelope, dict):
        raise InvalidEvent(["event: is not a JSON object"])
    return envelope


def _no_constant(name: str) -> None:
    raise ValueError(name)


def named_in(body: str) -> tuple[str, str, str]:
    """Id, detail-type and ticket of an event that isn't planned, as far as it has them: by these an operator
    looks for it. Of an event that a source of a bus handed on, those of the event within."""
    try:
        envelope = load_envelope(body)
    except InvalidEvent:
        return "", "", ""
    within = envelope.get("event")
    event = within if SOURCE in envelope and isinstance(within, dict) else envelope
    detail = event.get("detail")
    ticket = detail.get("ticket") if isinstance(detail, dict) else None
    named = (
        event.get("id"),
        event.get("detail-type"),
        ticket.get("id") if isinstance(ticket, dict) else None,
    )
    identity, kind, of = (one[:MAX_ID_CHARACTERS] if isinstance(one, str) else "" for one in named)
    return identity, kind, of


def marked(source: str) -> str:
    """What stands among the resources of an event that a source of the door, or of a bus, brought."""
    return f"{_BROUGHT_BY}{source}"


def source_of(envelope: Mapping[str, Any]) -> str | None:
    """Whose event it is, for operators: the name of the source that brought it, else what its system calls
    itself on the bus. Whoever may put events may say what they like."""
    resources = envelope.get("resources")
    named = [one for one in resources if isinstance(one, str)] if isinstance(resources, list) else []
    brought = (one.removeprefix(_BROUGHT_BY) for one in named if one.startswith(_BROUGHT_BY))
    found = next(brought, None) or envelope.get("source")
    if not isinstance(found, str) or controls().search(found):
        return None
    return found[:MAX_SOURCE_CHARACTERS] or None


def event_id_of(envelope: Mapping[str, Any]) -> str:
    """The event's id, cut to what an id may have; empty if there is none."""
    return str(envelope.get("id") or "")[:MAX_ID_CHARACTERS]


def moment_of(text: object) -> int | None:
    """EventBridge's time stamp in ms; None for anything else. Operators see it, nothing depends on it."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        told = int(at.timestamp() * 1000) if at is not None and at.tzinfo is not None else 0
    except (ValueError, OverflowError):
        return None
    return told if told > 0 else None


def account_of(detail: Mapping[str, Any]) -> Any:
    """The account that a detail names, else the default one. Whatever JSON that may be, unless it was
    checked."""
    return detail.get("account") or DEFAULT_ACCOUNT


def id_violations(envelope: Mapping[str, Any]) -> Iterator[str]:
    identity = envelope.get("id")
    if isinstance(identity, str) and controls().search(identity):
        yield f"id: {HOLDS_CONTROLS}"


def account_violations(detail: Mapping[str, Any], accounts: Collection[str]) -> Iterator[str]:
    """`accounts`: those this deployment serves."""
    account = account_of(detail)
    if isinstance(account, str) and account not in accounts:
        yield f"detail.account: is none of this deployment's accounts ({', '.join(sorted(accounts))})"
