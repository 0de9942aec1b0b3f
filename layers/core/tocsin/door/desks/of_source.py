"""From a source's record to its kind: a built-in one, or the mapping of an operator's own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tocsin.door.desks.kind import InvalidKind, Kind, UnknownKind, built_in, kind_of
from tocsin.door.desks.translate import Options

if TYPE_CHECKING:
    from tocsin.door.sources import Source

OWN = "own"
"""The kind of a source whose mapping is the operator's own."""

BUS = "bus"
"""The kind of a source whose events come over the bus, translated by a mapping."""

NOT_PARAMETERS = frozenset({"pattern", "bus", "client_url", "client_user"})
"""Options of a source that aren't parameters of its kind."""


def kind_of_source(source: Source) -> Kind:
    """Raises InvalidKind: the record names a kind that there isn't, or holds a mapping that nobody linted."""
    parameters = tuple(
        sorted((name, value) for name, value in source.options.items() if name not in NOT_PARAMETERS)
    )
    return _kind(source.kind, source.mapping, parameters)


@lru_cache(maxsize=64)
def _kind(name: str, mapping: str, parameters: tuple[tuple[str, str], ...]) -> Kind:
    if mapping:
        return kind_of(mapping, dict(parameters))
    try:
        return built_in(name, parameters)
    except UnknownKind:
        raise InvalidKind([f"kind: there is no {name[:40]}"]) from None


def options_of_source(source: Source) -> Options:
    return Options(source.account, source.language, source.audiences)
