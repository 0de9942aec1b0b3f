"""`tocsin pause` and `tocsin resume`: the setting `sending`, for all that a scope covers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.pace.rules import PAUSED_VALUE, is_paused
from tocsin.settings import changes
from tocsin.settings.declared import AUDIENCES, SENDING
from tocsin.settings.values import STACK, Scope, Settings
from tocsin_console import settings
from tocsin_console.deployment import Deployment
from tocsin_console.output import Output
from tocsin_console.settings import Change

ON = "on"


def pause(
    deployment: Deployment, scope: Scope, output: Output, *, clock: Callable[[], float] = time.time
) -> None:
    """Stop sending for a scope, whatever was said for a part of it. Raises Usage, ConsoleError."""
    settings.demand_scope(SENDING, scope)
    scoped = _scoped(deployment)
    settings.change(
        deployment,
        [*_without_parts(scoped, scope), *_paused(scoped, scope)],
        output,
        what=f"sending paused{words(scope)}",
        heeded="connectors send nothing after a second; what is to be sent waits: tocsin resume",
        clock=clock,
    )


def resume(
    deployment: Deployment, scope: Scope, output: Output, *, clock: Callable[[], float] = time.time
) -> None:
    """Send again for a scope, and put back what waits. Raises Usage, ConsoleError."""
    settings.demand_scope(SENDING, scope)
    scoped = _scoped(deployment)
    wanted = _without_parts(scoped, scope)
    left = Settings(
        {SENDING.name: {str(part): value for part, value in scoped.items() if not covers(scope, part)}}
    )
    # What a wider pause still holds is let go by a word of its own.
    wanted += [
        Change(SENDING.name, ON, part)
        for part in _parts(deployment, scope)
        if is_paused(left, part.account or "", part.audience)
    ]
    settings.change(
        deployment,
        wanted,
        output,
        what=f"sending resumed{words(scope)}",
        heeded="what waits is put back in its order, within a minute",
        clock=clock,
    )
    _put_back(deployment, [scope.account] if scope.account else deployment.accounts)


def sentences(deployment: Deployment, account: str) -> list[str]:
    """What an operator must know of an account of which not everything is sent; empty if all is."""
    current = deployment.settings()
    held = [audience for audience in AUDIENCES if is_paused(current, account, audience)]
    if not held:
        return []
    if len(held) == len(AUDIENCES):
        option = "" if is_paused(current, "", None) else _option(account)
        return [f"sending is paused; all waits in its order: tocsin resume{option}"]
    return [
        f"sending to {audience}s is paused; it waits in its order: "
        f"tocsin resume{'' if is_paused(current, '', audience) else _option(account)} --audience {audience}"
        for audience in held
    ]


def covers(scope: Scope, part: Scope) -> bool:
    """Whether `part` is a part of the scope, or the same."""
    return scope.account in (None, part.account) and scope.audience in (None, part.audience)


def _scoped(deployment: Deployment) -> Mapping[Scope, str]:
    """What is said of sending, for each scope that this version knows."""
    stored = changes.read_current(deployment.outside_table).values.get(SENDING.name, {})
    known = ((Scope.known(text), value) for text, value in stored.items())
    return {scope: str(value) for scope, value in known if scope is not None}


def _without_parts(scoped: Mapping[Scope, str], scope: Scope) -> list[Change]:
    return [Change(SENDING.name, None, part) for part in scoped if covers(scope, part)]


def _paused(scoped: Mapping[Scope, str], scope: Scope) -> list[Change]:
    """The scope itself, and where an account has a value of its own, that account's part of it: an account is
    narrower than an audience."""
    accounts = [part.account for part in scoped] if scope.account is None else []
    own = [Scope(account, scope.audience) for account in dict.fromkeys(accounts) if account is not None]
    return [Change(SENDING.name, PAUSED_VALUE, one) for one in [scope, *(own if scope.audience else [])]]


def _parts(deployment: Deployment, scope: Scope) -> list[Scope]:
    """The scope, or where it names no account and an audience, that audience of each account."""
    if scope == STACK:
        return []
    if scope.account is None:
        return [Scope(account, scope.audience) for account in deployment.accounts]
    return [scope]


def _put_back(deployment: Deployment, accounts: list[str]) -> None:
    """Have upkeep go at once. If it can't be asked, it goes by itself within a minute."""
    function = deployment.outputs.get("MaintainFunctionName")
    for account in accounts if function is not None else ():
        try:
            deployment.client("lambda").invoke(
                FunctionName=function,
                InvocationType="Event",
                Payload=json.dumps({"resume": account}).encode(),
            )
        except (BotoCoreError, ClientError):
            return


def words(scope: Scope) -> str:
    return "" if scope == STACK else f" for {scope}"


def _option(account: str) -> str:
    return f" --account {account}"
