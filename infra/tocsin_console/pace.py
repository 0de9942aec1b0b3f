"""How an account writes, and what that holds back until when: for `tocsin status` and `tocsin doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tocsin.pace.causes import OWN_HOLDS, PAUSED, RELEASED_BY_BUDGET, WORDS
from tocsin.pace.ledger import Ledger
from tocsin.pace.pacer import rooms
from tocsin.pace.rules import Rules, rules_of
from tocsin.pace.warm_up import grown
from tocsin.settings.declared import SANDBOX, SANDBOX_ALLOWS
from tocsin.tables.keys import pace_key
from tocsin.timestamps import from_seconds
from tocsin_console.output import moment

if TYPE_CHECKING:
    from tocsin.notify.store.parking import WaitingRow
    from tocsin_console.deployment import Deployment

NEAR = 0.5
"""From this part of a budget on it is worth a line."""

NAMES = {
    "minute": "messages this minute",
    "hour": "messages this hour",
    "day": "messages in 24 hours",
    "first-hour": "first contacts this hour",
    "first-day": "first contacts in 24 hours",
}


def sentences(deployment: Deployment, account: str, rows: Iterable[WaitingRow], now: float) -> list[str]:
    """What an operator should know: the sandbox, what is held back until when, budgets that are half used,
    and how far a new account has grown. `now`: Unix seconds."""
    settings = deployment.settings()
    said = []
    if settings.value(SANDBOX, account=account):
        allowed = len(settings.value(SANDBOX_ALLOWS, account=account))
        said.append(f"the sandbox is on: it writes to {allowed} named addresses and to nobody else")
    said += [*_held(rows, now)]
    item = deployment.keys_table.get(pace_key(account))
    if item is None:
        return said
    rules, ledger = rules_of(settings, account, None), Ledger.of_item(item)
    said += [*_used(rules, ledger, now), *_growth(rules, ledger, now)]
    return said


def _held(rows: Iterable[WaitingRow], now: float) -> Iterable[str]:
    """Of each cause, how many wait for it and when the first of them goes."""
    causes: dict[str, list[int]] = {}
    for row in rows:
        if row.cause in OWN_HOLDS and row.cause != PAUSED:
            causes.setdefault(row.cause, []).append(row.due_at or 0)
    for cause, due in causes.items():
        first = min(due)
        when = f"from {moment(first)} on" if first > from_seconds(now) else "with the next sweeps"
        if cause in RELEASED_BY_BUDGET:
            when += ", as there is room"
        yield f"{len(due)} wait ({cause}): {WORDS[cause]}; they go {when}"


def _used(rules: Rules, ledger: Ledger, now: float) -> Iterable[str]:
    for room in rooms(ledger, rules, now):
        if room.used >= NEAR * room.limit:
            full = f"; full until {moment(from_seconds(room.free_at))}" if room.free_at > now else ""
            yield f"{room.used} of {room.limit} {NAMES[room.name]}{full}"


def _growth(rules: Rules, ledger: Ledger, now: float) -> Iterable[str]:
    part = grown(rules, ledger.age(now), ledger.week_sent.total(now), ledger.week_answered.total(now))
    if part < 1:
        yield f"it is new: it has {part:.0%} of its budgets so far (warm-up-days {rules.warm_up_days})"
