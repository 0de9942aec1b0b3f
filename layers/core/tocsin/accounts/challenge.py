"""WhatsApp asked the account's owner for a security check: when, kept while somebody may still act on it."""

from __future__ import annotations

from typing import Final, NamedTuple

from tocsin.dynamo.table import Table
from tocsin.dynamo.writes import Put
from tocsin.tables.keys import challenge_key

KEPT_SECONDS: Final = 3 * 86400
"""Nobody tells when it was answered."""


class Challenge(NamedTuple):
    """`type`: WhatsApp's word for it, empty if it gave none. `heard_at`: Unix seconds."""

    type: str
    heard_at: int


def note_challenge(table: Table, account: str, challenge: Challenge) -> None:
    """Keep it, in place of an earlier one."""
    expire_at = challenge.heard_at + KEPT_SECONDS
    table.put(
        Put(
            challenge_key(account),
            {"type": challenge.type, "heard_at": challenge.heard_at, "expire_at": expire_at},
        )
    )


def read_challenge(table: Table, account: str, now: float) -> Challenge | None:
    """The last one, `None` if there was none lately. `now`: Unix seconds."""
    item = table.get(challenge_key(account))
    heard_at = item.get("heard_at") if item is not None else None
    if item is None or not isinstance(heard_at, int) or heard_at + KEPT_SECONDS <= now:
        return None
    return Challenge(str(item.get("type", "")), heard_at)
