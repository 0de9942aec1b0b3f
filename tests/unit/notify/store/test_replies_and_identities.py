"""Replies are kept once, changes of identity are told once an hour."""

from __future__ import annotations

from tests.support.notification_stores import USER, StoredNotification
from tests.support.sealed_texts import TEXTS
from tocsin.notify.store.replies import open_reply
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import identity_change_key, reply_key

HOUR = 3_600_000


def test_a_change_of_identity_is_news_once_an_hour(stored: StoredNotification) -> None:
    put = stored.stores.identity_changes.put
    told = {"by": "message", "new_fingerprint": "aa"}
    assert [put("default", USER, 2, told, "aa", at) for at in (5, 6, HOUR + 5)] == [True, False, True]
    item = stored.table.get(identity_change_key("default", USER, 2, "aa", 5))
    assert item is not None
    assert (item["outcome"], item["by"], item["device"]) == ("IdentityChanged", "message", 2)


def test_changes_of_identity_are_listed_oldest_first(stores: Stores) -> None:
    for device, at in ((1, 7), (2, 3), (10, 5)):
        stores.identity_changes.put("default", USER, device, {}, "aa", at)
    changes = stores.identity_changes.of("default", USER)
    assert [change["changed_at"] for change in changes] == [3, 5, 7]


def test_a_reply_is_kept_once(stored: StoredNotification) -> None:
    put = stored.stores.replies.put
    assert put("default", USER, "ABC", {"text": "thanks", "ticket_id": None}, 5)
    assert not put("default", USER, "ABC", {"text": "another"}, 6)
    item = stored.table.get(reply_key("default", USER, "ABC"))
    assert item is not None
    assert item["outcome"] == "ReplyReceived"
    assert open_reply(item, TEXTS)["text"] == "thanks"
    assert "ticket_id" not in item


def test_what_was_told_without_its_content_is_told_once_more_with_it(stored: StoredNotification) -> None:
    put = stored.stores.replies.put
    assert put("default", USER, "ABC", {"kind": "unavailable"}, 5, unread=True)
    assert not put("default", USER, "ABC", {"kind": "unavailable"}, 5, unread=True)
    assert put("default", USER, "ABC", {"kind": "text", "text": "thanks"}, 5)
    assert not put("default", USER, "ABC", {"kind": "unavailable"}, 5, unread=True)
    assert not put("default", USER, "ABC", {"kind": "text", "text": "another"}, 5)
    item = stored.stores.replies.get("default", USER, "ABC")
    assert item is not None
    assert (item["kind"], item["text"], "unread" in item) == ("text", "thanks", False)


def test_what_nobody_wrote_is_not_found(stores: Stores) -> None:
    assert stores.replies.get("default", USER, "ABC") is None


def test_the_replies_to_a_notification_are_listed_oldest_first(stores: Stores) -> None:
    for message, about, at in (("A", "n1", 9), ("B", "n2", 5), ("C", "n1", 3)):
        stores.replies.put("default", USER, message, {"notification_id": about}, at)
    assert [reply["message_id"] for reply in stores.replies.about("default", [USER], "n1")] == ["C", "A"]
