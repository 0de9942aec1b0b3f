"""What recipients answered, one item for each message of theirs.

All that is known of a reply is sealed as one (`texts.py`), whatever kinds of replies there will be. A few
attributes that say nothing of its words stand beside it in the clear, for who looks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Item, Put
from tocsin.notify.notification import REPLY_RECEIVED
from tocsin.notify.store.codec import present
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.texts import SEALED, Texts, TextWithheld
from tocsin.tables.notifications import reply_key

_IN_THE_CLEAR = ("kind", "notification_id", "ticket_id", "audience", "consent")
"""By these a reply is found: `ticket_id` is the key of an index."""


class Replies:
    """The items that hold replies."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def put(self, account: str, user: str, message_id: str, reply: Mapping[str, Any], at: int) -> bool:
        """Keep an answer of `user` (bare JID) and tell the world, once per message id; whether it is news.

        `reply`: what the event shall say, such as text, ticket_id, notification_id, audience: a JSON object.
        `at`: ms. Raises TextWithheld where texts can't be sealed.
        """
        key = reply_key(account, user, message_id)
        kept = {
            **{name: reply.get(name) for name in _IN_THE_CLEAR},
            SEALED: self._table.texts.seal(present(reply), key),
            "account": account,
            "user": user,
            "message_id": message_id,
            "received_at": at,
            "outcome": REPLY_RECEIVED,
            "outcome_at": at,
            "expire_at": self._table.expire_at(at),
        }
        try:
            self._table.put(Put(key, present(kept), when=(ITEM_ABSENT,)))
        except ConditionFailed:
            return False
        return True

    def about(self, account: str, user: str, notification_id: str) -> list[dict[str, Any]]:
        """What `user` (bare JID) answered to a notification, oldest first; `withheld` says why one can't be
        opened. For the operator: it reads all that they ever answered."""
        pk, _ = reply_key(account, user)
        found: list[dict[str, Any]] = [
            reply_of_item(item, self._table.texts)
            for item in self._table.query(pk)
            if item.get("notification_id") == notification_id
        ]
        return sorted(found, key=lambda reply: reply["received_at"])


def open_reply(item: Item, texts: Texts) -> dict[str, Any]:
    """A reply with all that was sealed of it: that counts, whatever stands beside it. Raises TextWithheld.

    One from before texts were sealed holds its words in the clear, and one that was erased none.
    """
    values = dict(item)
    sealed = values.pop(SEALED, None)
    if sealed is None:
        return values
    return {**values, **texts.open(sealed, (str(item["pk"]), str(item["sk"])))}


def reply_of_item(item: Item, texts: Texts) -> dict[str, Any]:
    """A reply, as far as it can be opened: if it can't, `withheld` says why."""
    try:
        return open_reply(item, texts)
    except TextWithheld as refusal:
        return {name: value for name, value in item.items() if name != SEALED} | {"withheld": refusal.why}
