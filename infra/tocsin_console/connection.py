"""How an account is, judged in one place from its lease and the heartbeat of the connector that holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.accounts.lease import HEARTBEAT_LIFETIME, TERMS, LeaseInfo, read_lease
from tocsin.accounts.state import AccountState
from tocsin.dynamo.table import Table
from tocsin.tables.keys import heartbeat_key

UNREACHABLE = "unreachable"
"""The state of an account whose connector let its lease run out. No connector says it of itself."""


@dataclass(frozen=True)
class Connection:
    """An account's lease, and when (seconds) the connector that holds it was last heard of; `silent_for`: how
    many seconds ago that was. Both are None if nobody holds it, or it left no heartbeat.

    Connectors count by their own clock how long another's heartbeat stays the same; one look can only hold
    the heartbeat's time beside the clock of this machine.
    """

    lease: LeaseInfo | None
    silent_for: float | None = None
    heard_at: int | None = None

    @property
    def state(self) -> str:
        """How the account is: `unpaired` where no connector ever held it, `unreachable` where the lease has
        run out, else what its connector says."""
        return UNREACHABLE if self.taken and not self.held else self.last_state

    @property
    def last_state(self) -> AccountState:
        """The last that a connector said, be it dead since."""
        return self.lease.state if self.lease is not None else AccountState.UNPAIRED

    @property
    def since(self) -> int | None:
        """Since when `state` holds, in seconds; None: nobody knows."""
        if self.state == UNREACHABLE:
            return self.heard_at
        return self.lease.since if self.lease is not None else None

    @property
    def taken(self) -> bool:
        """Whether a connector took the account and didn't give it back."""
        return self.lease is not None and self.lease.connector is not None

    @property
    def held(self) -> bool:
        """Whether a connector holds the account and lives, as far as one look can tell."""
        return self.taken and self.silent_for is not None and self.silent_for < TERMS.dead


def look(table: Table, account: str, clock: Callable[[], float] = time.time) -> Connection:
    """Read the lease, and its holder's heartbeat."""
    lease = read_lease(table, account)
    if lease is None or lease.connector is None:
        return Connection(lease)
    heartbeat = table.get(heartbeat_key(lease.connector))
    expiry = heartbeat.get("expire_at") if heartbeat is not None else None
    if not isinstance(expiry, int):
        return Connection(lease)
    heard_at = expiry - HEARTBEAT_LIFETIME
    return Connection(lease, max(clock() - heard_at, 0.0), heard_at)
