"""Who watches that a phone number still belongs to the person it was written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.bootstrap.stores import open_stores
from tocsin.multidevice.numbers import NumberOwners

if TYPE_CHECKING:
    from tocsin.keys.addresses import KnownAddress
    from tocsin.notify.config import StoreConfig


def number_owners(stores: StoreConfig, dynamodb: Any) -> NumberOwners:
    def tell_moved(account: str, known: KnownAddress, to: str | None) -> None:
        from tocsin.multidevice.identity import tell_moved

        tell_moved(open_stores(stores, dynamodb), account, known, to)

    def count_question(account: str, at: int) -> int:
        return open_stores(stores, dynamodb).people.count_number_question_in_hour(account, at)

    return NumberOwners(tell_moved, count_question, on_moved=stores.on_number_moved)
