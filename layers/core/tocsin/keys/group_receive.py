"""Receiving in groups: other members' sender keys, and what is written under them.

A distribution comes inside a message that was decrypted pairwise, so that session proves who sent it. It is
taken in by one conditional write; taken in again, it changes nothing (`signal.sender_key.process`). A
`skmsg` is a turn of the sender's key, stored with what it yielded in one transaction, as every other decrypt.

Keys that came while a member was known by the phone number alone lie under that. They move to the LID when
the first one is missed there, in the transaction that uses them: nobody need know in which groups they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tocsin.dynamo.writes import ITEM_ABSENT, Delete, Item, Key, Put, Write, as_read
from tocsin.keys.addresses import read_number
from tocsin.keys.context import KeyContext
from tocsin.keys.receive import Arrival, Received, StanzaRecords
from tocsin.keys.turn import Try, commit, turning
from tocsin.sealing import DamagedRecord
from tocsin.signal import sender_key
from tocsin.signal.errors import InvalidRecord, NoSession, SignalError, TornRecord
from tocsin.signal.sender_key import SenderKeyRecord
from tocsin.tables.keys import sender_key_of


def take_sender_key(
    context: KeyContext, incarnation: int, group: str, user: str, device: int, distribution: bytes
) -> bool:
    """See `GroupKeys.take_sender_key`."""
    key = sender_key_of(context.account, incarnation, group, user, device)

    def attempt(current: Try) -> bool:
        found = _found(context, key)
        if found.item is None:
            found = _with_earlier_name(context, found, incarnation, group, user, device)
        after = sender_key.process(found.record, distribution)
        if after == found.record and found.earlier is None:
            return False
        commit(context, found.writes(context, after))
        return after != found.record

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
        found = _found(context, key)
        try:
            try:
                plaintext, after = sender_key.decrypt(found.record, arrival.body)
            except NoSession:
                found = _with_earlier_name(context, found, incarnation, group, user, arrival.device)
                if found.earlier is None:
                    raise
                plaintext, after = sender_key.decrypt(found.record, arrival.body)
        except SignalError as failure:
            # Believed only if nobody was faster, with this message or with the key that it needs.
            if (known := stanzas.known(user)) is not None:
                return known
            if (context.table.get(key) or {}).get("tag") != (found.item or {}).get("tag"):
                raise TornRecord("the sender's key was turned while we read it") from failure
            raise
        received = Received(plaintext, False, user, stanzas.key(user))
        commit(context, [*found.writes(context, after), stanzas.record(received)])
        return received

    return turning(context, attempt)


@dataclass(frozen=True, slots=True)
class _Found:
    """A member's keys as they were read. `item`: at `key`; `earlier`: the item under the member's earlier
    name, of which the record has the keys as well."""

    key: Key
    item: Item | None
    record: SenderKeyRecord | None
    earlier: Item | None = None

    def writes(self, context: KeyContext, record: SenderKeyRecord) -> list[Write]:
        """Put `record` in place of what was read."""
        moved = [] if self.earlier is None else [_removal(self.earlier)]
        return [_write(context, self.key, self.item, record), *moved]


def _found(context: KeyContext, key: Key) -> _Found:
    item = context.table.get(key)
    return _Found(key, item, _read(context, item))


def _with_earlier_name(
    context: KeyContext, found: _Found, incarnation: int, group: str, user: str, device: int
) -> _Found:
    """The same with what lies under the phone number of a member that is known by the LID now, if the number
    is still theirs."""
    known = read_number(context, user)
    if known is None or known.pn == user:
        return found
    earlier = context.table.get(sender_key_of(context.account, incarnation, group, known.pn, device))
    record = _read(context, earlier)
    if earlier is None or record is None:
        return found
    return replace(found, record=sender_key.merge(found.record, record), earlier=earlier)


def _removal(item: Item) -> Write:
    return Delete((str(item["pk"]), str(item["sk"])), when=(as_read("tag", item),))


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
