"""Accounts named by the parameter, and accounts that were added since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tocsin.accounts.served_accounts import add_account, remove_account
from tocsin.connector.served_accounts import FRESH_SECONDS, Roster
from tocsin.dynamo.memory import MemoryTable


class Aws:
    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.calls = 0

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        self.calls += 1
        if self.trouble:
            raise self.trouble
        return function(*args)


class World:
    def __init__(self) -> None:
        self.now, self.table, self.aws = 0.0, MemoryTable(), Aws()
        aws: Any = self.aws
        self.roster = Roster(aws, ["default"], self.table, monotonic=lambda: self.now)

    async def later(self) -> tuple[str, ...]:
        self.now += FRESH_SECONDS
        return tuple(await self.roster())


async def test_what_is_added_is_served_and_what_is_removed_is_not() -> None:
    world = World()
    assert await world.later() == ("default",)
    add_account(world.table, "support", 1)
    add_account(world.table, "default", 1)
    assert await world.later() == ("default", "support")
    remove_account(world.table, "support")
    remove_account(world.table, "default")
    assert await world.later() == ("default",), "the parameter's stay"


async def test_nobody_is_dropped_because_the_table_is_away() -> None:
    world = World()
    add_account(world.table, "support", 1)
    await world.later()
    world.aws.trouble = OSError()
    assert await world.later() == ("default", "support")


async def test_it_is_not_read_at_every_look() -> None:
    world = World()
    await world.roster()
    await world.roster()
    assert world.aws.calls == 1


async def test_without_a_stack_there_are_only_the_parameters() -> None:
    aws: Any = Aws()
    assert tuple(await Roster(aws, ["a", "b"], None)()) == ("a", "b")
