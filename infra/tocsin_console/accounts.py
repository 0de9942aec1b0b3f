"""`tocsin accounts`: have a running stack serve one more WhatsApp account, or one less.

The connectors look every few seconds; nothing is deployed. Accounts that the stack's parameter names stay
with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tocsin.accounts.served_accounts import add_account, remove_account
from tocsin.accounts.state import UNLINKED
from tocsin_console.confirm import confirm
from tocsin_console.connection import look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output


def list_accounts(deployment: Deployment, output: Output, *, clock: Callable[[], float] = time.time) -> None:
    """Print who is served, by whom, and where the name comes from."""
    named = deployment.named_accounts
    rows = []
    for account in deployment.accounts:
        connection = look(deployment.keys_table, account, clock)
        holder = connection.lease.connector if connection.lease is not None else None
        source = "parameter" if account in named else "added"
        rows.append((account, connection.state, source, holder or "-"))
        output.record({"account": account, "state": connection.state, "from": source, "connector": holder})
    output.table(["ACCOUNT", "STATE", "FROM", "CONNECTOR"], rows)


def add(
    deployment: Deployment, account: str, output: Output, *, clock: Callable[[], float] = time.time
) -> None:
    """Raises Usage for a name that can't be one, ConsoleError for one that is there."""
    if account in deployment.accounts:
        raise ConsoleError(f"the account '{account}' is served already; link it: tocsin pair")
    try:
        add_account(deployment.outside_table, account, int(clock()))
    except ValueError as refusal:
        raise Usage(str(refusal)) from None
    output.say(f"the account '{account}' is served within seconds; link it: tocsin pair --account {account}")
    output.record({"account": account, "added": True})


def remove(deployment: Deployment, account: str, output: Output, *, yes: bool) -> None:
    """Raises NotFound, and ConsoleError while it is linked or named by the stack itself. `yes`: without a
    question."""
    if account in deployment.named_accounts:
        raise ConsoleError(
            f"the account '{account}' is named by the stack's parameter Accounts: take it out there, deploy"
        )
    if account not in deployment.accounts:
        raise NotFound(f"this stack serves no account '{account}'")
    # Whoever let the lease of an account run out that isn't linked leaves no link behind.
    state = look(deployment.keys_table, account).last_state
    if state not in UNLINKED:
        raise ConsoleError(
            f"the account '{account}' is {state}: first end its link, 'tocsin unpair --account {account}'"
        )
    confirm(lambda: _loss(deployment, account), yes=yes, output=output)
    remove_account(deployment.outside_table, account)
    output.say(f"the account '{account}' is served no more; what waits for it expires")
    output.record({"account": account, "removed": True})


def _loss(deployment: Deployment, account: str) -> str:
    waiting = sum(1 for _ in deployment.stores.parking.waiting(account))
    return f"the account '{account}' will be served no more, and {waiting} waiting notifications will expire"
