"""What an operator wrote of a source, proven by the key of the texts.

    proof = seal({attribute: its SHA-256}, place of the record)

Whoever may only write to the table makes nobody a source, and gives none another key or reach. A record as it
was once, with the proof that it had, is of an earlier version (`tocsin.versions`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol

from tocsin.door.sources import DamagedSource, Source, source_of
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.notifications import source_key

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Item, Key, Value

PROOF: Final = "proof"
"""The attribute."""

_KNOWN: Final = frozenset(one.name for one in fields(Source))


class Vault(Protocol):
    """What opens sealed words, as `notify.store.texts.Texts` does."""

    def open(self, sealed: object, key: Key, *bound_to: str) -> dict[str, Any]: ...


class Seals(Protocol):
    """What seals words, as `Texts` does."""

    def seal(self, words: Mapping[str, Any], key: Key, *bound_to: str) -> bytes: ...


def proven_item(source: Source, seals: Seals) -> dict[str, Value]:
    """The record's attributes, with their proof. Raises TextWithheld for who has no key."""
    return {**source.item(), PROOF: seals.seal(_digests(source), source_key(source.name), PROOF)}


def proven_source(name: str, item: Item, vault: Vault, *, since: int = 0) -> Source:
    """Read a record. Raises DamagedSource, also for one that nobody with the key wrote so, or not as the last
    one: `since` is the version that counts. TextWithheld for who has no key, and what keeps the key away."""
    source = source_of(name, item)
    if source.version < since:
        raise DamagedSource(f"version {source.version} of {since}")
    try:
        proven = vault.open(item.get(PROOF), source_key(name), PROOF)
    except TextWithheld as refusal:
        if refusal.is_damage:
            raise DamagedSource(PROOF) from None
        raise
    # What a later release adds, this one knows nothing of.
    if {attribute: value for attribute, value in proven.items() if attribute in _KNOWN} != _digests(source):
        raise DamagedSource(PROOF)
    return source


def _digests(source: Source) -> dict[str, str]:
    return {attribute: _digest(value) for attribute, value in source.item().items()}


def _digest(value: object) -> str:
    told = ["bytes", value.hex()] if isinstance(value, bytes) else value
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
