"""The ledger of recoveries: each time somebody couldn't read, why, what was done, and whether it healed.

| pk                 | sk                   | holds                                              |
| ------------------ | -------------------- | -------------------------------------------------- |
| `recoveries#A#DAY` | `theirs#N#device`    | their device couldn't read our notification N      |
| `recoveries#A#DAY` | `ours#hash#device`   | we couldn't read a message of theirs               |

DAY is the day (UTC) on which it began. One item for one device and message, however often it asks. A day is
one query, so statistics need neither an index nor a scan, and nothing of this lies on the way of a send. The
items outlive the notifications (`KEPT_SECONDS`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.notify.store.attributes import Item, from_item
from tocsin.notify.store.change import Change

KEPT_SECONDS = 90 * 24 * 3600

THEIRS = "theirs"
OURS = "ours"

# A message that heals did so long before two days are over; what took longer was given up by its sender.
_DAYS_LOOKED_BACK = 2

# Nothing is healed of which nobody said that it was ill.
KNOWN_AS_ILL = "attribute_exists(first_at)"


@dataclass(frozen=True)
class UnreadableMessage:
    """Who couldn't read what. `side`: `theirs` or `ours`. `user`: the recipient (bare JID). `device`: theirs,
    a full JID. `about`: the notification, or the id of their stanza."""

    side: str
    account: str
    user: str
    device: str
    about: str

    @property
    def sort_key(self) -> str:
        # Stanza ids come from outside and may hold anything.
        about = self.about if self.side == THEIRS else hashlib.sha256(self.about.encode()).hexdigest()[:18]
        return f"{self.side}#{about}#{self.device}"


@dataclass(frozen=True)
class RecoveryRecord:
    """One illness from its first sign to its end. Times in milliseconds.

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


class Ledger:
    """Recoveries in the notifications table behind `client` (a boto3 DynamoDB client)."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def asked(
        self, illness: UnreadableMessage, *, since: int, at: int, cause: str, rebuilt: str = ""
    ) -> None:
        """A request to send again was answered (or, of ours, made). `since` (ms): when the first was."""
        change = self._noting(illness, since, at, cause)
        change.add("requests", 1)
        if rebuilt:
            change.set("rebuilt", rebuilt)
        self._update(illness, since, change)

    def failed(self, illness: UnreadableMessage, *, since: int, at: int, cause: str, failure: str) -> None:
        """It was given up."""
        change = self._noting(illness, since, at, cause)
        change.set("failed_at", at)
        change.set("failure", failure)
        self._update(illness, since, change)

    def healed(
        self, illness: UnreadableMessage, *, at: int, since: int | None = None
    ) -> RecoveryRecord | None:
        """It was read after all; the illness, if it was known. `since` unknown: one of the last days."""
        started = (
            [since] if since is not None else [at - day * 86_400_000 for day in range(_DAYS_LOOKED_BACK)]
        )
        healed = (self._heal(illness, moment, at) for moment in started)
        return next((episode for episode in healed if episode is not None), None)

    def episodes(self, account: str, days: int, now: int) -> Iterator[RecoveryRecord]:
        """What began in the last `days` days (today is one of them), day by day, newest day first."""
        for back in range(days):
            yield from self._query(_partition(account, now - back * 86_400_000), "")

    def of_notification(
        self, account: str, notification_id: str, moments: Iterable[int]
    ) -> list[RecoveryRecord]:
        """What is known of a notification, as far as it began on the days of these moments (ms)."""
        days = sorted({_partition(account, moment) for moment in moments})
        return [found for day in days for found in self._query(day, f"{THEIRS}#{notification_id}#")]

    def _query(self, partition: str, prefix: str) -> Iterator[RecoveryRecord]:
        condition, values = "pk = :pk", {":pk": {"S": partition}}
        if prefix:
            condition, values[":prefix"] = f"{condition} AND begins_with(sk, :prefix)", {"S": prefix}
        start: dict[str, Any] = {}
        while True:
            page = self._client.query(
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                **start,
            )
            yield from (_episode(item) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _noting(self, illness: UnreadableMessage, since: int, at: int, cause: str) -> Change:
        change = Change(outcome=False)
        for name in ("side", "account", "user", "device", "about"):
            change.set(name, getattr(illness, name))
        change.set_first("cause", cause)
        change.set_first("first_at", since)
        change.set("last_at", at)
        change.set("expire_at", since // 1000 + KEPT_SECONDS)
        return change

    def _heal(self, illness: UnreadableMessage, since: int, at: int) -> RecoveryRecord | None:
        change = Change(outcome=False)
        change.set_first("healed_at", at)
        change.require(KNOWN_AS_ILL)
        return self._update(illness, since, change)

    def _update(self, illness: UnreadableMessage, since: int, change: Change) -> RecoveryRecord | None:
        """The entry as it is now; None if the condition refused the change."""
        from botocore.exceptions import ClientError

        key = {"pk": {"S": _partition(illness.account, since)}, "sk": {"S": illness.sort_key}}
        try:
            answer = self._client.update_item(
                TableName=self._table, Key=key, ReturnValues="ALL_NEW", **change.expressions()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return None
        return _episode(answer["Attributes"])


def _partition(account: str, at: int) -> str:
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    return f"recoveries#{account}#{day:%Y-%m-%d}"


def _episode(item: Item) -> RecoveryRecord:
    values = from_item(item)
    names = RecoveryRecord.__dataclass_fields__
    return RecoveryRecord(**{name: value for name, value in values.items() if name in names})
