"""`tocsin waiting`: what waits and who is in front; let one go, or end it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tocsin.notify.waiting import MAX_ROWS, NO_SUCH, Done, Waiting, WaitingList
from tocsin_console import masking
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, counted, json_moment, moment

DEFAULT_SHOWN = 200
HEADS = (
    *("ACCOUNT", "NOTIFICATION", "RECIPIENT", "WAITS FOR"),
    *("TRIED AGAIN", "GIVEN UP", "IN FRONT", "BEHIND"),
)


def list_waiting(
    deployment: Deployment,
    accounts: Sequence[str],
    output: Output,
    *,
    most: int = DEFAULT_SHOWN,
    heads: bool = False,
    clock: Callable[[], float] = time.time,
) -> None:
    """Print what waits, oldest first. `heads`: only those at the head of their line."""
    found, cut = _found(WaitingList(deployment.stores, clock=clock), accounts, heads=heads)
    names = deployment.names.all(one.row.account for one in found[:most])
    for one in found[:most]:
        output.record(to_json(one) | names[one.row.account].about())
    if not found:
        output.say("nothing waits")
        return
    # The account's column only where there are several.
    first = 0 if len(accounts) > 1 else 1
    rows = [(names[one.row.account].label, *_row(one)) for one in found[:most]]
    output.table(HEADS[first:], [row[first:] for row in rows])
    if cut or len(found) > most:
        output.say(f"… {'more than ' if cut else ''}{len(found)} in all; --most N shows more")


def _found(waiting_list: WaitingList, accounts: Sequence[str], *, heads: bool) -> tuple[list[Waiting], bool]:
    """What waits, and whether there is more than was read through."""
    cut = False
    found: list[Waiting] = []
    for account in accounts:
        of_account = waiting_list.of(account, most=MAX_ROWS + 1)
        cut = cut or len(of_account) > MAX_ROWS
        found += [one for one in of_account[:MAX_ROWS] if one.is_head or not heads]
    return found, cut


def _row(one: Waiting) -> tuple[object, ...]:
    return (
        one.row.notification,
        masking.phone(one.row.recipient),
        one.row.cause,
        moment(one.row.due_at) if one.row.due_at else "when it ends",
        moment(one.given_up_at),
        one.in_front or "-",
        one.behind or "-",
    )


def to_json(one: Waiting) -> dict[str, Any]:
    return {
        "notification": one.row.notification,
        "account": one.row.account,
        "audience": one.row.audience,
        "recipient": masking.phone(one.row.recipient),
        "cause": one.row.cause,
        "parked_at": json_moment(one.row.parked_at),
        "due_at": json_moment(one.row.due_at),
        "given_up_at": json_moment(one.given_up_at),
        "in_front": one.in_front,
        "behind": one.behind,
        "held_by_account": one.is_held_by_account,
    }


def release(deployment: Deployment, ids: Sequence[str], output: Output) -> int:
    """Let them go within a minute. Returns how many. Raises ConsoleError if none could be, NotFound if there
    are no such."""
    waiting_list = WaitingList(deployment.stores)
    return _tell(deployment, [waiting_list.release(one) for one in _ids(ids)], output)


def cancel(deployment: Deployment, ids: Sequence[str], output: Output, *, yes: bool) -> int:
    """End them without a dead letter. Returns how many. Raises ConsoleError if none could be, NotFound
    if there are no such, Usage if nobody can be asked."""
    chosen = _ids(ids)
    confirm(
        lambda: f"{counted(len(chosen), 'waiting notifications')} will never be sent", yes=yes, output=output
    )
    waiting_list = WaitingList(deployment.stores)
    return _tell(deployment, [waiting_list.cancel(one) for one in chosen], output)


def _ids(ids: Sequence[str]) -> list[str]:
    chosen = [one.strip().lower() for one in ids]
    for one in chosen:
        if len(one) != 18 or not all(digit in "0123456789abcdef" for digit in one):
            raise Usage("give the ids of notifications: 18 hex digits, as 'tocsin waiting list' shows them")
    return list(dict.fromkeys(chosen))


def _tell(deployment: Deployment, done: Sequence[Done], output: Output) -> int:
    for result, count in Counter(one.result for one in done if one.result != "kept").items():
        note(deployment, f"{result} waiting notifications", count=count)
    for one in done:
        output.record({"notification": one.notification, "result": one.result, "why": one.why})
        output.say(f"{one.notification}: {one.result}" + (f": {one.why}" if one.why else ""))
    if all(one.why == NO_SUCH for one in done):
        raise NotFound("nothing was done: 'tocsin waiting list' shows what waits")
    if all(one.result == "kept" for one in done):
        raise ConsoleError("nothing was done")
    if any(one.result == "released" for one in done):
        output.say("what is released goes with the next sweep, within a minute")
    return sum(one.result != "kept" for one in done)
