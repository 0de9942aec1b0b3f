"""How much of what we ourselves hold back goes with one sweep: about as much as the connector lets through.

All at once would come back at once, and each way there and back is paid for. What the connector has counted
is read, once in a sweep that has something to put back; it is a minute old at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tocsin.notify.store.parking import WaitingRow
from tocsin.pace.causes import FIRST_CONTACT_PACE, OWN_HOLDS, RECIPIENT_PACE
from tocsin.pace.ledger import Ledger
from tocsin.pace.pacer import room_of
from tocsin.pace.rules import is_paused, rules_of
from tocsin.settings.values import Settings

Counts = Callable[[str], Mapping[str, Any] | None]
"""The stored counts of an account, None without any."""


def uncounted(account: str) -> None:
    """What is counted where nobody says so: nothing."""


class Portions:
    """What may go in one walk through an account's rows, asked in their order. `now`: Unix seconds."""

    def __init__(self, account: str, settings: Settings, counts: Counts, now: float) -> None:
        self._account = account
        self._settings = settings
        self._counts = counts
        self._now = now
        self._left: int | None = None
        self._first_left = 0
        self._paced: set[str] = set()
        self._alone: set[str] = set()

    def holds(self, row: WaitingRow) -> bool:
        """Whether a pause holds it."""
        return is_paused(self._settings, self._account, row.audience)

    def take(self, row: WaitingRow) -> bool:
        """Whether one that is due goes with this sweep. If not, no later one of its recipient does."""
        if row.recipient in self._alone:
            return False
        if row.cause not in OWN_HOLDS and row.recipient not in self._paced:
            return True
        left, is_first = self._room(), row.cause == FIRST_CONTACT_PACE
        if left <= 0 or (is_first and self._first_left <= 0):
            return False
        self._left = left - 1
        self._first_left -= is_first
        self._paced.add(row.recipient)
        if row.cause == RECIPIENT_PACE:
            self._alone.add(row.recipient)
        return True

    def is_full(self, row: WaitingRow) -> bool:
        """Whether it wasn't taken for want of room."""
        return row.recipient not in self._alone

    def _room(self) -> int:
        if self._left is None:
            rules = rules_of(self._settings, self._account, None)
            ledger = Ledger.of_item(self._counts(self._account) or {})
            self._left = room_of(ledger, rules, self._now, first_contact=False)
            self._first_left = room_of(ledger, rules, self._now, first_contact=True)
        return self._left
