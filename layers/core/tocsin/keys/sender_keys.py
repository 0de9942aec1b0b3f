"""Our own sender key in a group: reserved like every other chain, and who has it.

    group#A.I#G   sender         `next`; sealed `key`: origin, the key at its checkpoint; `tag`
                  holders#T      the devices that got the key of tag T: when, or 0 while that isn't known
                  sender#U#D     the keys of another member's device (`group_receive.py`)

A number is taken by one atomic ADD; the answer holds the key as it is at that moment, so a number and the key
that it is used with always belong together. A new key starts at a fence beyond all numbers taken, under a new
id. Who has the key is filed under the tag of that very key: a mark that comes late, after somebody made a new
one, is a mark on the old one.

A member who leaves must not read on, so whoever may have the key counts there, acknowledged or not. A member
who is to read needs the key for certain, so only what was acknowledged counts there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tocsin.dynamo.table import ConditionFailed, Contention, OutcomeUnknown
from tocsin.dynamo.writes import ITEM_ABSENT, Equals, Item, Key, Put, Update, Value, as_read
from tocsin.keys.chain import CHECKPOINT_DISTANCE, GAP_LIMIT, read_origin, write_origin
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import NoOutbound, Staleness, StaleSenderKey
from tocsin.keys.reserve import HAS_COUNTER, take_number
from tocsin.keys.turn import Try, commit, fence_holds, turning
from tocsin.sealing import DamagedRecord, masked
from tocsin.signal import sender_key
from tocsin.signal.curve import key_pair
from tocsin.signal.errors import InvalidRecord
from tocsin.signal.sender_key import SenderKey
from tocsin.tables.keys import holder_attribute, holder_of, holders_key, own_sender_key

# Longer than a key is used without a new member: when it is over, all get the key once more, no harm done.
HOLDERS_LIFETIME = 90 * 86400
# DynamoDB takes an expression of 4 KB at most, some 300 attributes; moto, which the tests run on, fewer.
MARKS_PER_WRITE = 50
# For devices that were sent the key while nobody knows whether it arrived.
OFFERED = 0


class GroupChain(NamedTuple):
    """A sender key and the number at which its iterations begin. `sealed`: as it lies in the item."""

    key: SenderKey
    origin: int
    tag: bytes
    sealed: bytes

    def staleness(self, number: int) -> Staleness | None:
        distance = number - self.origin - self.key.iteration
        if number < self.origin:
            return Staleness.YOUNGER
        if distance < 0:
            return Staleness.BEHIND
        return Staleness.GAP if distance >= GAP_LIMIT else None


class GroupReservation(NamedTuple):
    """A number that is ours alone, and the sender key that it may be used with (None: one must be made)."""

    group: str
    key: Key
    number: int
    chain: GroupChain | None

    def __repr__(self) -> str:
        return f"GroupReservation({masked(self.group)}, number={self.number})"

    @property
    def staleness(self) -> Staleness | None:
        """Why a new key is needed before anything can be sent under this number, or None."""
        return Staleness.ABSENT if self.chain is None else self.chain.staleness(self.number)

    @property
    def tag(self) -> bytes | None:
        """Names the key, never its content."""
        return self.chain.tag if self.chain is not None else None

    @property
    def iteration(self) -> int:
        return self.number - self._usable().origin

    def distribution(self) -> bytes:
        """What a device needs to read messages under this key. From the checkpoint, not from this number:
        who sends beside us distributes the same, so its earlier messages can be read too, in any order."""
        return sender_key.distribution(self._usable().key)

    def encrypt(self, plaintext: bytes, entropy: bytes) -> bytes:
        """Encrypt `plaintext` (padded already) under this number, once. `entropy`: 64 random bytes. Raises
        StaleSenderKey; nothing is changed then."""
        key = self._usable().key
        return sender_key.encrypt(key, self.iteration, plaintext=plaintext, entropy=entropy)

    def _usable(self) -> GroupChain:
        reason = self.staleness
        if self.chain is None or reason is not None:
            raise StaleSenderKey(reason or Staleness.ABSENT)
        return self.chain


def reserve_group(context: KeyContext, incarnation: int, group: str) -> GroupReservation:
    """Take the next number in `group` (its JID). Raises NoOutbound if no key was ever made, Contended."""
    key = own_sender_key(context.account, incarnation, group)
    try:
        item = take_number(context, key)
    except ConditionFailed:
        raise NoOutbound(group) from None
    following = item["next"]
    assert isinstance(following, int)  # noqa: S101 - ADD refuses anything but a number
    return GroupReservation(group, key, following - 1, _read_chain(context, item))


def make_sender_key(context: KeyContext, incarnation: int, group: str, seen: bytes | None) -> None:
    """See `GroupKeys.make_sender_key`."""
    place = own_sender_key(context.account, incarnation, group)

    def attempt(current: Try) -> None:
        item = context.table.get(place)
        found = _read_chain(context, item) if item is not None else None
        if found is not None and found.tag != seen:
            return
        following = item.get("next", 0) if item is not None else 0
        fence = (following if isinstance(following, int) else 0) + current.leap
        tag = context.new_tag()
        attributes: dict[str, Value] = {
            "next": fence,
            "tag": tag,
            "key": context.seal(_pack(_new_key(context), fence), place, "key", tag),
        }
        if item is None:
            commit(context, [Put(place, attributes, when=(ITEM_ABSENT,))])
            return
        unchanged = as_read("tag", item)
        counted = fence_holds(fence) if "next" in item else as_read("next", item)
        commit(context, [Update(place, set=attributes, when=(counted, unchanged))])

    turning(context, attempt)


def discard_sender_key(context: KeyContext, incarnation: int, group: str) -> bool:
    """See `GroupKeys.discard_sender_key`.

    It wins every race, because its only condition is that the item exists. Numbers taken before are under
    the old key.
    """
    place = own_sender_key(context.account, incarnation, group)
    update = Update(place, remove=("key", "tag"), when=(HAS_COUNTER,))
    try:
        context.insistently(lambda: context.table.update(update))
    except ConditionFailed:
        return False
    return True


def checkpoint_group(context: KeyContext, reservation: GroupReservation) -> bool:
    """After the server's ack: forget keys, if this number is far ahead of the checkpoint; whether it was.

    The last 32 stay: a new member's key begins at the checkpoint, and a message that was overtaken on its
    way must not lie before that.
    """
    chain = reservation.chain
    if chain is None:
        return False
    distance = reservation.iteration - chain.key.iteration
    if distance < 2 * CHECKPOINT_DISTANCE:
        return False
    return _move(context, reservation.key, chain, distance - CHECKPOINT_DISTANCE)


def rest_sender_key(context: KeyContext, incarnation: int, group: str, item: Item) -> bool:
    """Forget the keys of all numbers taken under the key in `item`, as read; whether there were any. Whoever
    holds one of those numbers has the key in hand already.

    More of them than sends leave behind are numbers of unknown fate, over which the checkpoint must not pass
    in silence: the whole key goes.
    """
    chain, following = _read_chain(context, item), item.get("next")
    if chain is None or not isinstance(following, int):
        return False
    distance = following - chain.origin - chain.key.iteration
    if distance > 2 * CHECKPOINT_DISTANCE:
        return discard_sender_key(context, incarnation, group)
    return distance > 0 and _move(
        context, own_sender_key(context.account, incarnation, group), chain, distance
    )


def _move(context: KeyContext, place: Key, chain: GroupChain, ahead: int) -> bool:
    """Move the checkpoint, unless somebody else did something; whether it was moved."""
    moved = sender_key.advance(chain.key, chain.key.iteration + ahead)
    sealed = context.seal(_pack(moved, chain.origin), place, "key", chain.tag)
    try:
        context.table.update(Update(place, set={"key": sealed}, when=(Equals("key", chain.sealed),)))
    except (ConditionFailed, Contention, OutcomeUnknown):
        return False
    return True


# Who has it


def read_holders(context: KeyContext, reservation: GroupReservation) -> dict[tuple[str, int], int]:
    """(bare JID, device) → when that device was known to have the reserved key (s), OFFERED if unknown."""
    item = context.table.get(_holders(context, reservation.key, reservation.tag)) or {}
    return {holder: at for name, at in item.items() if (holder := holder_of(name)) and isinstance(at, int)}


def mark_holders(
    context: KeyContext, reservation: GroupReservation, devices: Iterable[tuple[str, int]], at: int
) -> None:
    """Note that `devices` have the reserved key since `at`; OFFERED: that it is on its way to them."""
    _mark(context, _holders(context, reservation.key, reservation.tag), list(devices), at)


def hand_out(context: KeyContext, incarnation: int, group: str, user: str, device: int) -> bytes | None:
    """The distribution of the present key, for a device that asked for a message again; None: no key.

    It may have lacked the key, so the next send brings it once more. And it may have it from now on, which is
    noted under that very key before anybody gets it.
    """
    place = own_sender_key(context.account, incarnation, group)
    item = context.table.get(place)
    chain = _read_chain(context, item) if item is not None else None
    if chain is None:
        return None
    _mark(context, _holders(context, place, chain.tag), [(user, device)], OFFERED)
    return sender_key.distribution(chain.key)


def _mark(context: KeyContext, place: Key, devices: Sequence[tuple[str, int]], at: int) -> None:
    for start in range(0, len(devices), MARKS_PER_WRITE):
        marks: dict[str, Value] = {
            holder_attribute(user, device): at for user, device in devices[start : start + MARKS_PER_WRITE]
        }
        update = Update(place, set=marks | {"expire_at": context.now() + HOLDERS_LIFETIME})
        context.insistently(lambda update=update: context.table.update(update))  # type: ignore[misc]


def _holders(context: KeyContext, key: Key, tag: bytes | None) -> Key:
    return holders_key(key, (tag or b"").hex())


# As it is stored


def _new_key(context: KeyContext) -> SenderKey:
    key_id = int.from_bytes(context.random(4), "big") >> 1
    return sender_key.create(key_id, context.random(32), key_pair(context.random(32)))


def _pack(key: SenderKey, origin: int) -> bytes:
    return write_origin(origin) + sender_key.encode_key(key)


def _read_chain(context: KeyContext, item: Item) -> GroupChain | None:
    """The key in an item as read; None if it was discarded, or is damaged (which is reported)."""
    sealed, tag = item.get("key"), item.get("tag")
    if not isinstance(sealed, bytes) or not isinstance(tag, bytes):
        return None
    try:
        packed = context.unseal(item, "key", "tag")
        origin, position = read_origin(packed)
        return GroupChain(sender_key.decode_key(packed[position:]), origin, tag, sealed)
    except DamagedRecord as damaged:
        context.on_damage(damaged)
    except (ValueError, InvalidRecord):
        context.on_damage(DamagedRecord(str(item["pk"]), str(item["sk"]), "key"))
    return None
