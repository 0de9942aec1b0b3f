"""Which accounts a deployment serves: those its parameter names, and those that were added while it runs.

The added ones are kept in the notifications table, which the planner and the console may read: it holds no
key. So are those of the parameter once they are in use (`keep_account`): a shorter parameter must not leave a
linked account without a connector, and what waits for it without anybody who sends or expires it. Such an
account is served until it is unpaired and removed by the operator.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import Final

from tocsin.dynamo.table import ConditionFailed, Table
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Delete, Put, Value
from tocsin.tables.notifications import ROSTER, roster_key

log = logging.getLogger(__name__)

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

REMEMBERED_SECONDS: Final = 60
"""How long an account that was found counts as served without another look."""

_KEPT: Final = "kept"

FRESH_SECONDS: Final = 5.0
"""How long `latest` returns what was last read."""


class ServedAccounts(Collection[str]):
    """The names of the served accounts, those of the parameter first.

    `table`: the notifications table; None where no stack is deployed, and no account can be added. `clock`:
    seconds. The collection holds what is known without a look, but `in` looks an unknown account up.
    """

    def __init__(
        self, named: Collection[str], table: Table | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._named = tuple(named)
        self._table = table
        self._clock = clock
        # Added account → when it was last found.
        self._added: dict[str, float] = {}
        self._read_at = float("-inf")

    def read(self) -> tuple[str, ...]:
        """Read the table and return all names. Raises what the table raises."""
        now = self._clock()
        if self._table is not None:
            self._added = dict.fromkeys(added_accounts(self._table), now)
        return tuple(self)

    def latest(self) -> tuple[str, ...]:
        """Return all names, read within the last five seconds; while the table is away, those last read."""
        if self._clock() - self._read_at >= FRESH_SECONDS:
            self._read_at = self._clock()
            try:
                return self.read()
            except Exception as exc:  # noqa: BLE001  an account stays served while the table is away
                log.warning("the added accounts can't be read: %s", exc)
        return tuple(self)

    def __contains__(self, account: object) -> bool:
        if account in self._named:
            return True
        if not isinstance(account, str) or self._table is None:
            return False
        if self._clock() - self._added.get(account, float("-inf")) < REMEMBERED_SECONDS:
            return True
        self._added.pop(account, None)
        if is_added(self._table, account):
            self._added[account] = self._clock()
            return True
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._named, *self._added)))

    def __len__(self) -> int:
        return len(dict.fromkeys((*self._named, *self._added)))


# `table` is the notifications table in each of these.


def added_accounts(table: Table) -> list[str]:
    """Return the names of the accounts that were added, in order. What could be no name was not added by us:
    a connector must not make an account of it."""
    return sorted(sk for _, sk in table.keys(ROSTER) if NAME.fullmatch(sk))


def is_added(table: Table, account: str) -> bool:
    return NAME.fullmatch(account) is not None and table.get(roster_key(account)) is not None


def kept_accounts(table: Table) -> set[str]:
    """Of the added ones those that the parameter named when they were written down."""
    return {str(item["sk"]) for item in table.query(ROSTER) if item.get(_KEPT)}


def add_account(table: Table, account: str, now: int) -> bool:
    """Have the connectors serve one more account; return whether it is new. `now`: seconds. Raises ValueError
    for a bad name."""
    return _write_down(table, account, {"added_at": now})


def keep_account(table: Table, account: str, now: int) -> bool:
    """Have an account of the parameter served when the parameter doesn't name it any more; return whether
    that is new. `now`: seconds. Raises ValueError for a bad name."""
    return _write_down(table, account, {"added_at": now, _KEPT: True})


def _write_down(table: Table, account: str, what: dict[str, Value]) -> bool:
    if not NAME.fullmatch(account):
        raise ValueError("an account's name is made of a-z, 0-9 and -, begins with no - and has 32 at most")
    try:
        table.put(Put(roster_key(account), what, when=(ITEM_ABSENT,)))
    except ConditionFailed:
        return False
    return True


def remove_account(table: Table, account: str) -> bool:
    """Have the connectors serve it no more; return whether it was there. Its keys stay where they are."""
    try:
        table.delete(Delete(roster_key(account), when=(ITEM_EXISTS,)))
    except ConditionFailed:
        return False
    return True
