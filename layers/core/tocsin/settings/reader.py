"""What functions and connector ask for the settings: read once in a while, never once a message."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tocsin.settings.values import DEFAULTS, Reading, Settings, read_item
from tocsin.tables.notifications import SETTINGS, settings_key, settings_version_key

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 30.0
"""How long what was read is used, so how long a change may take to be heeded."""

CurrentSettings = Callable[[], Settings]


def unchanged_settings() -> Settings:
    """The defaults, where no stack is deployed."""
    return DEFAULTS


class SettingsReader:
    """Returns the settings in force when it is called; reads the table at most every 30 seconds.

    `table`: the notifications table. `fresh_seconds`: in place of the 30. `clock`: seconds. `problems`: what
    is wrong with the stored item, in sentences; empty if it is valid.

    Of an invalid item nothing is heeded: the last good values stay in force. Who has none takes the newest
    valid version of the history; without one, what is valid in the item, and defaults for the rest.
    """

    def __init__(
        self, table: Table, *, fresh_seconds: float = FRESH_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._table = table
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._read_at = float("-inf")
        self._good: Settings | None = None
        self._said: tuple[str, ...] = ()
        self.problems: tuple[str, ...] = ()

    def __call__(self) -> Settings:
        """Return the settings. Raises what the table raises, if they were never read: to go on with defaults
        could do what an operator forbade."""
        now = self._clock()
        if self._good is not None and 0 <= now - self._read_at < self._fresh_seconds:
            return self._good
        try:
            reading = read_item(self._table.get(settings_key()))
            self._good = self._heeded(reading)
        except Exception as exc:
            if self._good is None:
                raise
            log.warning("the settings can't be read; the last ones stay in force: %s", type(exc).__name__)
        self._read_at = now
        return self._good

    def latest(self) -> Settings:
        """What was last read, without a look; the defaults if nothing was."""
        return self._good or DEFAULTS

    def _heeded(self, reading: Reading) -> Settings:
        self.problems = reading.problems
        self._say_once(reading)
        if not reading.problems:
            return reading.settings
        return self._good or self._newest_valid() or reading.settings

    def _newest_valid(self) -> Settings | None:
        """Of the history. Only an invalid item leads here."""
        pk, prefix = settings_version_key()
        for item in reversed(self._table.query(pk, prefix)):
            reading = read_item(item)
            if not reading.problems:
                return reading.settings
        return None

    def _say_once(self, reading: Reading) -> None:
        told = (*reading.problems, *reading.unknown)
        if told == self._said:
            return
        self._said = told
        if reading.unknown:
            log.warning(
                "settings of another version are ignored",
                extra={"item": SETTINGS, "unknown": list(reading.unknown)},
            )
        if reading.problems:
            log.error(
                "the stored settings are invalid; the last valid ones stay in force: tocsin settings history",
                extra={"item": SETTINGS, "problems": list(reading.problems)},
            )
