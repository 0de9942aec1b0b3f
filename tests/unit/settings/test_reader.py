"""Functions and connector read the settings once in a while, and go on with the last good ones."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tocsin.connector.process import SETTINGS_SECONDS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Item, Key, Put, Value
from tocsin.settings.declared import RETRIES
from tocsin.settings.reader import FRESH_SECONDS, SettingsReader
from tocsin.settings.values import DEFAULTS
from tocsin.tables.notifications import settings_key, settings_version_key


class CountingTable(MemoryTable):
    """Counts what is read, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.away = False

    def get(self, key: Key) -> Item | None:
        self.reads += 1
        if self.away:
            raise ConnectionError("away")
        return super().get(key)

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        self.reads += 1
        return super().query(pk, prefix)


class Container:
    """What a function's container has of it."""

    def __init__(self, table: CountingTable) -> None:
        self.now = 1000.0
        self.table = table
        self.settings = SettingsReader(table, clock=lambda: self.now)

    def retries(self) -> int:
        return self.settings().value(RETRIES)

    def later(self) -> Container:
        self.now += FRESH_SECONDS
        return self


@pytest.fixture
def table() -> CountingTable:
    return CountingTable()


@pytest.fixture
def container(table: CountingTable) -> Container:
    return Container(table)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "tocsin.settings")
    return caplog


def put(table: MemoryTable, retries: Value, version: int = 1, *, key: Key | None = None) -> None:
    table.put(Put(key or settings_key(), {"version": version, "values": {"retries": {"*": retries}}}))


def test_without_an_item_the_defaults_are_in_force(container: Container) -> None:
    assert container.settings() == DEFAULTS


def test_many_messages_cost_one_read(container: Container) -> None:
    for _ in range(100):
        container.settings()
    assert container.table.reads == 1


def test_a_change_is_heeded_within_its_time(container: Container) -> None:
    assert container.retries() == 2
    put(container.table, 5)
    assert container.retries() == 2
    assert container.later().retries() == 5


def test_a_clock_that_was_set_back_keeps_nothing_in_force_for_longer(container: Container) -> None:
    container.settings()
    put(container.table, 5)
    container.now -= 86_400
    assert container.retries() == 5


def test_while_the_table_is_away_the_last_ones_stay_in_force(
    container: Container, heard: pytest.LogCaptureFixture
) -> None:
    put(container.table, 5)
    container.settings()
    container.table.away = True
    assert container.later().retries() == 5
    assert container.retries() == 5
    assert (container.table.reads, len(heard.records)) == (2, 1)


def test_who_never_read_them_does_not_guess(container: Container) -> None:
    container.table.away = True
    with pytest.raises(ConnectionError):
        container.settings()
    container.table.away = False
    assert container.retries() == 2


def test_of_an_invalid_item_the_last_good_values_stay_in_force(container: Container) -> None:
    put(container.table, 5)
    container.settings()
    put(container.table, 99, 2)
    assert container.later().retries() == 5
    assert "retries is 99" in container.settings.problems[0]


def test_a_new_container_takes_the_newest_valid_version(container: Container) -> None:
    for version, retries in ((1, 4), (2, 5), (3, 99)):
        put(container.table, retries, version, key=settings_version_key(version))
    put(container.table, 99, 3)
    assert container.retries() == 5


def test_without_a_valid_version_the_rest_of_the_item_counts(container: Container) -> None:
    values: dict[str, Any] = {"retries": {"*": 99, "audience=group": 1}}
    container.table.put(Put(settings_key(), {"version": 3, "values": values}))
    settings = container.settings()
    assert (settings.value(RETRIES), settings.value(RETRIES, audience="group")) == (2, 1)


def test_an_invalid_item_is_told_once_and_its_mending_heeded(
    container: Container, heard: pytest.LogCaptureFixture
) -> None:
    put(container.table, 99)
    for _ in range(5):
        container.later().settings()
    assert [record.levelname for record in heard.records] == ["ERROR"]
    assert "tocsin settings" in heard.records[0].getMessage()
    put(container.table, 7, 2)
    assert (container.later().retries(), container.settings.problems) == (7, ())


def test_a_setting_of_a_later_version_is_told_once(
    container: Container, heard: pytest.LogCaptureFixture
) -> None:
    container.table.put(Put(settings_key(), {"version": 1, "values": {"moon-phases": {"*": 1}}}))
    for _ in range(5):
        assert container.later().retries() == 2
    assert [record.levelname for record in heard.records] == ["WARNING"]


def test_what_was_last_read_is_known_without_a_look(container: Container) -> None:
    put(container.table, 5)
    assert container.settings.latest() == DEFAULTS
    container.settings()
    assert container.settings.latest().value(RETRIES) == 5
    assert container.table.reads == 1


# -- who can write to the notifications table --------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"version": 1},
        {"version": 10**30, "values": {"retries": {"*": 10**30}}},
        {"version": 1, "values": {"retries": {"*": -1}}},
        {"version": 1, "values": {"retries": {"": 1, "*": {"*": 1}}}},
        {"version": 1, "values": {"acknowledge-replies": {"*": "pay at evil.example"}}},
        {"version": 1, "values": {"notification-expiry-seconds": {"*": 0}}},
        {"version": 1, "values": {"recoveries-per-hour": {"*": 10**9}}},
        {"version": 1, "values": {f"x{number}": {"*": number} for number in range(3000)}},
        {"version": b"1", "values": [1]},
    ],
)
def test_whoever_writes_there_gets_no_value_out_of_bounds_into_force(
    container: Container, item: dict[str, Any]
) -> None:
    container.table.put(Put(settings_key(), item))
    settings = container.settings()
    assert settings == DEFAULTS or settings.value(RETRIES) == RETRIES.default


def test_who_must_know_within_a_second_reads_each_time() -> None:
    table = MemoryTable()
    reader = SettingsReader(table, fresh_seconds=0, clock=lambda: 5.0)
    assert reader().value(RETRIES) == RETRIES.default
    table.put(Put(settings_key(), {"version": 1, "values": {"retries": {"*": 7}}}))
    assert reader().value(RETRIES) == 7


def test_the_connector_reads_them_more_than_once_a_second() -> None:
    assert SETTINGS_SECONDS < 1
