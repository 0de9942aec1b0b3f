"""Receiving in groups: other members' sender keys, and what is written under them.

A distribution comes inside a message that was decrypted pairwise, so that session proves who sent it. It is
taken in by one conditional write; taken in again, it changes nothing (`signal.sender_key.process`). A
`skmsg` is a turn of the sender's key, stored with what it yielded in one transaction, as every other decrypt.
"""

from __future__ import annotations

from collections.abc import Callable

from tocsin.dynamo.writes import ITEM_ABSENT, Item, Key, Put, Write, as_read
from tocsin.keys.context import KeyContext
from tocsin.keys.receive import Arrival, Received, StanzaRecords
from tocsin.keys.turn import Try, commit, turning
from tocsin.sealing import DamagedRecord
from tocsin.signal import sender_key
from tocsin.signal.errors import InvalidRecord, SignalError, TornRecord
from tocsin.signal.sender_key import SenderKeyRecord
from tocsin.tables.keys import sender_key_of


def take_sender_key(
    context: KeyContext, incarnation: int, group: str, user: str, device: int, distribution: bytes
) -> bool:
    """See `GroupKeys.take_sender_key`."""
    key = sender_key_of(context.account, incarnation, group, user, device)

    def attempt(current: Try) -> bool:
        item = context.table.get(key)
        before = _read(context, item)
        after = sender_key.process(before, distribution)
        if after == before:
            return False
        commit(context, [_write(context, key, item, after)])
        return True

    return turning(context, attempt)


def receive_in_group(
    context: KeyContext,
    incarnation: int,
    group: str,
    user: str,
    arrival: Arrival,
    *,
    abridge: Callable[[bytes], bytes] | None = None,
) -> Received:
    """See `GroupKeys.receive`."""
    key = sender_key_of(context.account, incarnation, group, user, arrival.device)
    stanzas = StanzaRecords(context, incarnation, arrival, abridge)

    def attempt(current: Try) -> Received:
        known = stanzas.known(user)
        if known is not None:
            return known
        item = context.table.get(key)
        try:
            plaintext, after = sender_key.decrypt(_read(context, item), arrival.body)
        except SignalError as failure:
            # Believed only if nobody was faster, with this message or with the key that it needs.
            if (known := stanzas.known(user)) is not None:
                return known
            if (context.table.get(key) or {}).get("tag") != (item or {}).get("tag"):
                raise TornRecord("the sender's key was turned while we read it") from failure
            raise
        received = Received(plaintext, False, user, stanzas.key(user))
        commit(context, [_write(context, key, item, after), stanzas.record(received)])
        return received

    return turning(context, attempt)


def _write(context: KeyContext, key: Key, item: Item | None, record: SenderKeyRecord) -> Write:
    """The record in place of what was read."""
    tag = context.new_tag()
    sealed = context.seal(sender_key.encode_record(record), key, "keys", tag)
    return Put(
        key, {"tag": tag, "keys": sealed}, when=(ITEM_ABSENT if item is None else as_read("tag", item),)
    )


def _read(context: KeyContext, item: Item | None) -> SenderKeyRecord | None:
    """A sender's keys; None if there are none, or they are damaged (which is reported)."""
    if item is None:
        return None
    try:
        return sender_key.decode_record(context.unseal(item, "keys", "tag"))
    except DamagedRecord as damaged:
        context.on_damage(damaged)
    except InvalidRecord:
        context.on_damage(DamagedRecord(str(item["pk"]), str(item["sk"]), "keys"))
    return None
