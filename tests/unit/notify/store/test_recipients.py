"""What is remembered of recipients: each thing is news once."""

from __future__ import annotations

from tests.support.notification_stores import USER, StoredNotification
from tests.support.sealed_texts import TEXTS
from tocsin.notify.store.recipients import Conduct
from tocsin.notify.store.replies import open_reply
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import identity_change_key, reply_key

HOUR = 3_600_000


def test_nothing_is_known_of_a_stranger(stores: Stores) -> None:
    assert stores.recipients.conduct("default", "nobody@s.whatsapp.net") == Conduct()


def test_an_opt_out_is_news_once_and_confirmed_once(stores: Stores) -> None:
    recipients = stores.recipients
    assert recipients.opt_out("default", USER, "BERHENTI", 5)
    assert not recipients.opt_out("default", USER, "BERHENTI", 6)
    assert recipients.confirm_opt_out("default", USER, 7)
    assert not recipients.confirm_opt_out("default", USER, 8)
    conduct = recipients.conduct("default", USER)
    assert (conduct.opted_out_at, conduct.opt_out_word, conduct.confirmed_at) == (5, "BERHENTI", 7)


def test_an_opt_in_takes_it_back(stores: Stores) -> None:
    recipients = stores.recipients
    assert not recipients.opt_in("default", USER)
    recipients.opt_out("default", USER, "STOP", 5)
    assert recipients.opt_in("default", USER)
    assert recipients.conduct("default", USER).opted_out_at is None
    assert not recipients.confirm_opt_out("default", USER, 8)


def test_recoveries_count_until_a_delivery(stores: Stores) -> None:
    recipients = stores.recipients
    assert [recipients.count_recovery("default", USER) for _ in range(3)] == [1, 2, 3]
    recipients.note_delivery("default", USER, "0123456789abcdef01")
    assert recipients.count_recovery("default", USER) == 1
    assert recipients.conduct("default", USER).last_notification == "0123456789abcdef01"


def test_recoveries_of_an_hour_are_counted_apart(stores: Stores) -> None:
    count = stores.recipients.count_recovery_in_hour
    assert [count("default", USER, at) for at in (1, HOUR - 1, HOUR)] == [1, 2, 1]


def test_a_change_of_identity_is_news_once_an_hour(stored: StoredNotification) -> None:
    put = stored.stores.recipients.put_identity_change
    told = {"by": "message", "new_fingerprint": "aa"}
    assert [put("default", USER, 2, told, "aa", at) for at in (5, 6, HOUR + 5)] == [True, False, True]
    item = stored.table.get(identity_change_key("default", USER, 2, "aa", 5))
    assert item is not None
    assert (item["outcome"], item["by"], item["device"]) == ("IdentityChanged", "message", 2)


def test_changes_of_identity_are_listed_oldest_first(stores: Stores) -> None:
    for device, at in ((1, 7), (2, 3), (10, 5)):
        stores.recipients.put_identity_change("default", USER, device, {}, "aa", at)
    changes = stores.recipients.identity_changes("default", USER)
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


def test_the_replies_to_a_notification_are_listed_oldest_first(stores: Stores) -> None:
    for message, about, at in (("A", "n1", 9), ("B", "n2", 5), ("C", "n1", 3)):
        stores.replies.put("default", USER, message, {"notification_id": about}, at)
    assert [reply["message_id"] for reply in stores.replies.about("default", USER, "n1")] == ["C", "A"]
