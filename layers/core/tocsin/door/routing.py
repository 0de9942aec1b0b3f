"""From a path to who answers it. Paths are those that the callers of each dialect have built in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tocsin.door.dialect import ANY, Route
from tocsin.door.dialects import evolution, fonnte, gowa, own, phpnuxbill, waha
from tocsin.door.request import Request

HOOKS = "hooks"
"""Below it the sources of help desks: `/hooks/NAME`."""

DIALECTS: dict[str, Any] = {
    module.KIND: module for module in (own, evolution, waha, gowa, fonnte, phpnuxbill)
}
"""Kind of a source → the module that speaks with its callers."""


class Found(NamedTuple):
    """`dialect`: None for a webhook of a help desk, whose source is `parts[0]`. `route`: None where the
    dialect has the path, but not for this method."""

    dialect: Any
    route: Route | None
    parts: tuple[str, ...]


def find(request: Request) -> Found | None:
    """Who answers a request; None if nobody does. The name of a dialect may stand in front of its paths, for
    callers that have a base path."""
    segments = request.segments
    if len(segments) == 2 and segments[0] == HOOKS:
        return Found(None, None, (segments[1],))
    found = _in(DIALECTS.values(), request.method, segments)
    named = DIALECTS.get(segments[0]) if segments else None
    if found is None and named is not None:
        return _in([named], request.method, segments[1:])
    return found


def _in(dialects: Iterable[Any], method: str, segments: tuple[str, ...]) -> Found | None:
    other_method = None
    for dialect in dialects:
        for route in dialect.ROUTES:
            parts = _matched(route.pattern, segments)
            if parts is None:
                continue
            if route.method == method:
                return Found(dialect, route, parts)
            other_method = other_method or Found(dialect, None, parts)
    return other_method


def _matched(pattern: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if any(wanted not in (ANY, found) for wanted, found in pairs):
        return None
    return tuple(found for wanted, found in pairs if wanted == ANY)
