"""Changing the settings: for the console. Each change is a version, and the last ones are kept.

    settings   current             version, values, at (ms), by, what
    settings   version#00000012    the same, as it was written

Both are written in one transaction, under the condition that nobody changed them since they were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tocsin.dynamo.errors import Conflict
from tocsin.dynamo.writes import ITEM_ABSENT, Condition, Delete, Put, Write, as_read
from tocsin.settings.declared import Setting
from tocsin.settings.values import Reading, Scope, read_item, without_invalid
from tocsin.tables.notifications import settings_key, settings_version_key

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table
    from tocsin.dynamo.writes import Item, Value

MAX_VERSIONS: Final = 50
"""How many are kept, the present one included."""


class ChangedMeanwhile(Exception):
    """Somebody else changed the settings since they were read; nothing was written. `now`: what they wrote,
    None if they removed it."""

    def __init__(self, now: Version | None) -> None:
        super().__init__(now)
        self.now = now


class Version(NamedTuple):
    """The settings as they were written once. `values`: as stored, with what only a later version knows, and
    without what is invalid. `at`: ms; `by`: who; `what`: the change, in a sentence. What can't be read of
    these is 0 or empty."""

    number: int
    values: Mapping[str, Mapping[str, Value]]
    at: int
    by: str
    what: str
    reading: Reading
    stored: Item | None = None

    @classmethod
    def of(cls, item: Item | None) -> Version:
        held = item or {}
        values, at = held.get("values"), held.get("at")
        return cls(
            _number(held.get("version")),
            without_invalid(values) if isinstance(values, Mapping) else {},
            _number(at),
            _text(held.get("by")),
            _text(held.get("what")),
            read_item(item),
            item,
        )


def read_current(table: Table) -> Version:
    """Return the settings as they are stored now; version 0 if they were never changed."""
    return Version.of(table.get(settings_key()))


def read_history(table: Table) -> list[Version]:
    """Return the versions that are kept, the newest first."""
    return [Version.of(item) for item in reversed(table.query(*settings_version_key()))]


def with_value(
    values: Mapping[str, Mapping[str, Value]], setting: Setting[Any], scope: Scope, value: Any
) -> dict[str, Mapping[str, Value]]:
    """Return the values with one more, or another, of this setting."""
    scoped = {**values.get(setting.name, {}), str(scope): setting.kind.store(value)}
    return {**values, setting.name: scoped}


def without_value(
    values: Mapping[str, Mapping[str, Value]], name: str, scope: Scope | None
) -> dict[str, Mapping[str, Value]]:
    """Return the values without this one of a setting; `scope` None: without all of them."""
    kept = {text: value for text, value in values.get(name, {}).items() if scope and text != str(scope)}
    others = {other: scoped for other, scoped in values.items() if other != name}
    return {**others, name: kept} if kept else others


def write(
    table: Table,
    before: Version,
    values: Mapping[str, Mapping[str, Value]],
    *,
    at: int,
    by: str,
    what: str,
    token: str,
) -> Version:
    """Write a new version over `before`, the one that was read. `at`: ms; `token`: names the attempt, 36
    characters at most. Raises ChangedMeanwhile, and what the table raises."""
    number = max([before.number, *(one.number for one in _newest(table))]) + 1
    content: dict[str, Value] = {"version": number, "values": values, "at": at, "by": by, "what": what}
    writes: list[Write] = [
        Put(settings_key(), content, when=_unchanged(before.stored)),
        Put(settings_version_key(number), content, when=(ITEM_ABSENT,)),
    ]
    if number > MAX_VERSIONS:
        writes.append(Delete(settings_version_key(number - MAX_VERSIONS)))
    try:
        table.transact(writes, token)
    except Conflict:
        found = table.get(settings_key())
        raise ChangedMeanwhile(Version.of(found) if found is not None else None) from None
    return Version.of(content)


def _newest(table: Table) -> list[Version]:
    """The last version that is kept: a number is used once, even after somebody removed the item by hand."""
    return read_history(table)[:1]


def _unchanged(item: Item | None) -> tuple[Condition, ...]:
    if item is None:
        return (ITEM_ABSENT,)
    return tuple(as_read(name, item) for name in ("version", "at", "by"))


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
