"""How an account's connector is, as far as the keys table tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.accounts.lease import HEARTBEAT_LIFETIME, LeaseInfo, read_lease
from tocsin.accounts.state import AccountState
from tocsin.dynamo.table import Table
from tocsin.tables.keys import heartbeat_key

SILENT_SECONDS = 60
"""After which a connector is called silent: four leases, and more than clocks of honest machines differ."""


@dataclass(frozen=True)
class Connection:
    """An account's lease, and for how many seconds nothing was heard of the connector that holds it (None:
    nobody holds it, or it left no heartbeat)."""

    lease: LeaseInfo | None
    silent_for: float | None

    @property
    def state(self) -> AccountState:
        """The lease's state; `unpaired` where no connector ever held the account."""
        return self.lease.state if self.lease is not None else AccountState.UNPAIRED

    @property
    def held(self) -> bool:
        """Whether a connector holds the account and lives, as far as one look can tell."""
        return (
            self.lease is not None
            and self.lease.connector is not None
            and self.silent_for is not None
            and self.silent_for < SILENT_SECONDS
        )


def look(table: Table, account: str, clock: Callable[[], float] = time.time) -> Connection:
    """Read the lease, and its holder's heartbeat."""
    lease = read_lease(table, account)
    if lease is None or lease.connector is None:
        return Connection(lease, None)
    heartbeat = table.get(heartbeat_key(lease.connector))
    expiry = heartbeat.get("expire_at") if heartbeat is not None else None
    if not isinstance(expiry, int):
        return Connection(lease, None)
    return Connection(lease, max(clock() - (expiry - HEARTBEAT_LIFETIME), 0.0))
