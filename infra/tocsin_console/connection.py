"""The state of an account, from its lease and the heartbeat of the connector that holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.accounts.lease import HEARTBEAT_LIFETIME, TERMS, LeaseInfo, read_lease
from tocsin.accounts.state import AccountState
from tocsin.dynamo.table import Table
from tocsin.tables.keys import heartbeat_key

UNREACHABLE = "unreachable"
"""The state of an account whose connector stopped renewing the lease. Connectors never write it."""


@dataclass(frozen=True)
class Connection:
    """An account's lease, and when its connector's last heartbeat was (`heard_at`, in seconds). `silent_for`:
    seconds since then. Both are None if no connector holds the account or there is no heartbeat.

    Connectors measure by their own clock how long another's heartbeat does not change. The console reads it
    only once, so it compares the heartbeat's time with the clock of this machine.
    """

    lease: LeaseInfo | None
    silent_for: float | None = None
    heard_at: int | None = None

    @property
    def state(self) -> str:
        """`unpaired` if no connector ever held the account, `unreachable` if the lease has run out, else what
        its connector wrote."""
        return UNREACHABLE if self.taken and not self.held else self.last_state

    @property
    def last_state(self) -> AccountState:
        """What a connector last wrote, even if it is dead since."""
        return self.lease.state if self.lease is not None else AccountState.UNPAIRED

    @property
    def since(self) -> int | None:
        """Since when the account has this `state`, in seconds; None if unknown."""
        if self.state == UNREACHABLE:
            return self.heard_at
        return self.lease.since if self.lease is not None else None

    @property
    def taken(self) -> bool:
        """Whether a connector took the account and did not release it."""
        return self.lease is not None and self.lease.connector is not None

    @property
    def held(self) -> bool:
        """Whether a connector holds the account and its heartbeat is fresh."""
        return self.taken and self.silent_for is not None and self.silent_for < TERMS.dead


def look(table: Table, account: str, clock: Callable[[], float] = time.time) -> Connection:
    """Read an account's lease and the heartbeat of its connector."""
    lease = read_lease(table, account)
    if lease is None or lease.connector is None:
        return Connection(lease)
    heartbeat = table.get(heartbeat_key(lease.connector))
    expiry = heartbeat.get("expire_at") if heartbeat is not None else None
    if not isinstance(expiry, int):
        return Connection(lease)
    heard_at = expiry - HEARTBEAT_LIFETIME
    return Connection(lease, max(clock() - heard_at, 0.0), heard_at)
