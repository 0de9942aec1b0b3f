"""What can come back from a table instead of an answer.

TableError
├── ConditionFailed   one write met another state than it demanded; carries the item as it is
├── Conflict          the same for a transaction; nothing was written. Read again, compute again
├── Contention        a transaction was in flight on the item, or we are throttled. Wait, repeat as it is
├── OutcomeUnknown    no answer came. It may have happened, or happen yet: read, and compare tags
└── InvalidWrite      the request can never succeed (too large). Don't repeat it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Item, Key


class TableError(Exception):
    """Base of what a table says instead of an answer."""


class ConditionFailed(TableError):
    """The item at `key` isn't as the write demanded; it is `item` (None: there is none). Nothing changed."""

    def __init__(self, key: Key, item: Item | None) -> None:
        super().__init__(key)
        self.key = key
        self.item = item


class Conflict(TableError):
    """Some conditions of a transaction failed. `failed`: position of each such write → the item as it is
    (None: absent). Nothing was written: read and compute again."""

    def __init__(self, failed: Mapping[int, Item | None]) -> None:
        super().__init__(sorted(failed))
        self.failed = failed


class Contention(TableError):
    """Somebody's transaction holds the item for some milliseconds, or the table throttles us.
    Nothing was written, or a read stayed incomplete: wait a moment, then repeat the same request."""


class OutcomeUnknown(TableError):
    """The answer was lost. The write may have happened, or may happen yet: read before acting again."""


class InvalidWrite(TableError):
    """DynamoDB refuses the request itself, for instance as too large. Repeating it can't help."""
