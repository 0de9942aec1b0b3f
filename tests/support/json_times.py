"""Whether a JSON document for programs tells times in ISO 8601, in UTC, and never as a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

_SECONDS, _MILLISECONDS = range(10**9, 4 * 10**9), range(10**12, 4 * 10**12)
"""From 2001 to 2096."""

_NO_TIMES = {"registration_id"}
_NAMED_LIKE_ONE = re.compile(r"(^|_)(at|since|until|cycle_end)$")


def odd_times(value: Any, name: str = "") -> Iterator[str]:
    """Each place where a time is no ISO 8601 in UTC. `name`: of the value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from odd_times(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from odd_times(inner, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        is_time = int(value) in _SECONDS or int(value) in _MILLISECONDS
        if name not in _NO_TIMES and (is_time or _NAMED_LIKE_ONE.search(name)):
            yield f"{name}: {value}"
    elif isinstance(value, str) and _NAMED_LIKE_ONE.search(name) and not _is_iso(value):
        yield f"{name}: {value}"


def _is_iso(text: str) -> bool:
    try:
        return text.endswith("Z") and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
