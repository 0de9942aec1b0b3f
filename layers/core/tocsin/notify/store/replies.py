"""What recipients answered, one item for each message of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.dynamo.patient_table import PatientTable
from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Put
from tocsin.notify.notification import REPLY_RECEIVED
from tocsin.notify.store.codec import KEPT_SECONDS, present
from tocsin.tables.notifications import reply_key
from tocsin.timestamps import to_seconds


class Replies:
    """The items that hold replies."""

    def __init__(self, table: PatientTable) -> None:
        self._table = table

    def put(self, account: str, user: str, message_id: str, reply: Mapping[str, Any], at: int) -> bool:
        """Keep an answer of `user` (bare JID) and tell the world, once per message id; whether it is news.

        `reply`: what the event shall say, such as text, ticket_id, notification_id, audience. `at`: ms.
        """
        kept = {
            **reply,
            "account": account,
            "user": user,
            "message_id": message_id,
            "received_at": at,
            "outcome": REPLY_RECEIVED,
            "outcome_at": at,
            "expire_at": to_seconds(at) + KEPT_SECONDS,
        }
        try:
            self._table.put(Put(reply_key(account, user, message_id), present(kept), when=(ITEM_ABSENT,)))
        except ConditionFailed:
            return False
        return True

    def about(self, account: str, user: str, notification_id: str) -> list[dict[str, Any]]:
        """What `user` (bare JID) answered to a notification, oldest first. For the operator: it reads all
        that they ever answered."""
        pk, _ = reply_key(account, user)
        found: list[dict[str, Any]] = [
            dict(item) for item in self._table.query(pk) if item.get("notification_id") == notification_id
        ]
        return sorted(found, key=lambda reply: reply["received_at"])
