"""Phones and groups as an event names them: an address, or why nobody can be told by it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tocsin.notify.events.event import INVALID_GROUP, INVALID_PHONE, NO_PHONE, Unreachable
from tocsin.notify.texts.formatting import shortened
from tocsin.people.numbers import InvalidPhone

MAX_REFUSED_CHARACTERS = 80
"""Of a refused phone or group, as an operator sees it."""

Normalise = Callable[[str], str]
"""From a phone as it is written to E.164 digits. Raises InvalidPhone."""


def phone_of(person: Any, path: str, normalise: Normalise) -> str | Unreachable:
    """The digits of somebody's phone, or why nobody can be told by it."""
    if person is not None and not isinstance(person, dict):
        return Unreachable(INVALID_PHONE, path, "is not an object with a phone", _as_written(person))
    value, path = (person or {}).get("phone"), f"{path}.phone"
    if value is None or (isinstance(value, str) and not value.strip()):
        return Unreachable(NO_PHONE, path, "names no number")
    try:
        if not isinstance(value, str):
            raise InvalidPhone("is not text")
        return normalise(value.strip())
    except InvalidPhone as refusal:
        return Unreachable(INVALID_PHONE, path, str(refusal), _as_written(value))


_GROUP = re.compile(r"[0-9]{1,20}(-[0-9]{10})?@g[.]us")


def group_of(value: Any, path: str) -> str | Unreachable:
    """The JID of a group, or why there is none."""
    if isinstance(value, str) and _GROUP.fullmatch(value):
        return value
    return Unreachable(
        INVALID_GROUP, path, "is no group, such as 120363000000000000@g.us", _as_written(value)
    )


def _as_written(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, MAX_REFUSED_CHARACTERS)
