"""One-time prekeys: made before they are uploaded, spent with the session that used them.

Ids come from a counter that is never lowered; a crash leaves a gap of ids and nothing else. A key that goes
out in a retry receipt is never uploaded, and expires when nobody used it.

    made ── offered ── the server takes them ── spent, or deleted as one of the oldest of too many
              └ it doesn't: the same ones are offered the next time

So neither a server that takes none, nor one that says at each login that it has none, fills the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.dynamo.table import TRANSACTION_LIMIT, Conflict
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Delete, Item, Put, Value
from tocsin.keys.account import MAX_PREKEY_ID, read_credentials, save_login, take_prekey_ids
from tocsin.keys.context import KeyContext
from tocsin.keys.turn import commit
from tocsin.sealing import DamagedRecord
from tocsin.signal.curve import KeyPair, key_pair
from tocsin.tables.keys import prekey_key

# How many the server is given at first, how many more when few are left, and what counts as few.
FIRST_PREKEYS = 812
MORE_PREKEYS = 50
MIN_PREKEYS = 5

MAX_UNSPENT = 2 * FIRST_PREKEYS
"""So many may lie here unspent. When more are offered, the oldest are deleted: whoever fetched one of them
and hasn't written since is asked to repeat the first message."""

OFFERED_AGAIN_SECONDS = 86400
"""With so many, a server that wants more within this time gets the newest ones again. It may give one to two
people then, and the second is asked to repeat the first message."""

RETRY_PREKEY_LIFETIME = 14 * 86400

# Ours, and not a key under an id that came around again.
PREKEY_EXISTS = ITEM_EXISTS


@dataclass(frozen=True, slots=True)
class PreKey:
    """`id`: 1 to 16777214."""

    id: int
    pair: KeyPair
    account: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Prekeys to be uploaded next. `made_up_to`: the counter of ids behind the newest of all."""

    prekeys: tuple[PreKey, ...]
    made_up_to: int


def prekeys_to_add(left: int, *, asked: bool = False) -> int:
    """Return how many prekeys to upload where `left` are left, at the server or with us. `asked`: the server
    wants more by itself, and knows how fast they go."""
    if left > MIN_PREKEYS and not asked:
        return 0
    return MORE_PREKEYS if left else FIRST_PREKEYS


def prekeys_to_offer(context: KeyContext, wanted: int) -> Offer:
    """What to upload where the server shall have `wanted` more: those that it never took, then new ones. They
    are stored. Raises NoAccount, OtherPairing."""
    account = read_credentials(context)
    unspent = _unspent(context, account.next_prekey_id)
    since = account.prekeys_offered_to
    if since is None:
        # Last written by 0.1.0: what is there may have been offered.
        since = account.next_prekey_id
        save_login(context, account.incarnation, prekeys_offered_to=since)
    found = [item for counter, item in unspent if counter >= since][:FIRST_PREKEYS]
    if not found and len(unspent) >= MAX_UNSPENT:
        lately = context.now() - account.prekeys_offered_at < OFFERED_AGAIN_SECONDS
        found = [item for _, item in unspent[:wanted]] if lately else []
    prekeys = [one for item in reversed(found) if (one := _opened(context, item)) is not None]
    prekeys += new_prekeys(context, wanted - len(prekeys))
    return Offer(tuple(prekeys), read_credentials(context).next_prekey_id)


def note_offered(context: KeyContext, offer: Offer, incarnation: int) -> int:
    """The server took them. Delete the oldest beyond what may lie here; how many. Raises OtherPairing."""
    offered_at = context.now()
    save_login(context, incarnation, prekeys_offered_to=offer.made_up_to, prekeys_offered_at=offered_at)
    oldest = _unspent(context, offer.made_up_to)[MAX_UNSPENT:]
    for _, item in oldest:
        context.table.delete(Delete((str(item["pk"]), str(item["sk"]))))
    return len(oldest)


def _unspent(context: KeyContext, following: int) -> list[tuple[int, Item]]:
    """Our prekeys that aren't for retry receipts, with the counter that their id came from; newest first."""
    found = []
    for item in context.table.query(_partition(context)):
        if "retry" not in item and str(item["sk"]).isdecimal():
            age = (following - 2 - (int(str(item["sk"])) - 1)) % MAX_PREKEY_ID
            found.append((following - 1 - age, item))
    return sorted(found, key=lambda one: -one[0])


def _opened(context: KeyContext, item: Item) -> PreKey | None:
    """None: damaged, which is reported."""
    try:
        return PreKey(int(str(item["sk"])), _pair(context, item), context.account)
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None


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
    return _opened(context, item)


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
