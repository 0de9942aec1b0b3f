"""`tocsin reconnect`: have an account log in again, also one that stopped trying (`replaced`, `stopped`).

A restart of the connector is no further try, so this is how a person asks for one, once the cause is gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tocsin.accounts.operator_requests import read_control, request, withdraw
from tocsin.accounts.state import CAN_SEND, UNLINKED, AccountState
from tocsin_console.audit import note
from tocsin_console.connection import look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, Interrupted, NotFound, TimedOut
from tocsin_console.output import Output
from tocsin_console.pair import POLL_SECONDS

ENDED = frozenset({AccountState.LOGGED_OUT, AccountState.REPLACED, AccountState.STOPPED})
SETTLED_SECONDS = 3.0
"""After the request was taken up, the state may still be that of before for so long."""


def reconnect(
    deployment: Deployment,
    account: str,
    *,
    wait_seconds: float,
    output: Output,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """Ask the connector for another login, and wait for it. Raises NotFound if nothing is linked,
    ConsoleError if WhatsApp or the connector refuses, TimedOut, Interrupted."""
    table, sealer = deployment.keys_table, deployment.sealer
    connection = look(table, account, clock)
    if connection.lease is None or connection.last_state in UNLINKED:
        raise NotFound(f"the account '{account}' isn't linked ({connection.state}): tocsin pair")
    asked = request(
        table, sealer, account, "reconnect", int(clock()), os.urandom(12), lasts=max(int(wait_seconds), 1)
    )
    note(deployment, f"had the account {account} log in again", clock=clock)
    output.say(f"asking the connector to log the account '{account}' in again …")
    began, taken_at = clock(), None
    try:
        with output.progress("waiting for the login") as progress:
            while True:
                taken = read_control(table, account, sealer).request is None
                taken_at = (taken_at or clock()) if taken else None
                connection = look(table, account, clock)
                settled = taken_at is not None and clock() - taken_at >= SETTLED_SECONDS
                if settled and connection.state in CAN_SEND:
                    break
                if settled and connection.state in ENDED:
                    detail = connection.lease.detail if connection.lease is not None else ""
                    raise ConsoleError(f"the account '{account}' is {connection.state}: {detail}")
                if clock() - began > wait_seconds:
                    raise _late(account, connection.state, taken=not withdraw(table, account, asked))
                progress.around(sleep)(POLL_SECONDS)
    except KeyboardInterrupt:
        withdraw(table, account, asked)
        raise Interrupted("stopped; 'tocsin status' shows the state") from None
    output.say(f"the account '{account}' is {connection.state}")
    output.record({"account": account, "state": connection.state})


def _late(account: str, state: str, *, taken: bool) -> ConsoleError:
    if not taken:
        return ConsoleError(
            f"no connector took the request up; it is withdrawn. The account '{account}' is {state}, see "
            "'tocsin status'"
        )
    return TimedOut(f"the account '{account}' is still {state}, see 'tocsin status'")
