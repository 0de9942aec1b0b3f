"""A request as the function URL of Lambda hands it on (payload 2.0), before anything is parsed.

What is verified and parsed is the raw body and the raw query: Lambda's decoded query joins repeated values by
commas, so that a text with a comma can't be told from two values.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

MAX_BODY_BYTES = 6 * 1024 * 1024
"""What a function URL takes."""

MAX_QUERY_FIELDS = 100


class BadRequest(Exception):
    """What arrived is no request that anybody could mean; the text says why and quotes nothing of it."""


class Request(NamedTuple):
    """`path`: as sent, percent-encoded. `headers`: names in lower case. `body`: the bytes that were sent."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """The header of this name (lower case), without blanks around it; empty if there is none."""
        return self.headers.get(name, "").strip()

    @property
    def media_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path, decoded. A slash too many is none: nobody is sent elsewhere for it."""
        return tuple(unquote(part) for part in self.path.split("/") if part)

    @property
    def query(self) -> dict[str, list[str]]:
        """The fields of the query, decoded. Raises BadRequest for more than anybody means."""
        return fields_of(self.raw_query)

    def query_field(self, name: str) -> str:
        """The first value of this name; empty if there is none. Raises BadRequest."""
        return self.query.get(name, [""])[0]


def fields_of(text: str) -> dict[str, list[str]]:
    """The fields of a query or of a form. Raises BadRequest."""
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("a field is not UTF-8") from None
    except ValueError:
        raise BadRequest(f"there are more than {MAX_QUERY_FIELDS} fields") from None


def request_of(event: Mapping[str, Any]) -> Request:
    """Read the event of a function URL. Raises BadRequest."""
    http = event.get("requestContext", {}).get("http", {})
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    return Request(
        method=str(http.get("method", "")).upper(),
        path=str(event.get("rawPath") or http.get("path") or "/"),
        raw_query=str(event.get("rawQueryString") or ""),
        headers=headers,
        body=_body(event),
    )


def _body(event: Mapping[str, Any]) -> bytes:
    """Lambda encodes every body but text, JSON, XML and JavaScript in base64. Without a body the key
    lacks."""
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        raw = str(body).encode(errors="surrogatepass")
    else:
        try:
            raw = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest("the body is not base64, although it says so") from None
    if len(raw) > MAX_BODY_BYTES:
        raise BadRequest(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return raw
