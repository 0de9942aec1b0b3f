"""Counts for pictures: what the outcomes of a stream's batch add to the hours they fell in. No I/O.

A Lambda that reads a stream in windows gets back, with each batch of a window, what it answered to the one
before. So counts go round through its answers, as JSON, and are written once at the end of a window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tocsin.notify.notification import IDENTITY_CHANGED, OUTCOMES, State
from tocsin.notify.store.hours import LAST_RECEIPT, MARKS, RECEIPTS, took_class

Tally = Mapping[str, Mapping[str, int]]
"""`ACCOUNT HOUR` (ms) → name → how many."""

_MS_PER_HOUR = 3_600_000
_FAILED = OUTCOMES[State.FAILED]


def tally(told: Iterable[tuple[str, Mapping[str, Any], int, float | None]]) -> dict[str, Counter[str]]:
    """Count outcomes: the type of the event, its detail, its moment (ms), how long a delivery took."""
    counts: dict[str, Counter[str]] = {}
    for detail_type, detail, at, seconds in told:
        name = detail_type.removeprefix("Notification")
        if name == IDENTITY_CHANGED:
            continue
        hour = counts.setdefault(f"{detail.get('account', '-')} {at - at % _MS_PER_HOUR}", Counter())
        hour[name] += 1
        if name in RECEIPTS:
            hour[LAST_RECEIPT] = max(hour[LAST_RECEIPT], at)
        if name == _FAILED:
            hour[f"dead#{detail.get('reason', 'unknown')}"] += 1
        if seconds is not None:
            hour[took_class(seconds)] += 1
    return counts


def merged(before: object, counts: Tally) -> dict[str, dict[str, int]]:
    """Both together. `before`: what an earlier answer said; nonsense in it is left out."""
    both: dict[str, Counter[str]] = {hour: Counter(names) for hour, names in counts.items()}
    for hour, names in before.items() if isinstance(before, Mapping) else ():
        if isinstance(names, Mapping):
            known = {str(name): count for name, count in names.items() if isinstance(count, int)}
            merge = both.setdefault(str(hour), Counter())
            marks = {name: max(known.pop(name), merge[name]) for name in MARKS if name in known}
            merge.update(known)
            merge.update({name: at - merge[name] for name, at in marks.items()})
    return {hour: dict(names) for hour, names in both.items()}


def hours_in(counts: Tally) -> Iterator[tuple[str, int, Mapping[str, int]]]:
    """Account, hour (ms) and counts of each. What has no such form is left out."""
    for place, names in counts.items():
        account, _, began = place.rpartition(" ")
        if account and began.isdecimal():
            yield account, int(began), names
