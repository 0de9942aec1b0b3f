"""The accounts that were added to a running stack, beside those its parameter names.

They stand in the notifications table, which the planner and the console may read: no key is told there.
"""

from __future__ import annotations

import re
from typing import Final

from tocsin.dynamo.table import ConditionFailed, Table
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Delete, Put
from tocsin.tables.notifications import ROSTER, roster_key

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def read_roster(outside: Table) -> list[str]:
    """Names of the accounts that were added, in order."""
    return sorted(sk for _, sk in outside.keys(ROSTER))


def is_on_roster(outside: Table, account: str) -> bool:
    return NAME.fullmatch(account) is not None and outside.get(roster_key(account)) is not None


def add_account(outside: Table, account: str, now: int) -> bool:
    """Have the connectors serve one more account; whether it is new. Raises ValueError for a bad name."""
    if not NAME.fullmatch(account):
        raise ValueError("an account's name is made of a-z, 0-9 and -, begins with no - and has 32 at most")
    try:
        outside.put(Put(roster_key(account), {"added_at": now}, when=(ITEM_ABSENT,)))
    except ConditionFailed:
        return False
    return True


def remove_account(outside: Table, account: str) -> bool:
    """Have it served no more; whether it was there. Its keys stay where they are."""
    try:
        outside.delete(Delete(roster_key(account), when=(ITEM_EXISTS,)))
    except ConditionFailed:
        return False
    return True
