"""Recoveries: each time somebody couldn't read, why, what was done, and whether it healed.

One item for one device and message, however often it asks, under the day (UTC) on which it began. A day is
one query, so statistics need neither an index nor a scan, and nothing of this lies on the way of a send. The
items are kept as long as notifications are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import Exists, Item, Key, Update
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import recoveries_pk, recovery_sk, stanza_name

THEIRS = "theirs"
OURS = "ours"

# A message that heals did so long before two days are over; what took longer was given up by its sender.
_DAYS_LOOKED_BACK = 2

# Nothing heals that nobody complained of.
COMPLAINED_OF = (Exists("first_at"),)

_MS_PER_DAY = 86_400_000


@dataclass(frozen=True)
class UnreadableMessage:
    """Who couldn't read what. `side`: `theirs` or `ours`. `user`: the recipient (bare JID). `device`: theirs,
    a full JID. `about`: the notification, or the id of their stanza."""

    side: str
    account: str
    user: str
    device: str
    about: str

    def key(self, since: int) -> Key:
        """Where its record lies if it began at `since` (ms)."""
        about = self.about if self.side == THEIRS else stanza_name(self.about)
        return recoveries_pk(self.account, since), recovery_sk(self.side, about, self.device)


@dataclass(frozen=True)
class RecoveryRecord:
    """One message that couldn't be read, from the first complaint to its end. Times in milliseconds.

    `cause`: the first complaint. `requests`: how often it was asked again. `rebuilt`: where the last new
    session came from (`keys`, `bundle`), empty if the old one served. `failure`: why it was given up.
    """

    side: str
    account: str
    user: str
    device: str
    about: str
    cause: str
    first_at: int
    last_at: int
    requests: int = 0
    rebuilt: str = ""
    healed_at: int | None = None
    failed_at: int | None = None
    failure: str = ""

    @property
    def healed(self) -> bool:
        return self.healed_at is not None

    @property
    def failed(self) -> bool:
        return self.failed_at is not None and not self.healed

    @property
    def seconds_to_heal(self) -> float | None:
        return None if self.healed_at is None else max(self.healed_at - self.first_at, 0) / 1000


class Recoveries:
    """The records of recoveries. `at`, `since`: milliseconds; `since`: when the first complaint was."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def asked(
        self, unreadable: UnreadableMessage, *, since: int, at: int, cause: str, rebuilt: str = ""
    ) -> None:
        """A request to send again was answered (or, of ours, made)."""
        noted = self._noted(unreadable, since, at, cause, {"rebuilt": rebuilt} if rebuilt else {})
        self._table.update(noted._replace(add={"requests": 1}))

    def failed(self, unreadable: UnreadableMessage, *, since: int, at: int, cause: str, failure: str) -> None:
        """It was given up."""
        self._table.update(self._noted(unreadable, since, at, cause, {"failed_at": at, "failure": failure}))

    def healed(
        self, unreadable: UnreadableMessage, *, at: int, since: int | None = None
    ) -> RecoveryRecord | None:
        """It was read after all; its record, if anybody had complained. `since` unknown: one of the last
        days."""
        days = [at - day * _MS_PER_DAY for day in range(_DAYS_LOOKED_BACK)]
        healed = (self._heal(unreadable, day, at) for day in (days if since is None else [since]))
        return next((record for record in healed if record is not None), None)

    def _heal(self, unreadable: UnreadableMessage, since: int, at: int) -> RecoveryRecord | None:
        update = Update(unreadable.key(since), set_first={"healed_at": at}, when=COMPLAINED_OF)
        try:
            return _record(self._table.update(update))
        except ConditionFailed:
            return None

    def _noted(
        self, unreadable: UnreadableMessage, since: int, at: int, cause: str, more: dict[str, str | int]
    ) -> Update:
        known = {**vars(unreadable), "last_at": at, "expire_at": self._table.expire_at(since), **more}
        return Update(unreadable.key(since), set=known, set_first={"cause": cause, "first_at": since})

    def of_days(self, account: str, days: int, now: int) -> Iterator[RecoveryRecord]:
        """What began in the last `days` days (today is one of them), day by day, newest day first."""
        for back in range(days):
            yield from map(_record, self._table.walk(recoveries_pk(account, now - back * _MS_PER_DAY)))

    def of_notification(
        self, account: str, notification_id: str, moments: Iterable[int]
    ) -> list[RecoveryRecord]:
        """What is known of a notification, as far as it began on the days of these moments (ms)."""
        days = sorted({recoveries_pk(account, moment) for moment in moments})
        prefix = recovery_sk(THEIRS, notification_id)
        return [_record(item) for day in days for item in self._table.query(day, prefix)]


def _record(item: Item) -> RecoveryRecord:
    values: dict[str, Any] = dict(item)
    names = RecoveryRecord.__dataclass_fields__
    return RecoveryRecord(**{name: value for name, value in values.items() if name in names})
