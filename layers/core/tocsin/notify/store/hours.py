"""What happened in each hour: counts for each account, written by who tells outcomes to the world.

One item for an hour and account. Counts are added up over a few minutes before they are written, so it
costs a
few writes an hour, however many notifications there are. They are for pictures, not for bills: an outcome
that a
stream tells twice counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tocsin.dynamo.writes import Item, Update
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import hour_key, hours_pk

Counts = Mapping[str, int]
"""Name → how many. Names: an outcome ("Sent" …), `dead#REASON`, `took#B` (see `TOOK_SECONDS`); or one of
`MARKS`, whose value is a moment."""

TOOK_SECONDS: Final = (1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 900, 3600, 21600, 86400)
"""Upper ends of the classes of times to deliver, in seconds. What took longer is in class
`len(TOOK_SECONDS)`."""

LAST_RECEIPT: Final = "last#receipt"
"""Under this name stands a moment (ms), not a count."""

MARKS: Final = frozenset({LAST_RECEIPT})
"""Names whose values aren't added up: the latest counts."""

RECEIPTS: Final = ("Delivered", "Read")

_MS_PER_HOUR = 3_600_000
_LOOKED_AT = 200
_MAX_NAMES = 60
"""Of one write. Reasons come from our own code, and there are fewer; an item stays far below 400 KB."""


@dataclass(frozen=True)
class Hour:
    """The counts of one hour. `began_at`: ms. `last_receipt`: when in it the last receipt of a delivery or a
    reading came (ms), as far as it was written down."""

    began_at: int
    counts: Counts
    last_receipt: int | None = None

    def of(self, name: str) -> int:
        return self.counts.get(name, 0)

    @property
    def dead(self) -> dict[str, int]:
        """Dead letters by reason."""
        return {name[5:]: count for name, count in self.counts.items() if name.startswith("dead#")}


class Hours:
    """The items that hold the counts of an hour."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def add(self, account: str, began_at: int, counts: Counts) -> None:
        """Add counts to an hour. `began_at`: any moment (ms) in it."""
        began = began_at - began_at % _MS_PER_HOUR
        kept = {name: count for name, count in sorted(counts.items())[:_MAX_NAMES] if count}
        if kept:
            expire_at = self._table.expire_at(began)
            # Of two writers at once the earlier may stay: it is for people, and off by minutes at most.
            marks = {name: kept.pop(name) for name in MARKS if name in kept}
            marks["expire_at"] = expire_at
            self._table.update(Update(hour_key(account, began), set=marks, add=kept))

    def last_receipt(self, account: str) -> int | None:
        """When the last receipt came (ms), in the last 200 hours that have anything. Of hours from before
        moments were written down, when the hour began."""
        for item in islice(self._table.latest(hours_pk(account), "~"), _LOOKED_AT):
            hour = _read(item)
            if hour is None:
                continue
            if hour.last_receipt is not None:
                return hour.last_receipt
            if any(hour.of(name) for name in RECEIPTS):
                return hour.began_at
        return None

    def since(self, account: str, moment: int) -> Iterator[Hour]:
        """The hours that have anything and didn't end before `moment` (ms), oldest first. A damaged one is
        left out."""
        for item in self._table.walk(hours_pk(account)):
            hour = _read(item)
            if hour is not None and hour.began_at + _MS_PER_HOUR > moment:
                yield hour


def took_class(seconds: float) -> str:
    """The name under which a delivery that took so long is counted."""
    place = next((at for at, most in enumerate(TOOK_SECONDS) if seconds <= most), len(TOOK_SECONDS))
    return f"took#{place}"


def percentile(hours: Iterable[Hour], share: float) -> float | None:
    """The time to deliver, in seconds, that `share` of the deliveries didn't exceed: the upper end of its
    class.
    None if there were none."""
    classes = [0] * (len(TOOK_SECONDS) + 1)
    for hour in hours:
        for place in range(len(classes)):
            classes[place] += hour.of(f"took#{place}")
    wanted, seen = sum(classes) * share, 0
    for place, count in enumerate(classes):
        seen += count
        if count and seen >= wanted:
            return float(TOOK_SECONDS[min(place, len(TOOK_SECONDS) - 1)])
    return None


def _read(item: Item) -> Hour | None:
    began = str(item.get("sk", ""))
    if not began.isdecimal():
        return None
    counts = {
        name: value
        for name, value in item.items()
        if name not in ("pk", "sk", "expire_at", *MARKS) and isinstance(value, int)
    }
    began_at, last = int(began) * _MS_PER_HOUR, item.get(LAST_RECEIPT)
    # Earlier versions add it up as if it were a count.
    is_within = isinstance(last, int) and began_at <= last < began_at + _MS_PER_HOUR
    return Hour(began_at, counts, last if is_within else None)  # type: ignore[arg-type]
