"""The queue of stanzas that waited for us: fetched in batches after login, until the server says that it is
empty."""

from __future__ import annotations

from typing import Final

from tocsin.whatsapp.events import Event, OfflineDone

OFFLINE_SECONDS: Final = 20.0
"""After login, or after the last queued stanza, before the end of the queue is taken as said."""
OFFLINE_MOST_SECONDS: Final = 300.0
"""After login, before the end of the queue is taken as said, whatever still comes out of it: else a server
that goes on delivering, a stanza now and then, would keep the account from sending for ever."""

OFFLINE_BATCH: Final = 100


class OfflineQueue:
    """`deadline`: when its end is taken as said; None before login and after the end."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self._bound = 0.0
        self._over = False
        self._seen = 0

    def logged_in(self, now: float) -> None:
        self.deadline = now + OFFLINE_SECONDS
        self._bound = now + OFFLINE_MOST_SECONDS

    def took(self, now: float) -> bool:
        """A stanza came out of the queue. True if the next batch has to be asked for."""
        if self._over:
            return False
        if self.deadline is not None:
            self.deadline = min(now + OFFLINE_SECONDS, self._bound)
        self._seen += 1
        return self._seen % OFFLINE_BATCH == 0

    def over(self) -> list[Event]:
        """The server says that the queue is empty."""
        self._over = True
        return self._end(complete=True)

    def tick(self, now: float) -> list[Event]:
        if self.deadline is None or now < self.deadline:
            return []
        return self._end(complete=False)

    def _end(self, *, complete: bool) -> list[Event]:
        if self.deadline is None:
            return []
        self.deadline = None
        return [OfflineDone(complete)]
