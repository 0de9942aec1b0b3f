"""Which accounts an event may name: the parameter's, and those added while the stack runs."""

from __future__ import annotations

from tests.support.key_peers import Interposed
from tocsin.accounts.served_accounts import add_account, remove_account
from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.roster import REMEMBERED_SECONDS, Accounts, all_accounts


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.table = Interposed(MemoryTable())
        self.accounts = Accounts(("default",), self.table, clock=lambda: self.now)


def test_the_parameters_cost_no_look() -> None:
    world = World()
    assert "default" in world.accounts
    assert world.table.requests == []


def test_an_added_one_is_found_when_it_is_met_and_looked_for_once_a_minute() -> None:
    world = World()
    add_account(world.table, "support", 1)
    world.table.requests.clear()
    assert "support" in world.accounts
    assert "support" in world.accounts
    assert world.table.requests == ["get"]
    assert sorted(world.accounts) == ["default", "support"]


def test_an_unknown_one_is_unknown_until_it_is_added() -> None:
    world = World()
    assert "support" not in world.accounts
    add_account(world.table, "support", 1)
    assert "support" in world.accounts


def test_a_removed_one_is_forgotten_after_a_minute() -> None:
    world = World()
    add_account(world.table, "support", 1)
    assert "support" in world.accounts
    remove_account(world.table, "support")
    world.now += REMEMBERED_SECONDS
    assert "support" not in world.accounts
    assert list(world.accounts) == ["default"]


def test_what_could_be_no_name_is_not_looked_for() -> None:
    world = World()
    assert "a#b" not in world.accounts
    assert world.table.requests == []


def test_upkeep_is_for_all_of_them() -> None:
    table = MemoryTable()
    add_account(table, "support", 1)
    add_account(table, "default", 1)
    assert all_accounts(("default",), table) == ("default", "support")
