"""The connector that carries out an operator's request: whether it is still there.

An attempt to link lives in one connector's memory, on one connection. If that connector ends, or gives the
account away, nobody goes on with the attempt; what the table shows of it stays, and is of no use.
"""

from __future__ import annotations

from tocsin.accounts.lease import TERMS
from tocsin.accounts.state import AccountState
from tocsin_console.connection import UNREACHABLE, Connection

SILENT_SECONDS = TERMS.dead + TERMS.beat
"""So long without a change of its heartbeat it is gone, by this machine's clock alone: the clocks of two
machines may differ, and a connector that can't beat stops by itself before that."""


class Carrier:
    """Told of the account's lease at each look, from the first one on at which the request is taken up."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._heard_at: int | None = None
        self._changed_at = 0.0

    def see(self, connection: Connection, now: float) -> None:
        """`now`: seconds, by this machine's clock."""
        if self._epoch is None and connection.taken and connection.lease is not None:
            self._epoch = connection.lease.epoch
            self._changed_at = now
        if connection.heard_at != self._heard_at:
            self._heard_at, self._changed_at = connection.heard_at, now

    def is_replaced(self, connection: Connection) -> bool:
        """Whether another has the account by now, or had it since. One that takes it is `connecting` for a
        moment, and says then whether the account is linked."""
        lease = connection.lease
        if self._epoch is None or lease is None or lease.epoch == self._epoch:
            return False
        return connection.state not in (AccountState.CONNECTING, UNREACHABLE)

    def is_gone(self, now: float) -> bool:
        """Whether it has been silent for so long that it is dead."""
        return self._epoch is not None and now - self._changed_at >= SILENT_SECONDS
