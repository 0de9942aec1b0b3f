"""What recipients answered, one item for each message of theirs.

    sealed                                         text, kind, and all else that the event tells (`texts.py`)
    kind, notification_id, ticket_id, audience,    beside that in the clear, absent where there is nothing: by
    consent                                        these a reply is found, and none tells of its words
    account, user, message_id, received_at         whose, and when they wrote it (ms)
    unread                                         true: that they wrote is all that is known
    watching, watch_due                            awaited: told by then (ms), if its content hasn't come

An item without `outcome` was not told to the world. An edit and a deletion are items of their own, under
their own message id; the item that they change stays. Items from before texts were sealed hold all of it as
attributes of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, AnyOf, Condition, Exists, Item, Key, Put, Update
from tocsin.notify.notification import REPLY_RECEIVED
from tocsin.notify.store.codec import present
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.texts import SEALED, Texts, TextWithheld
from tocsin.tables.notifications import WATCH, reply_key

_IN_THE_CLEAR = ("kind", "notification_id", "ticket_id", "audience", "consent")

# Nothing was told of this message yet, or only that it came.
CONTENT_IS_NEWS = (AnyOf((ITEM_ABSENT, Exists("unread"))),)
# Nothing is known of this message, or only that it is awaited.
ABSENCE_IS_NEWS = (AnyOf((ITEM_ABSENT, Exists("watching"))),)
AWAITED = (Exists("watching"),)


class Replies:
    """The items that hold replies."""

    def __init__(self, table: NotificationsTable) -> None:
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

        `reply`: what the event shall say, such as text, ticket_id, notification_id, audience: a JSON object.
        `at`: ms. `unread`: the content isn't known. If it comes later, that is news once more. Raises
        TextWithheld where texts can't be sealed.
        """
        told: Item = {"outcome": REPLY_RECEIVED, "outcome_at": at, **({"unread": True} if unread else {})}
        news = ABSENCE_IS_NEWS if unread else CONTENT_IS_NEWS
        return self._put(account, user, message_id, reply, at, told, news)

    def expect(
        self, account: str, user: str, message_id: str, reply: Mapping[str, Any], at: int, due_at: int
    ) -> bool:
        """Keep that `user` wrote what may still become readable; the world is told at `due_at` (ms), if the
        content hasn't come (`tell_overdue`). Raises TextWithheld where texts can't be sealed."""
        awaited: Item = {"unread": True, "watching": _watch(account), "watch_due": due_at}
        return self._put(account, user, message_id, reply, at, awaited, (ITEM_ABSENT,))

    def _put(
        self,
        account: str,
        user: str,
        message_id: str,
        reply: Mapping[str, Any],
        at: int,
        told: Item,
        when: tuple[Condition, ...],
    ) -> bool:
        key = reply_key(account, user, message_id)
        kept = {
            **{name: reply.get(name) for name in _IN_THE_CLEAR},
            SEALED: self._table.texts.seal(present(reply), key),
            **told,
            "account": account,
            "user": user,
            "message_id": message_id,
            "received_at": at,
            "expire_at": self._table.expire_at(at),
        }
        try:
            self._table.put(Put(key, present(kept), when=when))
        except ConditionFailed:
            return False
        return True

    def expect_no_more(self, account: str, user: str, message_id: str) -> None:
        """What was awaited turned out to be nothing that a person wrote."""
        self._change(reply_key(account, user, message_id), {})

    def tell_overdue(self, account: str, now: int, limit: int = 100) -> int:
        """Tell the world of what was awaited until now (ms) in vain; how many."""
        keys = self._table.indexed(WATCH, _watch(account), at_most=now, limit=limit)
        return sum(self._change(key, {"outcome": REPLY_RECEIVED, "outcome_at": now}) for key in keys)

    def _change(self, key: Key, outcome: Item) -> bool:
        """No more awaited, with this outcome; whether it was."""
        try:
            self._table.update(Update(key, set=outcome, remove=("watching", "watch_due"), when=AWAITED))
        except ConditionFailed:
            return False
        return True

    def get(self, account: str, user: str, message_id: str) -> dict[str, Any] | None:
        """What `user` (bare JID) wrote in one message, as far as it can be opened (`reply_of_item`); `None`
        if it isn't kept."""
        item = self._table.get(reply_key(account, user, message_id))
        return None if item is None else reply_of_item(item, self._table.texts)

    def about(self, account: str, names: Iterable[str], notification_id: str) -> list[dict[str, Any]]:
        """What a person, under any of these names (bare JIDs), answered to a notification, oldest first, as
        far as it can be opened (`reply_of_item`). For the operator: it reads all that they ever answered."""
        found: list[dict[str, Any]] = [
            reply_of_item(item, self._table.texts)
            for name in names
            for item in self._table.query(reply_key(account, name)[0])
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


def _watch(account: str) -> str:
    """The partition of the index `watch` for replies: notifications have one of their own."""
    return f"{account}#replies"
