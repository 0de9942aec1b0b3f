"""The two tables, and the stores of notifications in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.dynamo import table

if TYPE_CHECKING:
    from tocsin.notify.config import StoreConfig
    from tocsin.notify.store.stores import Stores
    from tocsin.notify.store.texts import Texts


def open_table(dynamodb: Any, name: str) -> table.DynamoTable:
    return table.DynamoTable(dynamodb, name)


def open_stores(stores: StoreConfig, dynamodb: Any, texts: Texts | None = None) -> Stores:
    """Return the stores of notifications. Without `texts` they can open none."""
    from tocsin.notify.store.stores import Stores

    return Stores(
        open_table(dynamodb, stores.notifications_table),
        open_table(dynamodb, stores.keys_table),
        texts=texts,
        retention_days=stores.retention_days,
    )
