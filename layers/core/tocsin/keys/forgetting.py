"""What the keys table holds of one person, and how it is erased: sessions, secrets, addresses and tokens.

What others' groups hold of a member stays: they are still written to there, and it goes with the group's
next key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tocsin.dynamo.writes import Delete, Item, Key, Write
from tocsin.keys.addresses import read_known, read_number
from tocsin.keys.context import KeyContext
from tocsin.tables.keys import (
    OUTBOUND,
    address_key,
    credentials_key,
    message_secret_key,
    retry_key,
    session_pk,
    upload_key,
)
from tocsin.tables.names import is_lid


class KeysHeld(NamedTuple):
    """How many items there are. `sessions`: with devices; `stanzas`: what messages of theirs yielded, and how
    often we asked for them again; `secrets`: of their messages; `addresses`: a name, its other one, and their
    devices; `tokens`: of them, those with a privacy token; `uploads`: keys of files that they were sent."""

    sessions: int = 0
    stanzas: int = 0
    secrets: int = 0
    addresses: int = 0
    tokens: int = 0
    uploads: int = 0


def names_of(context: KeyContext, user: str) -> frozenset[str]:
    """The names (bare JIDs) of a user that WhatsApp told; empty if it told none. A number that belongs to
    somebody else by now isn't one of them."""
    known = read_known(context, user)
    if known is None:
        return frozenset()
    number = read_number(context, user)
    return frozenset({known.lid} if number is None else {known.lid, number.pn})


def held_of(context: KeyContext, users: Iterable[str], message_ids: Iterable[str] = ()) -> KeysHeld:
    """What is held of a person with these names, who was sent these messages."""
    names = _of_one(context, users)
    addresses = [item for pk in _address_pks(context, names) for item in context.table.query(pk)]
    uploads = context.table.get_many(_upload_keys(context, message_ids))
    return KeysHeld(
        sessions=sum(sk != OUTBOUND for pk in _session_pks(context, names) for _, sk in _keys(context, pk)),
        stanzas=sum(len(_keys(context, pk)) for pk in _stanza_pks(context, names)),
        secrets=sum(len(_keys(context, pk)) for pk in _secret_pks(context, names)),
        addresses=len(addresses),
        tokens=sum("token" in item for item in addresses),
        uploads=len(uploads),
    )


def forget(context: KeyContext, users: Iterable[str], message_ids: Iterable[str] = ()) -> None:
    """Erase it. Addresses are the last and go at once, so that whoever is cut off finds all names again.
    Repeating it is harmless; somebody who writes again begins anew."""
    names = _of_one(context, users)
    for pks in (_session_pks, _stanza_pks, _secret_pks):
        for pk in pks(context, names):
            for key in _keys(context, pk):
                _delete(context, key)
    for key in _upload_keys(context, message_ids):
        _delete(context, key)
    addresses = [key for pk in _address_pks(context, names) for key in _keys(context, pk)]
    pairs = [key for key in addresses if key[1] == _ADDRESS]
    for key in (key for key in addresses if key not in pairs):
        _delete(context, key)
    for at in range(0, len(pairs), _MAX_TRANSACTED):
        _delete_together(context, pairs[at : at + _MAX_TRANSACTED])


def _of_one(context: KeyContext, users: Iterable[str]) -> list[str]:
    """Those of a person's names that aren't somebody else's by what WhatsApp told."""
    names = set(users)
    if any(is_lid(name) for name in names):
        told = {name: names_of(context, name) for name in names if not is_lid(name)}
        names -= {name for name, known in told.items() if known and not known & (names - {name})}
    return sorted(names)


_MAX_TRANSACTED = 100
_MAX_INCARNATIONS = 500
_, _ADDRESS = address_key("", "")


def _delete(context: KeyContext, key: Key) -> None:
    context.insistently(lambda: context.table.delete(Delete(key)))


def _delete_together(context: KeyContext, keys: Iterable[Key]) -> None:
    writes: list[Write] = [Delete(key) for key in keys]
    token = context.random(16).hex()
    context.insistently(lambda: context.table.transact(writes, token))


def _keys(context: KeyContext, pk: str) -> list[Key]:
    return context.table.keys(pk)


def _session_pks(context: KeyContext, names: Iterable[str]) -> Iterator[str]:
    lives = _incarnations(context)
    return (session_pk(context.account, life, name) for name in names for life in lives)


def _stanza_pks(context: KeyContext, names: Iterable[str]) -> Iterator[str]:
    lives = _incarnations(context)
    return (retry_key(context.account, life, name, 0, "")[0] for name in names for life in lives)


def _secret_pks(context: KeyContext, names: Iterable[str]) -> Iterator[str]:
    return (message_secret_key(context.account, name, "")[0] for name in names)


def _address_pks(context: KeyContext, names: Iterable[str]) -> Iterator[str]:
    return (address_key(context.account, name)[0] for name in names)


def _upload_keys(context: KeyContext, message_ids: Iterable[str]) -> list[Key]:
    return [upload_key(context.account, f"message#{message_id}") for message_id in sorted(message_ids)]


def _incarnations(context: KeyContext) -> range:
    """Those that the account had: what is older than the present one may not be cleared away yet. Whoever
    writes into the table can't make this endless."""
    item: Item = context.table.get(credentials_key(context.account)) or {}
    incarnation = item.get("incarnation")
    if not isinstance(incarnation, int):
        return range(0)
    return range(max(1, incarnation + 1 - _MAX_INCARNATIONS), incarnation + 1)
