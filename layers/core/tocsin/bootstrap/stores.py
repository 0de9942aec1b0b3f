"""The two tables, and what is read from them: notifications and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.dynamo import table
from tocsin.settings.reader import FRESH_SECONDS, SettingsReader

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


def settings_in(notifications: table.Table, fresh_seconds: float = FRESH_SECONDS) -> SettingsReader:
    """Return what reads the settings in force from the notifications table."""
    return SettingsReader(notifications, fresh_seconds=fresh_seconds)
