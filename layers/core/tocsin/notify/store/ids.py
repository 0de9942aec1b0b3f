"""The secret that ids of notifications are made with, and the ids of before there was one.

A message id is made of a notification's id, and whoever knows one may ask for the message. So an id must not
be something that others can compute from a ticket's number: it is an HMAC under 32 random bytes of the
deployment. They are made once, by whoever plans first, and never change: planned again, an event has to make
the same notifications.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Item, Put
from tocsin.notify.notification import guessable_id, notification_id
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import ids_secret_key
from tocsin.timestamps import from_seconds

SECRET_BYTES = 32


@dataclass(frozen=True)
class Secret:
    """`made_at`: when the deployment began to use it (ms)."""

    key: bytes = field(repr=False)
    made_at: int


class Ids:
    """Makes ids of notifications. One request in the life of a container, two in that of a deployment."""

    def __init__(
        self,
        table: NotificationsTable,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes],
    ) -> None:
        self._table = table
        self._clock = clock
        self._random = random
        self._secret: Secret | None = None

    def of(
        self, account: str, ticket_id: str, event_type: str, revision: int, audience: str, *recipient: str
    ) -> str:
        """The id of the message about this event to this recipient."""
        key = self.secret.key
        return notification_id(key, account, ticket_id, event_type, revision, audience, *recipient)

    def of_before(
        self, account: str, ticket_id: str, event_type: str, revision: int, audience: str, *recipient: str
    ) -> str | None:
        """The id that it may have got before there was a secret; None once nothing of that time is kept.

        An event that was planned then and comes again now must not be told twice.
        """
        if self._clock() > self._table.expire_at(self.secret.made_at):
            return None
        return guessable_id(account, ticket_id, event_type, revision, audience, *recipient)

    @property
    def secret(self) -> Secret:
        if self._secret is None:
            self._secret = self._read() or self._make()
        return self._secret

    def _read(self) -> Secret | None:
        return _secret_of(self._table.get(ids_secret_key()))

    def _make(self) -> Secret:
        """Whoever is first makes it; all others use that one."""
        made = Secret(self._random(SECRET_BYTES), from_seconds(self._clock()))
        kept: Item = {"secret": made.key, "made_at": made.made_at}
        try:
            self._table.put(Put(ids_secret_key(), kept, when=(ITEM_ABSENT,)))
        except ConditionFailed as refused:
            return _secret_of(refused.item) or self._read() or made
        return made


def _secret_of(item: Item | None) -> Secret | None:
    key, made_at = (item or {}).get("secret"), (item or {}).get("made_at")
    if not isinstance(key, bytes) or not isinstance(made_at, int):
        return None
    return Secret(key, made_at)
