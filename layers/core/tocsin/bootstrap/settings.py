"""The settings in force, as functions read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.settings.reader import FRESH_SECONDS, SettingsReader

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table


def settings_in(notifications: Table, fresh_seconds: float = FRESH_SECONDS) -> SettingsReader:
    """Return what reads the settings from the notifications table. `fresh_seconds`: for how long it counts
    what it read."""
    return SettingsReader(notifications, fresh_seconds=fresh_seconds)
