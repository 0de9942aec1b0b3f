"""A content is stored as what it is, and what was stored before contents had kinds is still read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.notification_stores import StoredNotification
from tests.support.notifications import N
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.writes import Put, Update
from tocsin.notify.content import Attachment, Content, Edit, File, Preview, Quote, Reaction, Text
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.codec import (
    UnknownContent,
    item_of_notification,
    notification_of_item,
    read_content,
    stored_content,
)
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.texts import SEALED
from tocsin.tables.notifications import notification_key

QUOTE = Quote("3EB0AA", "Halo")
PREVIEW = Preview("https://t.example/1", "No internet", "since 09:00")
PDF = Attachment("tickets/1.pdf", "plan.pdf", "application/pdf")

# Content → its stored form, version 1.
FORMS: list[tuple[Content, dict[str, Any]]] = [
    (Text("Halo"), {"kind": "text", "text": "Halo"}),
    (
        Text("Halo", QUOTE, PREVIEW),
        {"kind": "text", "text": "Halo", "quote": vars(QUOTE), "preview": vars(PREVIEW)},
    ),
    (File(PDF), {"kind": "file", "attachment": vars(PDF), "caption": ""}),
    (File(PDF, "yours"), {"kind": "file", "attachment": vars(PDF), "caption": "yours"}),
    (Edit("3EB0AA", "solved", 5), {"kind": "edit", "message_id": "3EB0AA", "text": "solved", "at": 5}),
    (
        Edit("3EB0AA", "solved", 5, PREVIEW),
        {"kind": "edit", "message_id": "3EB0AA", "text": "solved", "at": 5, "preview": vars(PREVIEW)},
    ),
    (Reaction("R1", "👍", 5), {"kind": "reaction", "message_id": "R1", "emoji": "👍", "at": 5}),
    (
        Reaction("R1", "👍", 5, "1234@lid"),
        {"kind": "reaction", "message_id": "R1", "emoji": "👍", "at": 5, "author": "1234@lid"},
    ),
]

# What a record held before contents had kinds, beside `text` and `created_at` → its content.
UNTAGGED: list[tuple[dict[str, Any], Content]] = [
    ({}, Text("Halo")),
    ({"quote": vars(QUOTE)}, Text("Halo", QUOTE)),
    ({"preview": vars(PREVIEW)}, Text("Halo", preview=PREVIEW)),
    ({"attachment": vars(PDF)}, File(PDF, "Halo")),
    ({"edits": "3EB0AA"}, Edit("3EB0AA", "Halo", N.created_at)),
    ({"edits": "3EB0AA", "preview": vars(PREVIEW)}, Edit("3EB0AA", "Halo", N.created_at, PREVIEW)),
    ({"reacts_to": "R1"}, Reaction("R1", "Halo", N.created_at)),
    (
        {"reacts_to": "R1", "reacts_to_author": "1234@lid"},
        Reaction("R1", "Halo", N.created_at, "1234@lid"),
    ),
]


@pytest.mark.parametrize(("content", "form"), FORMS)
def test_a_content_is_stored_with_its_kind_and_version(content: Content, form: dict[str, Any]) -> None:
    assert stored_content(content) == {"v": 1, **form}
    assert read_content({"v": 1, **form}) == content


@pytest.mark.parametrize(("content", "form"), FORMS)
def test_a_notification_is_read_with_its_content(
    stores: Stores, content: Content, form: dict[str, Any]
) -> None:
    written = replace(N, id="f" * 18, content=content)
    assert stores.notifications.put_new(written) is None
    assert stores.notifications.get(written.id) == written


@pytest.mark.parametrize(("attributes", "content"), UNTAGGED)
def test_a_record_from_before_contents_had_kinds_is_read(
    stored: StoredNotification, attributes: dict[str, Any], content: Content
) -> None:
    as_before = {name: value for name, value in stored.item.items() if name not in ("pk", "sk", SEALED)}
    as_before["recipient_name"] = N.recipient_name
    stored.table.put(Put(notification_key(N.id), {**as_before, "text": "Halo", **attributes}))
    assert stored.stores.notifications.get(N.id) == replace(N, content=content)


@pytest.mark.parametrize("newer", [{"v": 2, "kind": "text"}, {"v": 1, "kind": "poll"}])
def test_a_content_of_a_newer_version_is_refused_by_name(
    stored: StoredNotification, newer: dict[str, Any]
) -> None:
    stored.table.update(Update(notification_key(N.id), set={"content": newer}, remove=(SEALED,)))
    with pytest.raises(UnknownContent, match=f"kind {newer['kind']}, version {newer['v']}"):
        stored.stores.notifications.get(N.id)


# -- moments -----------------------------------------------------------------------------------------------

SECOND = st.integers(0, 2**32 - 1)
MOMENT = st.integers(0, 2**42)
NOTIFICATIONS = st.builds(
    replace,
    st.just(N),
    created_at=MOMENT,
    expires_at=SECOND.map(lambda second: second * 1000),
    state=st.sampled_from(State),
    **{name: st.none() | MOMENT for name in ("sent_at", "waiting_since", "due_at", "held_until", "event_at")},
)


def item_of(written: Notification) -> dict[str, Any]:
    """It as it lies in the table."""
    pk, sk = notification_key(written.id)
    return {"pk": pk, "sk": sk, **item_of_notification(written, expire_at=1, texts=TEXTS)}


@given(NOTIFICATIONS)
def test_a_notification_is_read_as_it_was_written(written: Notification) -> None:
    assert notification_of_item(item_of(written), TEXTS) == written


@given(expires_at=MOMENT)
def test_the_expiry_is_stored_as_the_second_that_it_lies_in(expires_at: int) -> None:
    item = item_of(replace(N, expires_at=expires_at))
    assert item["expires_at"] == expires_at // 1000
    assert 0 <= expires_at - notification_of_item(item, TEXTS).expires_at < 1000
