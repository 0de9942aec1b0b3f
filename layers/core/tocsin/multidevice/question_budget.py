"""How often somebody may make us ask for messages that we can't read.

Each question is a stanza of ours, and from the second one on a prekey that is stored. Both would be had for
the asking: whoever writes what nobody can read gets one for every message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from tocsin.timestamps import from_seconds

log = logging.getLogger(__name__)

QUESTIONS_PER_HOUR: Final = 30
"""To one sender, all of their devices and groups together. A phone that lost its session repeats what it
wrote since, and the first question with keys ends that."""

OVER_BUDGET: Final = "over-budget"
"""What a report calls a message that isn't asked for."""


class QuestionBudget:
    """`count(account, user, at)`: one more question to `user` (bare JID) in the hour of `at` (ms); how
    many."""

    def __init__(
        self,
        count: Callable[[str, str, int], int],
        *,
        per_hour: int = QUESTIONS_PER_HOUR,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._count = count
        self._per_hour = per_hour
        self._clock = clock

    def is_spent(self, account: str, user: str) -> bool:
        """Charge one question; whether the hour's were used up before it. Said once in the hour."""
        asked = self._count(account, user, from_seconds(self._clock()))
        if asked == self._per_hour + 1:
            log.warning("too many unreadable messages of a sender", extra={"per_hour": self._per_hour})
        return asked > self._per_hour
