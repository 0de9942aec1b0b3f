"""Why an account doesn't connect by itself: one small item beside the lease.

The connector that stopped trying writes it down, so that a restart, or another connector, doesn't try once
more: a login replaces whoever else is logged in with the keys, and WhatsApp counts each one that it refuses.
It holds for one pairing. A person's wish (`pair`, `reconnect`, `unpair`), or its time, ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tocsin.accounts.state import AccountState
from tocsin.dynamo.table import Table
from tocsin.dynamo.writes import Delete, Put, Update
from tocsin.tables.keys import deaf_key, halt_key
from tocsin.timestamps import is_recent

DEAF_SECONDS: Final = 3600
"""For so long it is remembered that a process ended because the account's sockets were deaf."""


@dataclass(frozen=True, slots=True)
class Halt:
    """`reason`: a code. `until`: Unix seconds when it is tried once more; 0: not before a person acts.
    `incarnation`: of the pairing that it is about."""

    state: AccountState
    reason: str
    detail: str
    until: int
    incarnation: int


def read_halt(table: Table, account: str) -> Halt | None:
    """The halt as it was written, whether it still holds or not. What can't be understood holds nobody."""
    item = table.get(halt_key(account)) or {}
    until, incarnation = item.get("until"), item.get("incarnation")
    if not isinstance(until, int) or not isinstance(incarnation, int):
        return None
    state = AccountState.read(item.get("state"))
    return Halt(state, str(item.get("reason", "")), str(item.get("detail", "")), until, incarnation)


def note_halt(table: Table, account: str, halt: Halt) -> None:
    """Write it down in place of the one before."""
    table.put(
        Put(
            halt_key(account),
            {
                "state": halt.state,
                "reason": halt.reason,
                "detail": halt.detail,
                "until": halt.until,
                "incarnation": halt.incarnation,
            },
        )
    )


def clear_halt(table: Table, account: str) -> None:
    table.delete(Delete(halt_key(account)))


def note_deaf(table: Table, account: str, now: float) -> None:
    """A process ends because the account's sockets are deaf."""
    expire_at = int(now) + 2 * DEAF_SECONDS
    table.update(Update(deaf_key(account), set={"at": int(now), "expire_at": expire_at}))


def was_deaf(table: Table, account: str, now: float) -> bool:
    """Whether a process ended so within the last hour."""
    at = (table.get(deaf_key(account)) or {}).get("at")
    return isinstance(at, int) and is_recent(at, now, DEAF_SECONDS)
