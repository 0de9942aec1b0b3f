"""What WhatsApp keeps an account from, until when: one small item for each kind, beside the lease.

Whoever hears of a limit writes it down, connector or function, so that all know it and a restart or another
connector doesn't try again: each attempt against a limit makes it longer. What was heard later counts, by the
time it was heard at; a limit that is over or lifted stays for a while as such, for late news of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tocsin.dynamo.table import ConditionFailed, Table
from tocsin.dynamo.writes import ITEM_ABSENT, AtMost, Item, Put, Value
from tocsin.tables.keys import LIMIT, limit_key

# Kinds: no chats to people who don't know us (the reach-out lock, 463) · none because this cycle's are used
# up (475) · none for an hour, of our own accord, after several people in a row had to write first · no
# message at all for a while (419, 423, 429) · no login (402).
FIRST_CONTACTS: Final = "first-contacts"
NEW_CHATS: Final = "new-chats"
COLD_REFUSALS: Final = "cold-refusals"
MESSAGES: Final = "messages"
LOGIN: Final = "login"
HOLDING_FIRST_CONTACTS: Final = (FIRST_CONTACTS, NEW_CHATS, COLD_REFUSALS)
"""Each by itself keeps the account from people who don't know it. The end of one isn't another's."""

FEW_NEW_CHATS: Final = "few-new-chats"
"""Of our own accord, after WhatsApp's second warning: the last new chats are kept for what is urgent."""

KINDS: Final = (LOGIN, MESSAGES, *HOLDING_FIRST_CONTACTS, FEW_NEW_CHATS)

# Causes of those that hold first contacts. Before, it was the ack's code, or "notification".
REACHOUT_LOCK: Final = "reachout-lock"
NEW_CHAT_QUOTA: Final = "new-chat-quota"

# How long news that come late may still be on their way: the stanza queue keeps them for so many days.
_KEPT_SECONDS: Final = 14 * 86400

# In 2106. An end beyond it can't be shown; records of before ends were bounded may have one.
_LAST_SECOND: Final = 2**32 - 1


class Limit(NamedTuple):
    """`cause`: the server's code, or what told of it. `until`, `heard_at`: Unix seconds. `guessed`: nobody
    said until when. `type`: WhatsApp's own word for it, as it came; empty if it gave none."""

    kind: str
    cause: str
    until: int
    heard_at: int
    guessed: bool = False
    type: str = ""


def read_limits(table: Table, account: str, now: float) -> dict[str, Limit]:
    """The limits that hold now, by kind."""
    return {
        limit.kind: limit
        for item in table.query(limit_key(account, "")[0], LIMIT)
        if (limit := _limit(item)).until > now
    }


def read_limit(table: Table, account: str, kind: str, now: float) -> Limit | None:
    """One of them, if it holds now."""
    item = table.get(limit_key(account, kind))
    limit = _limit(item) if item is not None else None
    return limit if limit is not None and limit.until > now else None


def first_contacts_limit(table: Table, account: str, now: float, *, urgent: bool = False) -> Limit | None:
    """What keeps the account from (`urgent`) first contacts now: the one that ends last. `None`: nothing."""
    return strictest_for_first_contacts(read_limits(table, account, now), urgent=urgent)


def strictest_for_first_contacts(active: Mapping[str, Limit], *, urgent: bool = False) -> Limit | None:
    """Of the limits that hold (by kind), the one that keeps (`urgent`) first contacts back for longest."""
    kinds = HOLDING_FIRST_CONTACTS if urgent else (*HOLDING_FIRST_CONTACTS, FEW_NEW_CHATS)
    holding = [limit for kind, limit in active.items() if kind in kinds]
    return max(holding, key=lambda limit: limit.until, default=None)


def note_limit(table: Table, account: str, limit: Limit, *, guessed: bool = False) -> Limit:
    """Write down what was heard; what counts then. `guessed`: the server told of the limit but not of its
    end, so an end that was heard before stands if it is later. `until` 0: it is lifted."""
    key, current = limit_key(account, limit.kind), None
    limit = limit._replace(guessed=guessed)
    for _ in range(4):
        item = table.get(key)
        current = _limit(item) if item is not None else None
        if current is not None and (
            current.heard_at > limit.heard_at or (guessed and current.until >= limit.until)
        ):
            return current
        # Heard in the same second by two: either will do.
        unchanged = ITEM_ABSENT if current is None else AtMost("heard_at", limit.heard_at)
        try:
            table.put(Put(key, _attributes(limit), when=(unchanged,)))
        except ConditionFailed:
            continue
        return limit
    return current or limit


def _attributes(limit: Limit) -> dict[str, Value]:
    return {
        "cause": limit.cause,
        "until": limit.until,
        "heard_at": limit.heard_at,
        "expire_at": max(limit.until, limit.heard_at) + _KEPT_SECONDS,
        **({"guessed": True} if limit.guessed else {}),
        **({"type": limit.type} if limit.type else {}),
    }


def _limit(item: Item) -> Limit:
    def number(name: str) -> int:
        value = item.get(name)
        return min(value, _LAST_SECOND) if isinstance(value, int) else 0

    return Limit(
        str(item["sk"])[len(LIMIT) :],
        str(item.get("cause", "")),
        number("until"),
        number("heard_at"),
        item.get("guessed") is True,
        str(item.get("type", "")),
    )
