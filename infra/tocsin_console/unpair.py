"""`tocsin unpair`: end the link to the phone.

WhatsApp is told, the keys of the pairing are replaced by fresh ones, and no message leaves until the account
is linked again. Notifications wait meanwhile, until they expire.

The wish ends with the command: what no connector accepted is withdrawn, so that none strikes later, when the
operator has long found another way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tocsin.accounts.operator_requests import Request, read_control, read_request, request, withdraw
from tocsin.accounts.state import AccountState
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.connection import Connection, look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, Interrupted, NotFound, TimedOut
from tocsin_console.output import Output, counted
from tocsin_console.pair import NO_CONNECTOR, PATIENCE_SECONDS, POLL_SECONDS

WITHDRAWN = "the request is withdrawn: nothing is unlinked, now or later"
TAKEN = "the connector has accepted the request and goes on with it; see 'tocsin status'"
BY_PHONE = "To unlink it now: WhatsApp on the phone → Linked devices, and log the device out"


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

    Raises NotFound if nothing is linked, ConsoleError if no connector holds the account, TimedOut,
    Interrupted. After each of them nobody takes the wish up any more, or the message says that one did.
    """
    table = deployment.keys_table
    connection = look(table, account, clock)
    if connection.lease is None or connection.last_state == AccountState.UNPAIRED:
        raise NotFound(f"the account '{account}' isn't linked")
    confirm(lambda: _loss(deployment, account, connection), yes=yes, output=output)
    sealer = deployment.sealer
    asked = request(
        table, sealer, account, "unpair", int(clock()), os.urandom(12), lasts=max(int(wait_seconds), 1)
    )
    note(deployment, f"asked to unlink the account {account}", clock=clock)
    output.say(f"asking the connector to unlink the account '{account}' …")
    try:
        message = _until_unlinked(deployment, account, asked, wait_seconds, output, sleep, clock)
    except KeyboardInterrupt:
        taken = not withdraw(table, account, asked)
        raise Interrupted(f"stopped; {TAKEN if taken else WITHDRAWN}") from None
    note(deployment, f"unlinked the account {account}", clock=clock)
    hint = f" ({message})" if message else ""
    output.say(f"the account '{account}' is unlinked{hint}; link it again: tocsin pair")
    output.record({"account": account, "state": AccountState.UNPAIRED, "message": message})


def _until_unlinked(
    deployment: Deployment,
    account: str,
    asked: Request,
    wait_seconds: float,
    output: Output,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> str:
    """What the connector says once the account is unlinked. Raises TimedOut, ConsoleError, with the wish
    withdrawn if nobody took it up."""
    table, sealer = deployment.keys_table, deployment.sealer
    began, warned = clock(), False
    with output.progress("waiting for the connector") as progress:
        while True:
            control, connection = read_control(table, account, sealer), look(table, account, clock)
            if control.request is None and AccountState.UNPAIRED in (control.state, connection.state):
                return control.message
            waited = clock() - began
            if waited > PATIENCE_SECONDS and not connection.held and not warned:
                warned = True
                output.say(NO_CONNECTOR)
            if waited > wait_seconds:
                taken = not withdraw(table, account, asked)
                raise _late(account, connection.state, held=connection.held, taken=taken)
            progress.around(sleep)(POLL_SECONDS)


def take_back(deployment: Deployment, account: str, *, output: Output) -> None:
    """Withdraw what another console asked of the account, if no connector took it up. Raises NotFound."""
    asked = read_request(deployment.keys_table, account)
    if asked.what is None or not withdraw(deployment.keys_table, account, asked):
        raise NotFound(f"nothing is asked of the account '{account}' that a connector hasn't taken up")
    note(deployment, f"withdrew a request to {asked.what} the account {account}")
    output.say(f"the request to {asked.what} the account '{account}' is withdrawn")
    output.record({"account": account, "withdrawn": asked.what})


def _loss(deployment: Deployment, account: str, connection: Connection) -> str:
    waiting = sum(1 for _ in deployment.stores.parking.waiting(account))
    label = deployment.names.label(account)
    return (
        f"the account {label}, {connection.state}, will be unlinked from its phone and its keys replaced; "
        f"{counted(waiting, 'waiting notifications')} and all new ones wait for the next link, or expire"
    )


def _late(account: str, state: str, *, held: bool, taken: bool) -> ConsoleError:
    if taken:
        return TimedOut(
            f"WhatsApp has not confirmed it; the account '{account}' is {state}, see 'tocsin status'"
        )
    if not held:
        return ConsoleError(f"no connector serves the account '{account}'; {WITHDRAWN}. {BY_PHONE}")
    return TimedOut(
        f"the connector is still {state} and has not accepted the request; {WITHDRAWN}. Ask again once it is "
        f"logged in. {BY_PHONE}"
    )
