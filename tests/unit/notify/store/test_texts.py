"""Texts at rest: the table alone tells no words, and nothing that was moved or altered is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.notification_stores import USER, StoredNotification
from tests.support.notifications import N
from tests.support.sealed_texts import RECORD_SEALER, TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Item, Put, Update, Value
from tocsin.notify.content import (
    DAMAGED,
    ERASED,
    LOCKED,
    Attachment,
    Content,
    Edit,
    File,
    Preview,
    Quote,
    Reaction,
    Text,
    Withheld,
)
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.codec import item_of_notification, notification_of_item
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.texts import SEALED, Texts, TextWithheld
from tocsin.sealing import Place, RecordSealer
from tocsin.tables.notifications import notification_key, reply_key

KEY = notification_key(N.id)
OTHER = replace(N, id="f" * 18, recipient="6289999999999", content=Text("for somebody else"))
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
OPTIONAL = st.none() | WORDS
PREVIEWS = st.none() | st.builds(Preview, WORDS, WORDS, WORDS)
CONTENTS: st.SearchStrategy[Content] = st.one_of(
    st.builds(Text, WORDS, st.none() | st.builds(Quote, WORDS, WORDS), PREVIEWS),
    st.builds(File, st.builds(Attachment, WORDS, WORDS, WORDS), WORDS),
    st.builds(Edit, WORDS, WORDS, st.integers(0, 2**42), PREVIEWS),
    st.builds(Reaction, WORDS, WORDS, st.integers(0, 2**42), OPTIONAL),
)
NOTIFICATIONS = st.builds(
    replace, st.just(N), content=CONTENTS, recipient_name=WORDS, refused_address=OPTIONAL
)


def item_of(notification: Notification) -> dict[str, Any]:
    """It as it lies in the table."""
    pk, sk = notification_key(notification.id)
    return {"pk": pk, "sk": sk, **item_of_notification(notification, expire_at=1, texts=TEXTS)}


def locked(stored: StoredNotification) -> Stores:
    """The same table, seen by who has no key."""
    return Stores(stored.table, stored.keys)


# -- what lies there -----------------------------------------------------------------------------------------


@given(NOTIFICATIONS)
def test_whatever_is_written_is_read(written: Notification) -> None:
    assert notification_of_item(item_of(written), TEXTS) == written


def test_no_word_lies_in_the_table(stored: StoredNotification) -> None:
    secrets = ["TEXT-", "QUOTE-", "TITLE-", "PAGE-", "NAME-", "0812 ask Budi"]
    content = Text("TEXT-", Quote("3EB0AA", "QUOTE-"), Preview("https://t.example/PAGE-", "TITLE-"))
    written = replace(
        N, id="e" * 18, content=content, recipient_name="NAME-", refused_address="0812 ask Budi"
    )
    stored.stores.notifications.put_new(written)
    reply = {"text": "TEXT-", "kind": "location", "place": "PAGE-", "sender_name": "NAME-"}
    stored.stores.replies.put("default", USER, "R1", reply, 5)
    for secret in secrets:
        assert secret not in repr(stored.table.scan().items)


def test_a_reply_says_in_the_clear_what_it_is_found_by(stored: StoredNotification) -> None:
    reply = {"text": "ok", "kind": "text", "notification_id": N.id, "ticket_id": "TCK-1", "seconds": 7}
    stored.stores.replies.put("default", USER, "R1", reply, 5)
    item = stored.table.get(reply_key("default", USER, "R1")) or {}
    assert {"text", "seconds"}.isdisjoint(item)
    assert (item["ticket_id"], item["notification_id"]) == ("TCK-1", N.id)
    [read] = stored.stores.replies.about("default", [USER], N.id)
    assert {name: read[name] for name in reply} == reply


# -- moved, cut, altered -------------------------------------------------------------------------------------


def taken_from(other: Item) -> Callable[[Item], dict[str, Value]]:
    return lambda item: {SEALED: other[SEALED]}


def cut(item: Item) -> dict[str, Value]:
    sealed = item[SEALED]
    assert isinstance(sealed, bytes)
    return {SEALED: sealed[:-1]}


def flipped(item: Item) -> dict[str, Value]:
    sealed = item[SEALED]
    assert isinstance(sealed, bytes)
    return {SEALED: sealed[:-1] + bytes([sealed[-1] ^ 1])}


TAMPERED: dict[str, Callable[[Item], dict[str, Value]]] = {
    "moved here from another": taken_from(item_of(OTHER)),
    "cut": cut,
    "altered": flipped,
    "no bytes": lambda item: {SEALED: "text"},
    "empty": lambda item: {SEALED: b""},
    "for another recipient": lambda item: {"recipient": OTHER.recipient},
    "from another account": lambda item: {"account": "second"},
    "for another audience": lambda item: {"audience": "technician"},
    "past an opt-out": lambda item: {"event_type": "ConsentWithdrawn"},
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_tampered_with_is_withheld_by_name(stored: StoredNotification, how: str) -> None:
    stored.table.update(Update(KEY, set=TAMPERED[how](stored.item)))
    found = stored.stores.notifications.get(N.id)
    assert found is not None
    assert (found.content, found.recipient_name, found.state) == (Withheld(DAMAGED), "", State.PLANNED)


def test_a_whole_record_that_was_moved_is_withheld(stored: StoredNotification) -> None:
    whole = {name: value for name, value in stored.item.items() if name not in ("pk", "sk")}
    stored.table.put(Put(notification_key(OTHER.id), whole))
    found = stored.stores.notifications.get(OTHER.id)
    assert found is not None
    assert found.content == Withheld(DAMAGED)


def test_a_reply_that_was_moved_says_why_it_is_not_told(stored: StoredNotification) -> None:
    stored.stores.replies.put("default", USER, "R1", {"text": "ok", "notification_id": N.id}, 5)
    moved = stored.table.get(reply_key("default", USER, "R1")) or {}
    whole = {name: value for name, value in moved.items() if name not in ("pk", "sk")}
    stored.table.put(Put(reply_key("default", "62899@s.whatsapp.net", "R1"), whole))
    [found] = stored.stores.replies.about("default", ["62899@s.whatsapp.net"], N.id)
    assert (found["withheld"], "text" in found) == (DAMAGED, False)


def test_what_stands_beside_the_seal_of_a_reply_is_not_believed(stored: StoredNotification) -> None:
    reply = {"text": "ok", "consent": "given", "notification_id": N.id}
    stored.stores.replies.put("default", USER, "R1", reply, 5)
    forged: dict[str, Value] = {"text": "STOP", "consent": "withdrawn"}
    stored.table.update(Update(reply_key("default", USER, "R1"), set=forged))
    [found] = stored.stores.replies.about("default", [USER], N.id)
    assert (found["text"], found["consent"]) == ("ok", "given")


def test_under_a_key_that_is_in_no_secret_it_is_withheld(stored: StoredNotification) -> None:
    stranger = RecordSealer({"t2": bytes(32)}, "t2")
    found = Stores(stored.table, texts=Texts(lambda: stranger)).notifications.get(N.id)
    assert found is not None
    assert found.content == Withheld(DAMAGED)


# -- erased, locked ------------------------------------------------------------------------------------------


def test_what_was_erased_leaves_a_record_without_words(stored: StoredNotification) -> None:
    stored.table.update(Update(KEY, remove=(SEALED,)))
    found = stored.stores.notifications.get(N.id)
    assert found is not None
    assert (found.content, found.id, found.ticket_id) == (Withheld(ERASED), N.id, N.ticket_id)


def test_who_has_no_key_sees_all_but_the_words(stored: StoredNotification) -> None:
    found = locked(stored).notifications.get(N.id)
    assert found == replace(N, content=Withheld(LOCKED), recipient_name="")


def test_who_has_no_key_takes_a_notification_on_all_the_same(stored: StoredNotification) -> None:
    blind = locked(stored)
    blind.parking.park(N, "away", 1)
    assert blind.parking.requeue(N.id).applied
    found = stored.stores.notifications.get(N.id)
    assert found is not None
    assert (found.state, found.content) == (State.PLANNED, N.content)


def test_without_a_key_nothing_is_written_rather_than_in_the_clear() -> None:
    table = MemoryTable()
    stores = Stores(table)
    with pytest.raises(TextWithheld):
        stores.notifications.put_new(N)
    with pytest.raises(TextWithheld):
        stores.replies.put("default", USER, "R1", {"text": "ok"}, 5)
    assert table.scan().items == []


def test_words_that_are_withheld_are_never_written_back() -> None:
    with pytest.raises(ValueError, match=DAMAGED):
        item_of_notification(replace(N, content=Withheld(DAMAGED)), 1, TEXTS)


# -- twins: what the place and the binding are for -----------------------------------------------------------


def test_a_seal_without_a_place_would_open_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.sealing.Place.associated_data", lambda self: b"")
    sealed = TEXTS.seal({"text": "ok"}, KEY, "default")
    assert TEXTS.open(sealed, notification_key(OTHER.id), "default") == {"text": "ok"}


def test_a_seal_is_of_the_form_that_is_documented() -> None:
    sealed = TEXTS.seal({"text": "ok"}, KEY, "default")
    place = json.dumps(["default"]).encode()
    assert sealed[:3] == b"\x02t1"
    assert RECORD_SEALER.unseal(sealed, Place(*KEY, SEALED, place)) == b'{"text":"ok"}'


# -- what is written today is read tomorrow ------------------------------------------------------------------

# Written once, under `sealed_texts.SECRET`, and never written again.
FROZEN_NOTIFICATION = bytes.fromhex(
    "027431000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f34dc7a01e7530b487817c84cf9f9"
    "96f15aac1b5ba070adaf2185af250d537f63ee3f5760b106578589445e2cf901c0f35a8ae45f3df6923aa3240268432fbd"
    "1e97d263b1d1ae911701e53ecdaab4d8be8ff1a894c4d1a1b63fe6e4053d2d3ddd797edc44a9dca6b75760a5a815ddb2ed"
    "eb8929514f5cc606d2656b3406d46b2fb9f1516fb381f518a4874a337211b75df864c41b64d189959b0caa687cd9a4d67f"
    "ef92b20f7613ee2dcf248af3fb94055dcfe2171af4614b1d316daa7057fe9fcfe59c47736b8c161ed913788890d835af6d"
    "789a7b1a5b4ce8979e0054fa2db1a355542ccfa087588cb6c7d8a3b2a80829d190d8ccfc790718"
)
FROZEN_REPLY = bytes.fromhex(
    "027431000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f34dc6d0bf1534c1c2e419a56b5e4"
    "c7e947a25259a77aebb739d3be38010520fdbacd65e01613c73cdeae65b25f4ddd"
)


def test_a_notification_sealed_by_an_earlier_version_is_read() -> None:
    found = notification_of_item({**item_of(N), SEALED: FROZEN_NOTIFICATION}, TEXTS)
    preview = Preview("https://t.example/1", "No internet")
    assert found.content == Text("Tiket 1", Quote("3EB0AA", "Halo"), preview)
    assert (found.recipient_name, found.refused_address) == ("Siti", "0812 ask Budi")


def test_a_reply_sealed_by_an_earlier_version_is_read() -> None:
    assert TEXTS.open(FROZEN_REPLY, reply_key("default", USER, "R1")) == {"text": "thanks", "kind": "text"}
