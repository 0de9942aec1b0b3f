"""The high-water mark: how a keys table that was set back is noticed.

A table can't know that a backup was restored over it, and what it holds was all valid once. So the account's
item carries a mark that upkeep counts up each hour, and what it reached is then written into the
notifications table. The keys table comes first, so it is never behind, unless it was set back.

    read the high-water mark ─▶ read the account: behind? refuse ─▶ count up there ─▶ write the mark

A backup made after the last mark and restored within the hour goes unnoticed; so does one of both tables. An
account that was paired anew has another identity, of which the high-water mark says nothing.
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import NamedTuple

from tocsin.dynamo.table import ConditionFailed, Table
from tocsin.dynamo.writes import Item, Put, as_read
from tocsin.keys.account import Credentials, count_mark, read_credentials
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import KeysBehind
from tocsin.tables.notifications import high_water_mark_key


class HighWaterMark(NamedTuple):
    """What an account had reached. `identity`: a name for its identity key, for both tables may be read by
    different people."""

    identity: str
    incarnation: int
    mark: int


def read_high_water_mark(notifications_table: Table, account: str) -> HighWaterMark | None:
    """The mark as it was last written, or None. By a query, which is all that the connector may do there."""
    return _high_water_mark(_item(notifications_table, account))


def is_behind(credentials: Credentials, reached_before: HighWaterMark | None) -> bool:
    """Whether the account had got further than its credentials say. The mark must have been read first."""
    return (
        reached_before is not None
        and reached_before.identity == identity_name(credentials)
        and (credentials.incarnation < reached_before.incarnation or credentials.mark < reached_before.mark)
    )


def reached(credentials: Credentials, reached_before: HighWaterMark | None) -> tuple[int, int]:
    """Incarnation and mark, whatever a backup has made of them."""
    if reached_before is None:
        return credentials.incarnation, credentials.mark
    same = reached_before.identity == identity_name(credentials)
    mark = max(credentials.mark, reached_before.mark) if same else credentials.mark
    return max(credentials.incarnation, reached_before.incarnation), mark


def record(context: KeyContext, notifications_table: Table) -> HighWaterMark:
    """Count the mark up and write it into the notifications table.

    Raises KeysBehind, NoAccount, DamagedRecord.
    """
    found = _item(notifications_table, context.account)
    credentials = read_credentials(context)
    if is_behind(credentials, _high_water_mark(found)):
        raise KeysBehind(context.account)
    mark = count_mark(context, credentials.incarnation)
    now = HighWaterMark(identity_name(credentials), credentials.incarnation, mark)
    as_found = (as_read("identity", found), as_read("mark", found))
    put = Put(high_water_mark_key(context.account), now._asdict(), when=as_found)
    # Somebody else may have done it at the same time; either mark will do.
    with contextlib.suppress(ConditionFailed):
        context.patiently(lambda: notifications_table.put(put))
    return now


def identity_name(credentials: Credentials) -> str:
    """16 hex digits that tell one identity key from another."""
    return sha256(b"identity" + credentials.identity.public).hexdigest()[:16]


def _item(notifications_table: Table, account: str) -> Item | None:
    pk, sk = high_water_mark_key(account)
    return next(iter(notifications_table.query(pk, sk)), None)


def _high_water_mark(item: Item | None) -> HighWaterMark | None:
    if item is None:
        return None
    identity, incarnation, mark = item.get("identity"), item.get("incarnation"), item.get("mark")
    if isinstance(identity, str) and isinstance(incarnation, int) and isinstance(mark, int):
        return HighWaterMark(identity, incarnation, mark)
    return None
