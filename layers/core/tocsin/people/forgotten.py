"""What is left of somebody who was erased: that they had opted out, by a keyed hash of each name.

    forgotten#A      key        the key of the hashes, sealed
    forgotten#A#H    opt-out    H: HMAC-SHA256(key, account ‖ name); when, by which word, the other H
                                of the same person

Without the key nobody can tell whose a hash is, nor try numbers out; the key is sealed as texts are. It is
made with the first hash and stays the same: when the secret gets another key, it is sealed under that one
where it is read next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Equals, Item, Key, Put, Update
from tocsin.tables.names import is_lid, recipient_of, user_of
from tocsin.tables.notifications import forgotten_key, forgotten_names_key

if TYPE_CHECKING:
    from tocsin.dynamo.patient_table import PatientTable

_KEY_BYTES = 32
_SEALED = "sealed"
_SIBLINGS = "siblings"
_PURPOSE = "forgotten"
_OPT_OUT = ("opted_out_at", "opt_out_word", "confirmed_at")


class Seals(Protocol):
    """What seals JSON objects for their place in the notifications table."""

    def seal(self, words: Mapping[str, Any], key: Key, *bound_to: str) -> bytes: ...

    def open(self, sealed: object, key: Key, *bound_to: str) -> dict[str, Any]:
        """Raises where it can't be opened. Then nobody can tell who opted out, and nothing may be sent."""
        ...

    def is_current(self, sealed: object) -> bool:
        """Whether it was sealed under the secret's present key."""
        ...


class OptOut(NamedTuple):
    """An opt-out as it is kept. Moments in ms; `confirmed_at` None: the person wasn't told that it was
    heard."""

    at: int
    word: str | None = None
    confirmed_at: int | None = None

    def to_item(self) -> dict[str, str | int]:
        """As attributes of a person's record."""
        known = {"opted_out_at": self.at, "opt_out_word": self.word, "confirmed_at": self.confirmed_at}
        return {name: value for name, value in known.items() if value is not None}


class Forgotten:
    """The opt-outs of erased people. Names are bare JIDs. What reads them first needs the key: whoever reads
    the table anyway reads `place` along, and hands it over as `found`. What `seals` raises is raised, if
    there is a key.
    """

    def __init__(
        self, table: PatientTable, seals: Seals, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._table = table
        self._seals = seals
        self._random = random
        self._keys: dict[str, bytes] = {}

    def place(self, account: str) -> list[Key]:
        """Where the key lies, if it isn't known yet: at most one."""
        return [] if account in self._keys else [forgotten_names_key(account)]

    def keep(self, account: str, names: Iterable[str], opt_out: OptOut) -> int:
        """Keep the opt-out of a person with these names; how many hashes. Repeating it changes nothing."""
        key = self._key(account, self._table.get(forgotten_names_key(account))) or self._make_key(account)
        digests = {_digest(key, account, name) for name in names}
        for digest in sorted(digests):
            kept = {**opt_out.to_item(), _SIBLINGS: frozenset(digests)}
            self._table.put(Put(forgotten_key(account, digest), kept))
        return len(digests)

    def of(
        self, account: str, names: Iterable[str], found: Mapping[Key, Item] | None = None
    ) -> dict[str, OptOut]:
        """The opt-outs kept for these names. `found`: what was read, with `place`; None: it is read here."""
        items = self._items(account, names, found)
        return {name: _opt_out(item) for name, item in items.items()}

    def drop(self, account: str, names: Iterable[str]) -> bool:
        """They want messages again, whatever name they are known by; whether there was anything."""
        items = self._items(account, names, None)
        digests = {digest for item in items.values() for digest in _siblings(item)}
        for digest in sorted(digests):
            # Emptied, not deleted: who receives messages has no right to delete.
            gone = Update(forgotten_key(account, digest), remove=_OPT_OUT, when=(ITEM_EXISTS,))
            with suppress(ConditionFailed):
                self._table.update(gone)
        return bool(digests)

    def _items(self, account: str, names: Iterable[str], found: Mapping[Key, Item] | None) -> dict[str, Item]:
        if found is None:
            found = self._table.get_many(self.place(account)) if self.place(account) else {}
        key = self._key(account, found.get(forgotten_names_key(account)))
        if key is None:
            return {}
        places = {name: forgotten_key(account, _digest(key, account, name)) for name in names}
        kept = self._table.get_many(list(dict.fromkeys(places.values()))) if places else {}
        items = {name: kept.get(place, {}) for name, place in places.items()}
        return {name: item for name, item in items.items() if "opted_out_at" in item}

    def _key(self, account: str, item: Item | None) -> bytes | None:
        """The key of the hashes, once it is there."""
        if account not in self._keys and item is not None:
            self._keys[account] = self._opened(account, item)
        return self._keys.get(account)

    def _opened(self, account: str, item: Item) -> bytes:
        place, sealed = forgotten_names_key(account), item.get(_SEALED)
        words = self._seals.open(sealed, place, _PURPOSE)
        if isinstance(sealed, bytes) and not self._seals.is_current(sealed):
            anew = Update(
                place,
                set={_SEALED: self._seals.seal(words, place, _PURPOSE)},
                when=(Equals(_SEALED, sealed),),
            )
            with suppress(ConditionFailed):  # somebody else was faster
                self._table.update(anew)
        return bytes.fromhex(words["key"])

    def _make_key(self, account: str) -> bytes:
        place, key = forgotten_names_key(account), self._random(_KEY_BYTES)
        sealed = self._seals.seal({"key": key.hex()}, place, _PURPOSE)
        try:
            self._table.put(Put(place, {_SEALED: sealed}, when=(ITEM_ABSENT,)))
        except ConditionFailed as refused:
            return self._opened(account, refused.item or {})
        self._keys[account] = key
        return key


def _digest(key: bytes, account: str, name: str) -> str:
    """All spellings of a number have one hash."""
    # No known person's send needs these.
    import hashlib
    import hmac

    canonical = _canonical(name)
    parts = (account.encode(), canonical.encode())
    said = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def _canonical(name: str) -> str:
    from tocsin.people.numbers import same_person_key

    digits = recipient_of(name)
    return name if is_lid(name) or "@" in digits else user_of(same_person_key(digits))


def _opt_out(item: Item) -> OptOut:
    values: Mapping[str, Any] = item
    return OptOut(values["opted_out_at"], values.get("opt_out_word"), values.get("confirmed_at"))


def _siblings(item: Item) -> frozenset[str]:
    found = item.get(_SIBLINGS)
    return found if isinstance(found, frozenset) else frozenset()
