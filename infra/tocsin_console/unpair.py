"""`tocsin unpair`: end the link to the phone.

WhatsApp is told, the keys of the pairing are replaced by fresh ones, and no message leaves until the account
is linked again. Notifications wait meanwhile, until they expire.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tocsin.accounts.operator_requests import read_control, request
from tocsin.accounts.state import AccountState
from tocsin_console.confirm import confirm
from tocsin_console.connection import Connection, look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, TimedOut
from tocsin_console.output import Output
from tocsin_console.pair import NO_CONNECTOR, PATIENCE_SECONDS, POLL_SECONDS


def unpair(
    deployment: Deployment,
    account: str,
    *,
    wait_seconds: float,
    output: Output,
    yes: bool,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """Ask the connector to unlink the account, and wait until it did. `yes`: do not ask first.

    Raises NotFound if nothing is linked, ConsoleError if no connector holds the account, TimedOut.
    """
    table = deployment.keys_table
    connection = look(table, account, clock)
    if connection.lease is None or connection.last_state == AccountState.UNPAIRED:
        raise NotFound(f"the account '{account}' isn't linked")
    confirm(lambda: _loss(deployment, account, connection), yes=yes, output=output)
    sealer = deployment.sealer
    request(table, sealer, account, "unpair", int(clock()), os.urandom(12))
    output.say(f"asking the connector to unlink the account '{account}' …")
    began, warned = clock(), False
    while True:
        control, connection = read_control(table, account, sealer), look(table, account, clock)
        if control.request is None and AccountState.UNPAIRED in (control.state, connection.state):
            break
        waited = clock() - began
        if waited > PATIENCE_SECONDS and not connection.held and not warned:
            warned = True
            output.say(NO_CONNECTOR)
        if waited > wait_seconds:
            raise _late(account, connection.state, held=connection.held, taken=control.request is None)
        sleep(POLL_SECONDS)
    hint = f" ({control.message})" if control.message else ""
    output.say(f"the account '{account}' is unlinked{hint}; link it again: tocsin pair")
    output.record({"account": account, "state": AccountState.UNPAIRED, "message": control.message})


def _loss(deployment: Deployment, account: str, connection: Connection) -> str:
    waiting = sum(1 for _ in deployment.stores.parking.waiting(account))
    return (
        f"the account '{account}' ({connection.state}) will be unlinked from its phone and its keys "
        f"replaced; {waiting} waiting notifications and all new ones wait for the next link, or expire"
    )


def _late(account: str, state: str, *, held: bool, taken: bool) -> ConsoleError:
    if not held:
        return ConsoleError(
            f"no connector serves the account '{account}'. One that starts within 15 minutes unlinks it. "
            "To unlink it now: WhatsApp on the phone → Linked devices, and log the device out"
        )
    if not taken:
        return TimedOut(
            f"the connector is still {state} and has not accepted the request; it will once it is logged in. "
            "To unlink it now: WhatsApp on the phone → Linked devices, and log the device out"
        )
    return TimedOut(f"WhatsApp has not confirmed it; the account '{account}' is {state}, see 'tocsin status'")
