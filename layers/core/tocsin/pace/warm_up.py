"""A new account writes little at first, and more with its age and with the answers it gets.

part of the budget   percent_at_first ──────▶ 100 %
by                   days in service, each counted up to twice where people answer
"""

from __future__ import annotations

from tocsin.pace.rules import Rules

DAY_SECONDS = 86_400
ANSWERED_WELL = 0.3
"""Answers for each message at which a day counts twice. Somebody who answers knows us."""


def grown(rules: Rules, age_seconds: float | None, sent: int, answered: int) -> float:
    """Return the part of its budgets that an account has, in (0, 1]. `age_seconds`: since it was linked, None
    where it was in service before anybody counted; `sent`, `answered`: within the last days."""
    if age_seconds is None or rules.warm_up_days == 0:
        return 1.0
    rate = min(answered / sent / ANSWERED_WELL, 1.0) if sent else 0.0
    days = max(age_seconds, 0) / DAY_SECONDS * (1 + rate)
    first = rules.percent_at_first / 100
    return first + (1 - first) * min(days / rules.warm_up_days, 1.0)


def part_of(limit: int, part: float) -> int:
    """Return that part of a budget, one at least."""
    return max(int(limit * part), 1)
