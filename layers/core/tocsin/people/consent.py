"""When somebody took consent back or gave it again, and by which way: the last times, in the person's record.

    consents          [{"at": ms, "wish": "withdrawn", "way": "message", "message": id}, …], the oldest first
    consents_before   how many were before these

It is written with the consent itself, in one write, and lives as long as the record. The opt-out in force
stands beside it, and alone decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from tocsin.dynamo.writes import Value

CONSENTS: Final = "consents"
CONSENTS_BEFORE: Final = "consents_before"

MAX_CONSENTS: Final = 20
"""So many are kept; the oldest of more are counted."""

WITHDRAWN, GIVEN = "withdrawn", "given"


class Way(StrEnum):
    """How we know of it. `MESSAGE`: they wrote so themselves. `OPERATOR`: they said so elsewhere, and an
    operator noted it."""

    MESSAGE = "message"
    OPERATOR = "operator"


class ConsentChange(NamedTuple):
    """`at`: ms. `wish`: `WITHDRAWN` or `GIVEN`. `way`: one of `Way`. `message`: the id of the message that
    said so, empty if none did."""

    at: int
    wish: str
    way: str = Way.MESSAGE
    message: str = ""

    def to_value(self) -> dict[str, Value]:
        told: dict[str, Value] = {"at": self.at, "wish": self.wish, "way": str(self.way)}
        return {**told, "message": self.message} if self.message else told


def consents_of(value: object) -> tuple[ConsentChange, ...]:
    """Those that a record holds. What can't be read as one is left out: it says how it came about, and
    decides nothing."""
    members = value if isinstance(value, list) else []
    return tuple(filter(None, map(_read, members)))


def _read(member: object) -> ConsentChange | None:
    if not isinstance(member, Mapping) or not isinstance(member.get("at"), int):
        return None
    at, *words = (member.get(name, "") for name in ConsentChange._fields)
    return ConsentChange(at, *map(str, words))


def last_consents(changes: Iterable[ConsentChange], before: int) -> tuple[tuple[ConsentChange, ...], int]:
    """Those that are kept, in the order of time, and how many were before. `before`: how many of these were
    left out already."""
    # The order in which they stand there decides between those of one moment.
    known = sorted(dict.fromkeys(changes), key=lambda change: change.at)
    return tuple(known[-MAX_CONSENTS:]), before + max(len(known) - MAX_CONSENTS, 0)
