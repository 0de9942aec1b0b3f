"""Caps on the functions' concurrency, for an AWS account that runs few functions at once. Pure.

A queue without a cap takes what is free. In an account with ten concurrent executions, as new ones have, a
burst of receipts then leaves none for sending, and polls that Lambda refuses count as receives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tocsin_console.template_defaults import DEFAULTS

SMALL: Final[Mapping[str, str]] = {
    "SendConcurrency": "2",
    "PlanConcurrency": "2",
    "ReceiveConcurrency": "2",
    "ReceiptsConcurrency": "2",
}
"""Eight of ten: two are left for outcomes and upkeep. Lambda takes no lower cap than 2."""

ENOUGH: Final = 16
"""Concurrent executions with which the template's own caps leave room: four sends and two of each other
queue, and six for what has no cap (`doctor.planned_quotas`)."""


def fitting(executions: int | None, chosen: Mapping[str, str], had: Mapping[str, str]) -> dict[str, str]:
    """The caps to deploy with, beside what somebody chose. `executions`: free in the account, None if that
    can't be seen; `had`: what the stack has. Caps that were set for a small account go when its quota was
    raised."""
    free = {name: value for name, value in SMALL.items() if name not in chosen}
    if executions is None:
        return {}
    if executions < ENOUGH:
        return free
    if any(had.get(name) != value for name, value in SMALL.items()) or free.keys() != SMALL.keys():
        return {}
    return {name: DEFAULTS[name] for name in SMALL}
