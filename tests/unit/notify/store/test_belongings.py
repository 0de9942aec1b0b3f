"""What is left of an erased notification: that there was one, and what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.notification_stores import USER, StoredNotification
from tests.support.notifications import N
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.notify.content import ERASED, Withheld
from tocsin.notify.notification import State
from tocsin.notify.store.belongings import Held, OptedOutMeanwhile
from tocsin.notify.store.stores import Stores
from tocsin.people.person import Person
from tocsin.people.whose import Whose
from tocsin.tables.notifications import notification_key

A = N.account
WHOSE = Whose(A, USER, frozenset({USER}), {})
ENDED = [state for state in State if state not in (State.PLANNED, State.WAITING)]

# As versions of before wrote them: words in the clear, and before that each in an attribute of its own.
EARLIER: list[dict[str, Any]] = [
    {"content": {"v": 1, "kind": "text", "text": "Rahasia"}, "recipient_name": "Rahasia"},
    {"text": "Rahasia", "quote": {"message_id": "X", "text": "Rahasia"}, "preview": {"title": "Rahasia"}},
    {"text": "Rahasia", "attachment": {"key": "k", "mimetype": "m", "filename": "Rahasia"}},
    {"text": "Rahasia", "edits": "3EB0", "reacts_to": "3EB0", "reacts_to_author": "Rahasia"},
    {"refused_address": "Rahasia"},
]


@pytest.mark.parametrize("state", ENDED)
def test_state_ticket_and_times_stay(stored: StoredNotification, state: State) -> None:
    stored.bring_to(state)
    before = stored.stores.notifications.get(N.id)
    assert before is not None
    assert stored.stores.belongings.erase_notification(N.id, 9)
    after = stored.stores.notifications.get(N.id)
    assert after is not None
    assert (after.state, after.ticket_id, after.sent_at) == (before.state, before.ticket_id, before.sent_at)
    assert (after.recipient, after.recipient_name, after.content) == ("", "", Withheld(ERASED))
    assert (after.attempts, dict(after.receipts), after.person, after.lane) == ((), {}, None, None)


@pytest.mark.parametrize("state", [State.PLANNED, State.WAITING])
def test_what_has_not_ended_is_left(stored: StoredNotification, state: State) -> None:
    stored.bring_to(state)
    before = stored.item
    assert not stored.stores.belongings.erase_notification(N.id, 9)
    assert stored.item == before


@pytest.mark.parametrize("words", EARLIER)
def test_words_in_the_form_of_earlier_versions_go_too(
    stored: StoredNotification, words: dict[str, Any]
) -> None:
    stored.bring_to(State.SENT)
    item = {name: value for name, value in stored.item.items() if name not in ("pk", "sk", "sealed")}
    stored.table.put(Put(notification_key(N.id), {**item, **words}))
    stored.stores.belongings.erase_notification(N.id, 9)
    assert "Rahasia" not in repr(stored.item)


def test_the_world_is_told_nothing_of_it(stored: StoredNotification) -> None:
    """The stream passes on what has an outcome; and no receipt is missed."""
    stored.stores.notifications.mark_sent(N.id, {}, at=1, account=A, receipt_deadline=5)
    stored.stores.belongings.erase_notification(N.id, 9)
    assert "outcome" not in stored.item
    assert list(stored.stores.watches.overdue(A, 10)) == []


def test_what_its_time_to_live_took_needs_no_erasing(stores: Stores) -> None:
    assert stores.belongings.erase_notification("0" * 18, 9)


def test_all_pages_of_the_table_are_looked_at() -> None:
    stored = StoredNotification(MemoryTable(page=2))
    for number in range(7):
        stored.table.put(Put(notification_key(f"{number:018}"), {"account": "other", "recipient": "1"}))
    looked_at: list[int] = []
    held = stored.stores.belongings.of(WHOSE, 0, looked_at.append)
    assert held.ids == [N.id]
    assert looked_at[-1] == 8
    assert len(looked_at) > 3


def test_an_opt_out_that_came_meanwhile_is_not_deleted(stores: Stores) -> None:
    stores.people.opt_out(A, USER, "STOP", 5)
    with pytest.raises(OptedOutMeanwhile):
        stores.belongings.erase_names(WHOSE, opt_out_kept=False)
    assert stores.people.find(A, USER).opted_out_at == 5


def test_a_name_that_went_to_somebody_else_meanwhile_is_left_to_them(stores: Stores) -> None:
    stores.people.join(A, USER, "5678@lid", [])
    stores.belongings.erase_names(Whose(A, "1234@lid", frozenset({USER, "1234@lid"}), {}), opt_out_kept=False)
    assert stores.people.find(A, USER).id == "5678@lid"


def test_nothing_held_is_nothing_erased(stores: Stores) -> None:
    stores.belongings.erase(Held())
    assert stores.belongings.erase_names(WHOSE, opt_out_kept=False) == 0
    assert stores.people.find(A, USER) == Person.unknown(USER)
