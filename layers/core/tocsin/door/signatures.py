"""Who sent a request: signatures over the raw body, and tokens that stand in a header or in the URL.

    hmac   base64 or hex of HMAC(secret, body), with a time stamp before or behind the body where a sender
    adds one token  the secret itself, as a header, as the password of Basic, as Bearer, or as a parameter of
    the URL

A scheme is data: it stands in the file of a kind (`desks/kinds`). Every comparison takes the same time
wherever the difference is, and every secret is tried, so time tells nothing about which one is near.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import parse_qs

FUTURE_SECONDS: Final = 300
"""How far a sender's clock may be ahead of ours."""

MAX_SIGNATURES: Final = 8
"""Signatures that one header may hold: senders that rotate their secret add a second one."""

MAX_QUERY_FIELDS: Final = 100


class Verdict(StrEnum):
    """What a request's signature is worth. Only `RIGHT` lets it in; the others are for the operator's log,
    and the sender is told one and the same for all of them."""

    RIGHT = "right"
    MISSING = "signature-missing"
    WRONG = "signature-wrong"
    STALE = "signature-stale"


class HmacScheme(NamedTuple):
    """HMAC over `signed`, whose parts are `body`, `timestamp`, `id` and any other text as it is.

    `header`: in lower case; `prefix`: what stands before the signature; `encoding`: hex or base64; `several`:
    whether the header may hold more than one, with blanks or commas between them. `timestamp_header`: empty
    if the sender adds no time; one older than `tolerance_seconds` is stale. `secret`: `text`, or `whsec` for
    a base64 secret of Standard Webhooks.
    """

    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: tuple[str, ...] = ("body",)
    timestamp_header: str = ""
    id_header: str = ""
    tolerance_seconds: int = 300
    several: bool = False
    secret: str = "text"  # noqa: S105 - how a secret is written


class TokenScheme(NamedTuple):
    """The secret itself, in one of `headers` (lower case; `authorization` as Bearer, as Basic's password or
    bare) or in one of the URL's parameters `query`."""

    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()


Scheme = HmacScheme | TokenScheme


def verify(
    schemes: Sequence[Scheme],
    secrets: Sequence[str],
    headers: Mapping[str, str],
    raw_body: bytes,
    raw_query: str,
    now: float,
) -> Verdict:
    """Return `RIGHT` if the request satisfies one of `schemes` with one of `secrets`, else what is wrong with
    the one that was tried.

    `secrets`: the current one, and the former one while it counts; an empty one never does. `headers`: names
    in lower case. `now`: seconds.
    """
    known = [secret for secret in secrets if secret]
    verdicts = [_verdict(scheme, known, headers, raw_body, raw_query, now) for scheme in schemes]
    for verdict in (Verdict.RIGHT, Verdict.STALE, Verdict.WRONG):
        if verdict in verdicts:
            return verdict
    return Verdict.MISSING


def tokens(scheme: TokenScheme, headers: Mapping[str, str], raw_query: str) -> tuple[str, ...]:
    """Whatever a request holds where the scheme looks for the token."""
    return tuple(token for token in _tokens(scheme, headers, raw_query) if token)


def _verdict(
    scheme: Scheme,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    raw_body: bytes,
    raw_query: str,
    now: float,
) -> Verdict:
    if isinstance(scheme, TokenScheme):
        presented = tokens(scheme, headers, raw_query)
        if not presented:
            return Verdict.MISSING
        right = [same(given, secret) for given in presented for secret in secrets]
        return Verdict.RIGHT if any(right) else Verdict.WRONG
    return _verdict_of_hmac(scheme, secrets, headers, raw_body, now)


def _verdict_of_hmac(
    scheme: HmacScheme, secrets: Sequence[str], headers: Mapping[str, str], raw_body: bytes, now: float
) -> Verdict:
    value = headers.get(scheme.header, "").strip()
    timestamp = headers.get(scheme.timestamp_header, "").strip() if scheme.timestamp_header else ""
    identity = headers.get(scheme.id_header, "").strip() if scheme.id_header else ""
    if not value or (scheme.timestamp_header and not timestamp) or (scheme.id_header and not identity):
        return Verdict.MISSING
    given = list(_presented(scheme, value))
    parts = {"body": raw_body, "timestamp": timestamp.encode(), "id": identity.encode()}
    signed = b"".join(parts.get(part, part.encode()) for part in scheme.signed)
    expected = [digest(scheme.algorithm, key, signed) for key in (_key(scheme, one) for one in secrets)]
    right = [hmac.compare_digest(one, other) for one in given for other in expected]
    if not any(right):
        return Verdict.WRONG
    if scheme.timestamp_header and not _is_fresh(timestamp, scheme.tolerance_seconds, now):
        return Verdict.STALE
    return Verdict.RIGHT


def digest(algorithm: str, key: bytes, message: bytes) -> bytes:
    """HMAC. `algorithm`: sha1, sha256 or sha512."""
    return hmac.digest(key, message, getattr(hashlib, algorithm))


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))


def _presented(scheme: HmacScheme, value: str) -> Iterator[bytes]:
    values = value.replace(",", " ").split()[:MAX_SIGNATURES] if scheme.several else [value]
    if scheme.several and scheme.prefix.endswith(","):
        # Standard Webhooks: "v1,AAAA v1,BBBB". The comma is a part of each.
        values = value.split()[:MAX_SIGNATURES]
    for one in values:
        if scheme.prefix and not one.startswith(scheme.prefix):
            continue
        try:
            text = one.removeprefix(scheme.prefix)
            yield bytes.fromhex(text) if scheme.encoding == "hex" else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            continue


def _key(scheme: HmacScheme, secret: str) -> bytes:
    if scheme.secret != "whsec":  # noqa: S105 - how a secret is written
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        return secret.encode()


def _is_fresh(timestamp: str, tolerance_seconds: int, now: float) -> bool:
    try:
        at = float(timestamp) if timestamp.isdigit() else datetime.fromisoformat(timestamp).timestamp()
    except (ValueError, OverflowError):
        return False
    return now - tolerance_seconds <= at <= now + FUTURE_SECONDS


def _tokens(scheme: TokenScheme, headers: Mapping[str, str], raw_query: str) -> Iterator[str]:
    for name in scheme.headers:
        value = headers.get(name, "").strip()
        if name == "authorization":
            yield from _authorization(value)
        yield value
    if scheme.query and raw_query:
        try:
            fields = parse_qs(raw_query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            return
        for name in scheme.query:
            yield from fields.get(name, ())


def _authorization(value: str) -> Iterator[str]:
    kind, _, rest = value.partition(" ")
    if kind.lower() == "bearer":
        yield rest.strip()
    elif kind.lower() == "basic":
        try:
            yield base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return
