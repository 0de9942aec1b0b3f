"""What recipients answered, one item for each message of theirs.

    text, kind, and what else the event tells      flat, one attribute each, absent where there is nothing
    account, user, message_id, received_at         whose, and when they wrote it (ms)
    unread                                         true: that they wrote is all that is known

An edit and a deletion are items of their own, under their own message id; the item that they change stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.dynamo.patient_table import PatientTable
from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, AnyOf, Exists, Put
from tocsin.notify.notification import REPLY_RECEIVED
from tocsin.notify.store.codec import KEPT_SECONDS, present
from tocsin.tables.notifications import reply_key
from tocsin.timestamps import to_seconds

# Nothing was told of this message yet, or only that it came.
CONTENT_IS_NEWS = (AnyOf((ITEM_ABSENT, Exists("unread"))),)


class Replies:
    """The items that hold replies."""

    def __init__(self, table: PatientTable) -> None:
        self._table = table

    def put(
        self,
        account: str,
        user: str,
        message_id: str,
        reply: Mapping[str, Any],
        at: int,
        *,
        unread: bool = False,
    ) -> bool:
        """Keep an answer of `user` (bare JID) and tell the world, once per message id; whether it is news.

        `reply`: what the event shall say, such as text, ticket_id, notification_id, audience. `at`: ms.
        `unread`: the content isn't known. If it comes later, that is news once more.
        """
        kept = {
            **reply,
            "account": account,
            "user": user,
            "message_id": message_id,
            "received_at": at,
            "unread": unread or None,
            "outcome": REPLY_RECEIVED,
            "outcome_at": at,
            "expire_at": to_seconds(at) + KEPT_SECONDS,
        }
        news = (ITEM_ABSENT,) if unread else CONTENT_IS_NEWS
        try:
            self._table.put(Put(reply_key(account, user, message_id), present(kept), when=news))
        except ConditionFailed:
            return False
        return True

    def get(self, account: str, user: str, message_id: str) -> dict[str, Any] | None:
        """What `user` (bare JID) wrote in one message; `None` if it isn't kept."""
        item = self._table.get(reply_key(account, user, message_id))
        return None if item is None else dict(item)

    def about(self, account: str, user: str, notification_id: str) -> list[dict[str, Any]]:
        """What `user` (bare JID) answered to a notification, oldest first. For the operator: it reads all
        that they ever answered."""
        pk, _ = reply_key(account, user)
        found: list[dict[str, Any]] = [
            dict(item) for item in self._table.query(pk) if item.get("notification_id") == notification_id
        ]
        return sorted(found, key=lambda reply: reply["received_at"])
