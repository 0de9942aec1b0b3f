"""Which record of a source, of a webhook or of the texts is the last one: a number, in the keys table.

    source-versions   S    of a source of tickets (`door`)
    hook-versions     H    of an endpoint of outcome webhooks (`hooks`)
    texts-versions    T    of an operator's texts, T is `current` (`notify/store/own_texts.py`)
    KIND-versions     *    for all of a kind of which nothing else is noted

A seal says that an operator wrote a record, and not when. Whoever may only write to the table of the records
could put back one of earlier: a key that was rotated out since, an endpoint that was removed. The number lies
where they can't set it back. It is written after a record that changes and read before it, so one that is
being changed always counts. Of a removal it is written first.

A kind has a partition of its own, so that a function is granted the kinds that it reads and no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.dynamo.errors import ConditionFailed
from tocsin.dynamo.writes import Absent, AnyOf, AtMost, Update
from tocsin.tables.keys import ALL_NAMES, hook_version_key, source_version_key, texts_version_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tocsin.dynamo.table import Table
    from tocsin.dynamo.writes import Key, Value

_VERSION: Final = "version"


class Versions:
    """The last versions of the records of one kind. `keys`: the keys table; `place`: where that of a name
    lies; `unnoted`: called by `note_written` with what kept a version from being noted."""

    def __init__(
        self, keys: Table, place: Callable[[str], Key], unnoted: Callable[[Exception], None] | None = None
    ) -> None:
        self._keys = keys
        self._place = place
        self._unnoted = unnoted

    def last(self, name: str) -> int:
        """The version below which no record of this name counts; 0 if nothing was noted. One read."""
        return _number(self._keys.get(self._place(name)) or {})

    def all(self) -> Callable[[str], int]:
        """As `last`, for every name by one read, and heeding what is noted for all names."""
        partition, _ = self._place(ALL_NAMES)
        noted = {str(item["sk"]): _number(item) for item in self._keys.query(partition)}
        # It says that versions are demanded, and no more: else one that is added anew would lie below it.
        least = min(noted.get(ALL_NAMES, 0), 1)
        return lambda name: max(noted.get(name, 0), least)

    def note(self, name: str, version: int) -> None:
        """From now on no earlier record of this name counts. It never goes back."""
        newer = AnyOf((Absent(_VERSION), AtMost(_VERSION, version)))
        try:
            self._keys.update(Update(self._place(name), set={_VERSION: version}, when=(newer,)))
        except ConditionFailed:
            return

    def note_written(self, name: str, version: int) -> None:
        """As `note`, of a record that is written and counts already. Raises only where there is no `unnoted`:
        whoever holds a new secret of the record must still come to show it."""
        try:
            self.note(name, version)
        except Exception as error:
            if self._unnoted is None:
                raise
            self._unnoted(error)

    @property
    def are_demanded(self) -> bool:
        """Whether a record without a version counts no more, whatever its name."""
        return self.last(ALL_NAMES) > 0

    def demand(self) -> None:
        """From now on a record without a version counts no more: those that count have been given one."""
        self.note(ALL_NAMES, 1)


def source_versions(keys: Table, unnoted: Callable[[Exception], None] | None = None) -> Versions:
    return Versions(keys, source_version_key, unnoted)


def hook_versions(keys: Table, unnoted: Callable[[Exception], None] | None = None) -> Versions:
    return Versions(keys, hook_version_key, unnoted)


def texts_versions(keys: Table) -> Versions:
    return Versions(keys, texts_version_key)


def _number(item: Mapping[str, Value]) -> int:
    value = item.get(_VERSION, 0)
    return value if isinstance(value, int) else 0
