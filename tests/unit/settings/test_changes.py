"""Each change is a version, written whole, and never over somebody else's."""

from __future__ import annotations

import pytest

from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Delete, Put
from tocsin.settings import changes
from tocsin.settings.changes import MAX_VERSIONS, ChangedMeanwhile, Version
from tocsin.settings.declared import RETRIES
from tocsin.settings.values import Scope
from tocsin.tables.notifications import settings_key

NOW = 1_800_000_000_000


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def change(table: MemoryTable, retries: int, *, before: Version | None = None, by: str = "dewi") -> Version:
    before = before or changes.read_current(table)
    values = changes.with_value(before.values, RETRIES, Scope(), retries)
    token = f"{by}-{retries}-{before.number}"
    return changes.write(table, before, values, at=NOW, by=by, what=f"retries {retries}", token=token)


def test_a_change_is_stored_with_who_made_it_and_kept(table: MemoryTable) -> None:
    change(table, 5)
    current = changes.read_current(table)
    assert (current.number, current.values, current.at) == (1, {"retries": {"*": 5}}, NOW)
    assert (current.by, current.what) == ("dewi", "retries 5")
    assert [one.what for one in changes.read_history(table)] == ["retries 5"]


def test_of_two_operators_at_once_the_second_is_told_of_the_first(table: MemoryTable) -> None:
    seen = changes.read_current(table)
    change(table, 5, before=seen, by="dewi")
    with pytest.raises(ChangedMeanwhile) as refused:
        change(table, 6, before=seen, by="budi")
    assert refused.value.now is not None
    assert (refused.value.now.by, refused.value.now.what) == ("dewi", "retries 5")
    assert changes.read_current(table).values == {"retries": {"*": 5}}


def test_the_same_at_a_later_version(table: MemoryTable) -> None:
    change(table, 5)
    seen = changes.read_current(table)
    change(table, 6, before=seen, by="dewi")
    with pytest.raises(ChangedMeanwhile):
        change(table, 7, before=seen, by="budi")


def test_so_many_versions_are_kept(table: MemoryTable) -> None:
    for number in range(MAX_VERSIONS + 3):
        change(table, number % 8)
    kept = [one.number for one in changes.read_history(table)]
    assert kept == list(range(MAX_VERSIONS + 3, 3, -1))


def test_a_number_is_used_once_even_after_somebody_removed_the_item(table: MemoryTable) -> None:
    change(table, 5)
    table.delete(Delete(settings_key()))
    assert change(table, 6).number == 2


def test_what_a_later_version_knows_survives_a_change(table: MemoryTable) -> None:
    table.put(Put(settings_key(), {"version": 4, "values": {"moon-phases": {"*": "22-6"}}}))
    assert change(table, 5).values == {"moon-phases": {"*": "22-6"}, "retries": {"*": 5}}


def test_an_item_of_nonsense_is_replaced_by_the_next_change(table: MemoryTable) -> None:
    table.put(Put(settings_key(), {"version": "x", "values": {"retries": {"*": 99}, "decline-calls": 1}}))
    written = change(table, 5)
    assert (written.number, written.values, written.reading.problems) == (1, {"retries": {"*": 5}}, ())


def test_a_reset_takes_one_scope_or_all() -> None:
    values = {"retries": {"*": 1, "account=two": 2}, "decline-calls": {"*": True}}
    assert changes.without_value(values, "retries", Scope("two")) == {
        "retries": {"*": 1},
        "decline-calls": {"*": True},
    }
    assert changes.without_value(values, "retries", None) == {"decline-calls": {"*": True}}
