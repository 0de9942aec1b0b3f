"""One-time prekeys: made before they are uploaded, spent with the session that used them.

Ids come from a counter that is never lowered; a crash leaves a gap of ids and nothing else. A key that goes
out in a retry receipt is never uploaded, and expires when nobody used it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.dynamo.table import TRANSACTION_LIMIT, Conflict
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Delete, Item, Put, Value
from tocsin.keys.account import take_prekey_ids
from tocsin.keys.context import KeyContext
from tocsin.keys.turn import commit
from tocsin.sealing import DamagedRecord
from tocsin.signal.curve import KeyPair, key_pair
from tocsin.tables.keys import prekey_key

# How many the server is given at first, how many more when few are left, and what counts as few.
FIRST_PREKEYS = 812
MORE_PREKEYS = 50
MIN_PREKEYS = 5

RETRY_PREKEY_LIFETIME = 14 * 86400

# Ours, and not a key under an id that came around again.
PREKEY_EXISTS = ITEM_EXISTS


@dataclass(frozen=True, slots=True)
class PreKey:
    """`id`: 1 to 16777214."""

    id: int
    pair: KeyPair
    account: str = ""


def prekeys_to_add(left: int) -> int:
    """Return how many prekeys to make and upload where `left` are left, at the server or with us."""
    if left > MIN_PREKEYS:
        return 0
    return MORE_PREKEYS if left else FIRST_PREKEYS


def new_prekeys(context: KeyContext, count: int) -> list[PreKey]:
    """Make and store `count` prekeys, to be uploaded next."""
    return _make(context, count, {})


def retry_prekey(context: KeyContext) -> PreKey:
    """Make and store one prekey for one retry receipt."""
    return _make(context, 1, {"retry": True, "expire_at": context.now() + RETRY_PREKEY_LIFETIME})[0]


def prekey_count(context: KeyContext) -> int:
    """How many uploaded (or about to be uploaded) prekeys are unspent."""
    return context.table.count(_partition(context), without="retry")


def read_prekey(context: KeyContext, prekey_id: int) -> PreKey | None:
    """The prekey, or None: spent, never made, or damaged (which is reported)."""
    item = context.table.get(prekey_key(context.account, prekey_id))
    if item is None:
        return None
    try:
        return PreKey(prekey_id, _pair(context, item), context.account)
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None


def spend(prekey: PreKey) -> Delete:
    """The write that spends a prekey, for the transaction that stores its session. Of two messages that name
    one prekey, one transaction finds it."""
    return Delete(prekey_key(prekey.account, prekey.id), when=(PREKEY_EXISTS,))


def delete_prekeys(context: KeyContext) -> int:
    """Delete all of them, as they belong to an identity or a time that is gone; how many."""
    keys = context.table.keys(_partition(context))
    for key in keys:
        context.table.delete(Delete(key))
    return len(keys)


def _partition(context: KeyContext) -> str:
    return prekey_key(context.account, 0)[0]


def _make(context: KeyContext, count: int, attributes: dict[str, Value]) -> list[PreKey]:
    made: list[PreKey] = []
    while len(made) < count:
        ids = take_prekey_ids(context, count - len(made))
        for start in range(0, len(ids), TRANSACTION_LIMIT):
            made += _store(context, ids[start : start + TRANSACTION_LIMIT], attributes)
    return made


def _store(context: KeyContext, ids: Sequence[int], attributes: dict[str, Value]) -> list[PreKey]:
    """Store new keys under those ids that are free (after 16 million, some may still be taken)."""
    prekeys = [PreKey(prekey_id, key_pair(context.random(32)), context.account) for prekey_id in ids]
    try:
        commit(context, [_put(context, prekey, attributes) for prekey in prekeys])
    except Conflict as conflict:
        free = [prekey.id for position, prekey in enumerate(prekeys) if position not in conflict.failed]
        return _store(context, free, attributes) if free else []
    return prekeys


def _put(context: KeyContext, prekey: PreKey, attributes: dict[str, Value]) -> Put:
    key = prekey_key(context.account, prekey.id)
    sealed = context.seal(prekey.pair.private + prekey.pair.public, key, "pair")
    return Put(key, {"pair": sealed, **attributes}, when=(ITEM_ABSENT,))


def _pair(context: KeyContext, item: Item) -> KeyPair:
    pair = context.unseal(item, "pair")
    return KeyPair(pair[:32], pair[32:])
