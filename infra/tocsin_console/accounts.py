"""`tocsin accounts`: list the WhatsApp accounts of a running stack, add one, remove one.

The connectors read the list every few seconds; nothing is deployed. The accounts that the stack's parameter
names can't be removed here; once they are in use, they are served after it names them no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tocsin.accounts.served_accounts import add_account, kept_accounts, remove_account
from tocsin.accounts.state import UNLINKED
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.connection import look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, counted


def list_accounts(deployment: Deployment, output: Output, *, clock: Callable[[], float] = time.time) -> None:
    """Print each account, its connector, and whether the parameter names it, it was added, or the parameter
    named it once and it is still in use."""
    of_parameter, kept = deployment.named_accounts, kept_accounts(deployment.outside_table)
    rows = []
    for account in deployment.accounts:
        connection = look(deployment.keys_table, account, clock)
        holder = connection.lease.connector if connection.lease is not None else None
        source = "parameter" if account in of_parameter else "kept" if account in kept else "added"
        named = deployment.names.of(account)
        rows.append((named.label, connection.state, source, holder or "-"))
        told = {"state": connection.state, "from": source, "connector": holder}
        output.record({"account": account, **named.to_json(), **told})
    output.table(["ACCOUNT", "STATE", "FROM", "CONNECTOR"], rows)
    if left := sorted(kept - set(of_parameter)):
        output.say(
            f"The stack's parameter Accounts names {', '.join(left)} no more. What was in use goes on until "
            "you end it: tocsin unpair, then tocsin accounts remove."
        )


def add(
    deployment: Deployment, account: str, output: Output, *, clock: Callable[[], float] = time.time
) -> None:
    """Add an account. Raises Usage for an invalid name, ConsoleError if it is there already."""
    if account in deployment.accounts:
        raise ConsoleError(f"the account '{account}' is already served; link it: tocsin pair")
    try:
        add_account(deployment.outside_table, account, int(clock()))
    except ValueError as refusal:
        raise Usage(str(refusal)) from None
    note(deployment, f"added the account {account}", clock=clock)
    output.say(
        f"the account '{account}' will be served within seconds; link it: tocsin pair --account {account}"
    )
    output.record({"account": account, "added": True})


def remove(deployment: Deployment, account: str, output: Output, *, yes: bool) -> None:
    """Remove an account. Raises NotFound, and ConsoleError if it is linked or the stack's parameter names it.
    `yes`: do not ask first."""
    if account in deployment.named_accounts:
        raise ConsoleError(
            f"the account '{account}' is named by the stack's parameter Accounts: remove it there, deploy, "
            "and run this again"
        )
    if account not in deployment.accounts:
        raise NotFound(f"this stack serves no account '{account}'")
    # An account that is not linked can be removed even if the lease of its connector has run out.
    state = look(deployment.keys_table, account).last_state
    if state not in UNLINKED:
        raise ConsoleError(
            f"the account '{account}' is {state}: unpair it first: 'tocsin unpair --account {account}'"
        )
    confirm(lambda: _loss(deployment, account), yes=yes, output=output)
    remove_account(deployment.outside_table, account)
    note(deployment, f"removed the account {account}")
    output.say(f"the account '{account}' is no longer served; its waiting notifications will expire")
    output.record({"account": account, "removed": True})


def _loss(deployment: Deployment, account: str) -> str:
    waiting = sum(1 for _ in deployment.stores.parking.waiting(account))
    label = deployment.names.label(account)
    expire = counted(waiting, "waiting notifications")
    return f"the account {label} will no longer be served, and {expire} will expire"
