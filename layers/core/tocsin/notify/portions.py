"""How much of what we ourselves hold back goes with one sweep: about as much as the connector lets through.

All at once would come back at once, and each way there and back is paid for.
"""

from __future__ import annotations

from tocsin.notify.store.parking import WaitingRow
from tocsin.pace.causes import FIRST_CONTACT_PACE, OWN_HOLDS, RECIPIENT_PACE
from tocsin.pace.rules import Rules, is_paused, rules_of
from tocsin.settings.values import Settings

MINUTES_PER_HOUR = 60


class Portions:
    """What may go in one walk through an account's rows, asked in their order."""

    def __init__(self, account: str, settings: Settings) -> None:
        self._account = account
        self._settings = settings
        rules = rules_of(settings, account, None)
        self._left = rules.per_minute
        self._first_left = portion_of_first_contacts(rules)
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
        if self._left <= 0 or (row.cause == FIRST_CONTACT_PACE and self._first_left <= 0):
            return False
        self._left -= 1
        self._first_left -= row.cause == FIRST_CONTACT_PACE
        self._paced.add(row.recipient)
        if row.cause == RECIPIENT_PACE:
            self._alone.add(row.recipient)
        return True


def portion_of_first_contacts(rules: Rules) -> int:
    """Return how many first contacts a minute has room for, one at least."""
    return max(-(-rules.first_per_hour // MINUTES_PER_HOUR), 1)
