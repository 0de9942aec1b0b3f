"""Which accounts a deployment serves: those its parameter names, and those that were added while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

from tocsin.accounts.served_accounts import is_on_roster, read_roster
from tocsin.dynamo.table import Table

REMEMBERED_SECONDS = 60
"""How long an account that was found is taken to be there, without another look."""


def all_accounts(named: Collection[str], outside: Table) -> tuple[str, ...]:
    """Return all names, the parameter's first. `outside`: the notifications table."""
    return tuple(dict.fromkeys((*named, *read_roster(outside))))


class Accounts(Collection[str]):
    """The accounts an event may name. One that the parameter doesn't name is looked up when it is met."""

    def __init__(
        self, named: Collection[str], outside: Table, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._named = tuple(named)
        self._outside = outside
        self._clock = clock
        self._found: dict[str, float] = {}

    def __contains__(self, account: object) -> bool:
        if account in self._named:
            return True
        if not isinstance(account, str):
            return False
        if self._clock() - self._found.get(account, float("-inf")) < REMEMBERED_SECONDS:
            return True
        self._found.pop(account, None)
        if is_on_roster(self._outside, account):
            self._found[account] = self._clock()
            return True
        return False

    def __iter__(self) -> Iterator[str]:
        """Those that are known without a look."""
        return iter((*self._named, *self._found))

    def __len__(self) -> int:
        return len(self._named) + len(self._found)
