"""How many new chats of its cycle an account has used, as WhatsApp told last: an item beside the lease."""

from __future__ import annotations

from typing import Final, NamedTuple

from tocsin.dynamo.table import Table
from tocsin.dynamo.writes import Item, Put, Value
from tocsin.tables.keys import quota_key

UNCAPPED: Final = "NONE"
FIRST_WARNING: Final = "FIRST_WARNING"
SECOND_WARNING: Final = "SECOND_WARNING"
CAPPED: Final = "CAPPED"
WARNINGS: Final = (FIRST_WARNING, SECOND_WARNING, CAPPED)
OPEN: Final = (UNCAPPED, FIRST_WARNING, SECOND_WARNING)
"""New chats may be had. It is an open set: of a word that isn't known nobody can say that."""

_KEPT_SECONDS: Final = 40 * 86400
"""A cycle is a month."""


class Quota(NamedTuple):
    """`total`: `None` where there is no cap, or none was told. `cycle_end`, `heard_at`: Unix seconds.
    `status`: NONE, one of `WARNINGS`, or another word of WhatsApp's. `extension`, `verified`: its words on
    what the owner may do about it on the phone."""

    used: int | None
    total: int | None
    cycle_end: int | None
    status: str
    heard_at: int
    extension: str = ""
    verified: str = ""

    def is_warning(self, now: float) -> bool:
        """Whether an operator should know of it now. A cap is over with its cycle."""
        return self.status in WARNINGS and (self.cycle_end is None or self.cycle_end > now)


def read_quota(table: Table, account: str) -> Quota | None:
    """`None` if WhatsApp never told of one."""
    item = table.get(quota_key(account))
    return _quota(item) if item is not None else None


def note_quota(table: Table, account: str, quota: Quota) -> Quota | None:
    """Write it down; what stood there before. Only the account's connector writes it."""
    before = read_quota(table, account)
    known: dict[str, Value] = {
        name: value for name, value in quota._asdict().items() if value is not None and value != ""
    }
    known["expire_at"] = max(quota.cycle_end or 0, quota.heard_at) + _KEPT_SECONDS
    table.put(Put(quota_key(account), known))
    return before


def _quota(item: Item) -> Quota:
    def number(name: str) -> int | None:
        value = item.get(name)
        return value if isinstance(value, int) else None

    return Quota(
        number("used"),
        number("total"),
        number("cycle_end"),
        str(item.get("status", "")),
        number("heard_at") or 0,
        str(item.get("extension", "")),
        str(item.get("verified", "")),
    )
