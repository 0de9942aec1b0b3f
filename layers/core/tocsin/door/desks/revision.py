"""The revision of an event: the same for the same change however often it is sent, another one for another
change.

Planned twice with one revision, an event is told once (`notify/planning.py`). So what a help desk gives
decides:

    number  a number that goes up with every change, as it is
    key     what stays at every try of one delivery: a hash of it
    time    when the ticket was changed, and in the digits that it hasn't, a hash of the body: two changes in
    one
            second are two

Without any of them it is a hash of the body.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from tocsin.door.desks.expressions import found
from tocsin.door.desks.kind import Kind
from tocsin.door.desks.times import moment

MAX_REVISION: Final = 2**53 - 1
"""Every program that reads JSON holds it exactly."""

HOWS: Final = ("number", "key", "time")


def revision_of(kind: Kind, document: Any, raw_body: bytes) -> int:
    for how, at in kind.revisions:
        revision = _revision(how, found(at, document), raw_body)
        if revision is not None:
            return revision
    return hashed(raw_body)


def hashed(told: bytes) -> int:
    """A number of 53 bits."""
    return int.from_bytes(sha256(told).digest()[:7], "big") >> 3


def _revision(how: str, value: Any, raw_body: bytes) -> int | None:
    if how == "number":
        return _number(value)
    if how == "key":
        given = isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip()
        return hashed(str(value).strip().encode(errors="replace")) if given else None
    at = moment(value)
    if at is None:
        return None
    revision = at.microseconds + hashed(raw_body) % at.unit
    return revision if revision <= MAX_REVISION else None


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_REVISION else None
