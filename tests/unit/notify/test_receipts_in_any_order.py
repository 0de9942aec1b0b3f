"""What receipts make of a notification follows from them: any order, any repeats, any split into batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.notification_stores import StoredNotification
from tests.support.notifications import N
from tocsin.dynamo.writes import Item
from tocsin.notify import receipts
from tocsin.notify.notification import Problem, State
from tocsin.notify.receipts import Said, note
from tocsin.tables.notifications import person_key

SENT_AT = 1_000
SAID = st.builds(
    Said,
    state=st.sampled_from([State.DELIVERED, State.READ]),
    at=st.integers(SENT_AT - 500, SENT_AT + 500),
    by=st.sampled_from(["1@lid", "1:1@lid", "1:2@lid"]),
)
EACH_ONCE = st.lists(SAID, min_size=1, max_size=6, unique_by=lambda said: said.entry)


@st.composite
def told(draw: st.DrawFn) -> tuple[list[Said], list[list[Said]]]:
    """Receipts in some order, and the same in another one, with repeats, in batches."""
    said = draw(EACH_ONCE)
    again = draw(st.permutations([*said, *draw(st.lists(st.sampled_from(said), max_size=4))]))
    cuts = sorted(draw(st.sets(st.integers(1, len(again) - 1)))) if len(again) > 1 else []
    return said, [again[start:end] for start, end in zip([0, *cuts], [*cuts, len(again)], strict=True)]


def record_after(batches: Sequence[Sequence[Said]], before: State = State.SENT) -> Item:
    """The notification's item once these batches were noted, but for its words and for what is told once."""
    stored = StoredNotification()
    stored.stores.notifications.mark_sent(N.id, {}, at=SENT_AT, account="default", receipt_deadline=9_999)
    if before is State.FAILED:
        stored.stores.notifications.fail(N.id, Problem("gone", "permanent"), SENT_AT + 1)
    for batch in batches:
        notification = stored.stores.notifications.get(N.id)
        assert notification is not None
        note(stored.stores, notification, batch)
    left_out = ("sealed", "outcome", "outcome_at", "outcome_passed")
    return {name: value for name, value in stored.item.items() if name not in left_out}


@given(told(), st.sampled_from([State.SENT, State.FAILED]))
def test_the_record_is_the_same(told: tuple[list[Said], list[list[Said]]], before: State) -> None:
    said, batches = told
    assert record_after(batches, before) == record_after([[one] for one in said], before)


def test_a_rule_that_keeps_what_came_first_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: times as first heard depend on the order."""

    def first_heard(known: int | None, heard: Any) -> int | None:
        return min(heard, default=None) if known is None else None

    early, late = Said(State.DELIVERED, SENT_AT + 1, "1@lid"), Said(State.DELIVERED, SENT_AT + 9, "1:1@lid")
    monkeypatch.setattr(receipts, "_earlier", first_heard)
    assert record_after([[early], [late]]) != record_after([[late], [early]])


@given(EACH_ONCE)
def test_each_state_is_entered_once_whatever_the_batches(said: list[Said]) -> None:
    stored = StoredNotification()
    stored.stores.notifications.mark_sent(N.id, {}, at=SENT_AT, account="default")
    entered: list[State] = []
    for one in said:
        notification = stored.stores.notifications.get(N.id)
        assert notification is not None
        entered += note(stored.stores, notification, [one])
    assert len(entered) == len(set(entered))
    assert entered == sorted(entered, key=[State.DELIVERED, State.READ].index)


def test_both_states_are_entered_by_one_write_and_the_person_is_noted_once() -> None:
    stored = StoredNotification()
    stored.stores.notifications.mark_sent(N.id, {}, at=SENT_AT, account="default")
    notification = stored.stores.notifications.get(N.id)
    assert notification is not None
    both = [Said(State.READ, SENT_AT + 2, "1@lid"), Said(State.DELIVERED, SENT_AT + 1, "1@lid")]
    assert note(stored.stores, notification, both) == (State.DELIVERED, State.READ)
    assert (stored.item["outcome"], stored.item["outcome_at"]) == ("Read", SENT_AT + 2)
    assert stored.item["outcome_passed"] == "Delivered"
    person = stored.table.get(person_key(N.account, notification.person_name))
    assert person is not None
    assert person["last_notification"] == N.id


def test_a_record_that_changed_since_it_was_read_is_read_anew() -> None:
    stored = StoredNotification()
    stored.stores.notifications.mark_sent(N.id, {}, at=SENT_AT, account="default")
    seen = stored.stores.notifications.get(N.id)
    assert seen is not None
    note(stored.stores, seen, [Said(State.READ, SENT_AT + 5, "1:1@lid")])
    assert note(stored.stores, seen, [Said(State.DELIVERED, SENT_AT + 3, "1@lid")]) == ()
    assert (stored.item["state"], stored.item["delivered_at"]) == ("read", SENT_AT + 3)
    assert stored.item["receipts"] == {"1:1@lid read": SENT_AT + 5, "1@lid delivered": SENT_AT + 3}
