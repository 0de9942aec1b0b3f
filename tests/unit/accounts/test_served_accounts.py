"""Accounts added to a running stack: by name, once, and gone when removed."""

import pytest

from tocsin.accounts.served_accounts import add_account, is_on_roster, read_roster, remove_account
from tocsin.dynamo.memory import MemoryTable


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def test_what_was_added_is_on_it_in_order(table: MemoryTable) -> None:
    assert add_account(table, "support", 1)
    assert add_account(table, "billing-2", 1)
    assert read_roster(table) == ["billing-2", "support"]
    assert is_on_roster(table, "support")
    assert not is_on_roster(table, "default")


def test_added_twice_it_is_there_once(table: MemoryTable) -> None:
    assert add_account(table, "support", 1)
    assert not add_account(table, "support", 2)


def test_removed_it_is_gone(table: MemoryTable) -> None:
    add_account(table, "support", 1)
    assert remove_account(table, "support")
    assert not remove_account(table, "support")
    assert read_roster(table) == []


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a#b", "a" * 33, "ä", "a\n"])
def test_a_name_that_could_not_be_one_is_refused(table: MemoryTable, name: str) -> None:
    with pytest.raises(ValueError, match="a-z, 0-9"):
        add_account(table, name, 1)
    assert not is_on_roster(table, name)
