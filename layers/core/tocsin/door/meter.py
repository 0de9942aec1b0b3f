"""How often a source is heard: its rate, and what operators see of its use.

One write to the table for many requests. A process counts for itself and tells the table when a twentieth of
the rate has come together, or a minute has passed; the table's answer says what all processes have counted in
this minute. So a source may get past its rate by a twentieth for each process that runs, and what the last
seconds of a process counted may be missing from the sums. The first refusal after an accepted request, or for
another reason, is told at once, a few times a minute: a developer who is trying looks at it right then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tocsin.dynamo.errors import ConditionFailed, TableError
from tocsin.dynamo.writes import Absent, AnyOf, AtMost, Equals, Update, Value
from tocsin.tables.notifications import source_use_key

if TYPE_CHECKING:
    from tocsin.door.sources import Source
    from tocsin.dynamo.table import Table

log = logging.getLogger(__name__)

MINUTE_MS: Final = 60_000
_PARTS: Final = 20
MAX_COUNTED: Final = 1000
MAX_CHANGES: Final = 5
"""Changes of a source's outcome that a process tells at once within a minute: strangers can cause them."""


@dataclass
class _Count:
    """Of one source in this process. `known`: of all processes in `minute`, when the table was last told.
    `outcome`: of the last request, a refusal's code or empty; `changes`: of it that were told at once in
    `minute`."""

    minute: int = -1
    known: int = 0
    heard: int = 0
    refused: int = 0
    refusal: str = ""
    told_at: int = 0
    outcome: str = ""
    changes: int = 0


class Meter:
    """`table`: the notifications table, of which it writes the partition `source-use` alone."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._counts: dict[str, _Count] = {}

    def hear(self, source: Source, now: int) -> int:
        """Count a request. Returns 0, or after how many seconds the source may ask again. `now`: ms."""
        count = self._of(source.name, now)
        if count.known + count.heard >= source.per_minute:
            self.refuse(source.name, "rate-limited", now)
            return (MINUTE_MS - now % MINUTE_MS) // 1000 + 1
        count.heard += 1
        count.outcome = ""
        if count.heard >= max(1, source.per_minute // _PARTS) or now - count.told_at >= MINUTE_MS:
            self._tell(source.name, count, now)
        return 0

    def refuse(self, name: str, code: str, now: int) -> None:
        """Count a request that was refused, for `code`. Few writes a minute, for strangers cause them: one,
        and `MAX_CHANGES` where the request before ended otherwise."""
        count = self._of(name, now)
        changed, count.outcome = count.outcome != code, code
        count.refused += 1
        count.refusal = code
        at_once = changed and count.changes < MAX_CHANGES
        count.changes += at_once
        if at_once or now - count.told_at >= MINUTE_MS:
            self._tell(name, count, now)

    def _of(self, name: str, now: int) -> _Count:
        if len(self._counts) >= MAX_COUNTED and name not in self._counts:
            self._counts.clear()
        count = self._counts.setdefault(name, _Count())
        minute = now // MINUTE_MS
        if count.minute != minute:
            if count.heard and count.minute >= 0:
                self._tell(name, count, now)
            count.minute, count.known, count.changes = minute, 0, 0
        return count

    def _tell(self, name: str, count: _Count, now: int) -> None:
        """A count that can't be told waits: nobody's message fails for it."""
        heard, refused, minute = count.heard, count.refused, max(count.minute, 0)
        try:
            item = self._written(name, minute, heard, refused, count.refusal, now)
        except TableError as error:
            log.warning(
                "the use of a source can't be counted: %s", type(error).__name__, extra={"source": name}
            )
            return
        count.told_at, count.heard, count.refused, count.refusal = now, 0, 0, ""
        known = item.get("in_minute", 0)
        same = item.get("minute") == minute
        count.known = known if same and isinstance(known, int) else 0

    def _written(
        self, name: str, minute: int, heard: int, refused: int, refusal: str, now: int
    ) -> dict[str, Value]:
        told: dict[str, Value] = {"used_at": now} if heard else {}
        if refused:
            told |= {"refused_at": now, "refusal": refusal}
        key = source_use_key(name)
        sums = {"heard": heard, "refused": refused}
        try:
            same = Update(key, set=told, add={**sums, "in_minute": heard}, when=(Equals("minute", minute),))
            return dict(self._table.update(same))
        except ConditionFailed:
            pass
        begun = {**told, "minute": minute, "in_minute": heard}
        older = AnyOf((Absent("minute"), AtMost("minute", minute - 1)))
        try:
            return dict(self._table.update(Update(key, set=begun, add=sums, when=(older,))))
        except ConditionFailed:
            # Another process began this minute, or a later one, between the two.
            late = Update(key, set=told, add={**sums, "in_minute": heard})
            return dict(self._table.update(late))
