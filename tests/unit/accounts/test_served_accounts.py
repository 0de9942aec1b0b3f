"""Which accounts a deployment serves: the parameter's, and those added while it runs."""

from __future__ import annotations

import pytest

from tests.support.key_peers import Interposed, once
from tocsin.accounts.served_accounts import (
    FRESH_SECONDS,
    REMEMBERED_SECONDS,
    ServedAccounts,
    add_account,
    added_accounts,
    is_added,
    keep_account,
    kept_accounts,
    remove_account,
)
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.tables.notifications import roster_key


@pytest.fixture
def table() -> Interposed:
    return Interposed(MemoryTable())


class Serving:
    """A reader with a clock that stands still until a test moves it."""

    def __init__(self, table: Interposed) -> None:
        self.now = 0.0
        self.accounts = ServedAccounts(("default",), table, clock=lambda: self.now)


@pytest.fixture
def serving(table: Interposed) -> Serving:
    return Serving(table)


# -- adding and removing -----------------------------------------------------------------------------------


def test_what_was_added_is_there_in_order(table: Interposed) -> None:
    assert add_account(table, "support", 1)
    assert add_account(table, "billing-2", 1)
    assert added_accounts(table) == ["billing-2", "support"]
    assert is_added(table, "support")
    assert not is_added(table, "default")


def test_added_twice_it_is_there_once(table: Interposed) -> None:
    assert add_account(table, "support", 1)
    assert not add_account(table, "support", 2)


def test_removed_it_is_gone(table: Interposed) -> None:
    add_account(table, "support", 1)
    assert remove_account(table, "support")
    assert not remove_account(table, "support")
    assert added_accounts(table) == []


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a#b", "a" * 33, "ä", "a\n"])
def test_a_name_that_could_not_be_one_is_refused(table: Interposed, name: str) -> None:
    with pytest.raises(ValueError, match="a-z, 0-9"):
        add_account(table, name, 1)
    assert not is_added(table, name)


@pytest.mark.parametrize("name", ["-a", "A", "default#1234@lid", "../a", "a" * 33, "a\n"])
def test_a_row_that_nobody_could_have_added_makes_no_account(
    table: Interposed, serving: Serving, name: str
) -> None:
    table.put(Put(roster_key(name), {"added_at": 1}))
    assert added_accounts(table) == []
    assert serving.accounts.latest() == ("default",)


# -- all of them -------------------------------------------------------------------------------------------


def test_the_parameters_come_first_and_each_once(table: Interposed, serving: Serving) -> None:
    for name in ("support", "default", "billing"):
        add_account(table, name, 1)
    assert serving.accounts.read() == ("default", "billing", "support")
    assert len(serving.accounts) == 3


def test_a_table_that_is_away_is_an_error(table: Interposed, serving: Serving) -> None:
    table.before = once("keys", _away)
    with pytest.raises(OSError, match="away"):
        serving.accounts.read()


def test_without_a_table_there_are_only_the_parameters() -> None:
    accounts = ServedAccounts(["a", "b"], None)
    assert (accounts.read(), accounts.latest(), "c" in accounts) == (("a", "b"), ("a", "b"), False)


# -- the latest, as the connector asks for them all the time -----------------------------------------------


def test_what_is_added_is_served_and_what_is_removed_is_not(table: Interposed, serving: Serving) -> None:
    assert serving.accounts.latest() == ("default",)
    add_account(table, "support", 1)
    serving.now += FRESH_SECONDS
    assert serving.accounts.latest() == ("default", "support")
    remove_account(table, "support")
    serving.now += FRESH_SECONDS
    assert serving.accounts.latest() == ("default",)


def test_it_is_not_read_at_every_look(table: Interposed, serving: Serving) -> None:
    serving.accounts.latest()
    serving.accounts.latest()
    assert len(table.requests) == 1


def test_no_account_is_dropped_because_the_table_is_away(table: Interposed, serving: Serving) -> None:
    add_account(table, "support", 1)
    serving.accounts.latest()
    serving.now += FRESH_SECONDS
    table.before = once("keys", _away)
    assert serving.accounts.latest() == ("default", "support")


def _away() -> None:
    raise OSError("away")


# -- one of them, as an event names it ---------------------------------------------------------------------


def test_the_parameters_cost_no_look(table: Interposed, serving: Serving) -> None:
    assert "default" in serving.accounts
    assert table.requests == []


def test_an_added_one_is_looked_up_once_a_minute(table: Interposed, serving: Serving) -> None:
    add_account(table, "support", 1)
    table.requests.clear()
    assert "support" in serving.accounts
    assert "support" in serving.accounts
    assert table.requests == ["get"]
    assert list(serving.accounts) == ["default", "support"]


def test_an_unknown_one_is_unknown_until_it_is_added(table: Interposed, serving: Serving) -> None:
    assert "support" not in serving.accounts
    add_account(table, "support", 1)
    assert "support" in serving.accounts


def test_a_removed_one_is_forgotten_after_a_minute(table: Interposed, serving: Serving) -> None:
    add_account(table, "support", 1)
    assert "support" in serving.accounts
    remove_account(table, "support")
    serving.now += REMEMBERED_SECONDS
    assert "support" not in serving.accounts
    assert list(serving.accounts) == ["default"]


def test_what_could_be_no_name_is_not_looked_up(table: Interposed, serving: Serving) -> None:
    assert "a#b" not in serving.accounts
    assert table.requests == []


def test_what_is_in_use_is_served_when_the_parameter_names_it_no_more() -> None:
    table = MemoryTable()
    assert keep_account(table, "support", 1)
    assert not keep_account(table, "support", 2)
    shrunk = ServedAccounts(["default"], table)
    assert shrunk.read() == ("default", "support")
    assert "support" in ServedAccounts(["default"], table)
    assert kept_accounts(table) == {"support"}


def test_twin_of_a_stack_that_kept_nothing_serves_it_no_more() -> None:
    assert "support" not in ServedAccounts(["default"], MemoryTable())


def test_what_is_kept_ends_as_what_was_added() -> None:
    roster = MemoryTable()
    keep_account(roster, "support", 1)
    assert remove_account(roster, "support")
    assert ServedAccounts(["default"], roster).read() == ("default",)
    assert kept_accounts(roster) == set()
