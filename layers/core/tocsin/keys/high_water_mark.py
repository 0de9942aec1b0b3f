"""The generation mark: how a keys table that was set back is noticed.

A table can't know that a backup was restored over it, and what it holds was all valid once. So the account's
item carries a mark that upkeep counts up each hour, and what it reached is then written down outside, in the
notifications table: the witness. Inside comes first, so the inside is never behind, unless it was set back.

    read the witness ─▶ read the account: behind? refuse ─▶ count the mark up ─▶ write the witness

A backup made after the last mark and restored within the hour goes unnoticed; so does one of both tables. An
account that was paired anew has another identity, of which the witness says nothing.
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
from tocsin.tables.keys import witness_key


class HighWaterMark(NamedTuple):
    """What an account had reached. `identity`: a name for its identity key, for both tables may be read by
    different people."""

    identity: str
    incarnation: int
    mark: int


def read_witness(outside: Table, account: str) -> HighWaterMark | None:
    """What was written down, or None. `outside`: the notifications table. By a query, which is all that the
    connector may do there."""
    return _witness(_item(outside, account))


def is_behind(credentials: Credentials, witness: HighWaterMark | None) -> bool:
    """Whether the account had got further than its credentials say. The witness must have been read first."""
    return (
        witness is not None
        and witness.identity == identity_name(credentials)
        and (credentials.incarnation < witness.incarnation or credentials.mark < witness.mark)
    )


def reached(credentials: Credentials, witness: HighWaterMark | None) -> tuple[int, int]:
    """Incarnation and mark, whatever a backup has made of them."""
    if witness is None:
        return credentials.incarnation, credentials.mark
    same = witness.identity == identity_name(credentials)
    mark = max(credentials.mark, witness.mark) if same else credentials.mark
    return max(credentials.incarnation, witness.incarnation), mark


def record(context: KeyContext, outside: Table) -> HighWaterMark:
    """Count the mark up and write it down outside. Raises KeysBehind, NoAccount, DamagedRecord."""
    found = _item(outside, context.account)
    credentials = read_credentials(context)
    if is_behind(credentials, _witness(found)):
        raise KeysBehind(context.account)
    mark = count_mark(context, credentials.incarnation)
    witness = HighWaterMark(identity_name(credentials), credentials.incarnation, mark)
    as_found = (as_read("identity", found), as_read("mark", found))
    put = Put(witness_key(context.account), witness._asdict(), when=as_found)
    # Somebody else may have done it at the same time; either mark will do.
    with contextlib.suppress(ConditionFailed):
        context.patiently(lambda: outside.put(put))
    return witness


def identity_name(credentials: Credentials) -> str:
    """16 hex digits that tell one identity key from another."""
    return sha256(b"identity" + credentials.identity.public).hexdigest()[:16]


def _item(outside: Table, account: str) -> Item | None:
    pk, sk = witness_key(account)
    return next(iter(outside.query(pk, sk)), None)


def _witness(item: Item | None) -> HighWaterMark | None:
    if item is None:
        return None
    identity, incarnation, mark = item.get("identity"), item.get("incarnation"), item.get("mark")
    if isinstance(identity, str) and isinstance(incarnation, int) and isinstance(mark, int):
        return HighWaterMark(identity, incarnation, mark)
    return None
