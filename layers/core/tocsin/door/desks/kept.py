"""A webhook of which no ticket event could be made, as it is kept for `tocsin dead-letters list --queue
events`.

It holds what the translation needs and no secret, so after the operator has mended the mapping, a redrive
translates it again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from tocsin.door.desks.kind import Kind
from tocsin.door.signatures import HmacScheme, TokenScheme
from tocsin.notify.events.foreign import WEBHOOK_REFUSED

REASON: Final = "webhook-refused"

MAX_BODY_BYTES: Final = 150_000
"""A longer body is kept as far, for people to look at; it can't be translated again."""

_SECRET_WORDS = ("authorization", "cookie", "token", "secret", "signature", "apikey", "api-key", "password")
_OF_LAMBDA = ("x-amz", "x-forwarded", "forwarded", "via")


def kept(
    source: str, kind: Kind, headers: Mapping[str, str], raw_body: bytes, raw_query: str, ticket: str = ""
) -> str:
    """The event to keep, as JSON. `ticket`: its id, if that much is known."""
    detail: dict[str, Any] = {
        "webhook": source,
        "headers": _headers(kind, headers),
        "query": _query(kind, raw_query),
        **_body(raw_body),
    }
    if ticket:
        detail["ticket"] = {"id": ticket}
    return json.dumps({"detail-type": WEBHOOK_REFUSED, "detail": detail}, ensure_ascii=False)


def restored(detail: Mapping[str, Any]) -> tuple[str, dict[str, str], bytes, str] | None:
    """What `kept` wrote: source, headers, body and query; None for what it didn't write, or wrote in part."""
    source, headers, query = detail.get("webhook"), detail.get("headers"), detail.get("query")
    body, encoded = detail.get("body"), detail.get("body_base64")
    if detail.get("cut") or not isinstance(source, str) or not isinstance(query, str):
        return None
    if not isinstance(headers, dict):
        return None
    try:
        raw = body.encode() if isinstance(body, str) else base64.b64decode(encoded, validate=True)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    return source, {str(name): str(value) for name, value in headers.items()}, raw, query


def _body(raw: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"cut": True} if len(raw) > MAX_BODY_BYTES else {}
    raw = raw[:MAX_BODY_BYTES]
    try:
        return {**told, "body": raw.decode()}
    except UnicodeDecodeError:
        return {**told, "body_base64": base64.b64encode(raw).decode()}


def _headers(kind: Kind, headers: Mapping[str, str]) -> dict[str, str]:
    named = {one.header for one in kind.schemes if isinstance(one, HmacScheme)}
    named.update(*(one.headers for one in kind.schemes if isinstance(one, TokenScheme)))
    return {
        name: value[:1000]
        for name, value in list(headers.items())[:60]
        if name not in named and not name.startswith(_OF_LAMBDA) and not _is_secret(name)
    }


def _query(kind: Kind, raw_query: str) -> str:
    named: Sequence[str] = [
        name for one in kind.schemes if isinstance(one, TokenScheme) for name in one.query
    ]
    try:
        fields = parse_qsl(raw_query, keep_blank_values=True, max_num_fields=100, errors="replace")
    except ValueError:
        return ""
    return urlencode([(name, value) for name, value in fields if name not in named and not _is_secret(name)])


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS)
