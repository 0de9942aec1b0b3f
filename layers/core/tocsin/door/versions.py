"""Which record of a source is the last one: a number in the keys table, beside that of the record.

A proof says that an operator wrote a record, and not when. Whoever may only write to the table of the sources
could put back one of earlier, with the key that was rotated out since. The number lies where they can't set
it back. It is written after a record that changes and read before it, so one that is being changed always
counts. Of a removal it is written first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.dynamo.errors import ConditionFailed
from tocsin.dynamo.writes import Absent, AnyOf, AtMost, Update
from tocsin.tables.keys import source_version_key

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table

_VERSION = "version"


def last_version(keys: Table, name: str) -> int:
    """The version below which no record of this source counts; 0 if nothing was noted. `keys`: the keys
    table."""
    value = (keys.get(source_version_key(name)) or {}).get(_VERSION, 0)
    return value if isinstance(value, int) else 0


def note_version(keys: Table, name: str, version: int) -> None:
    """From now on no earlier record counts. It never goes back."""
    newer = AnyOf((Absent(_VERSION), AtMost(_VERSION, version)))
    try:
        keys.update(Update(source_version_key(name), set={_VERSION: version}, when=(newer,)))
    except ConditionFailed:
        return
