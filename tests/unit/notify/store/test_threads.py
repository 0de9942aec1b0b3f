"""What was said about one ticket: a first message, a last one, and the youngest edit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.notifications import N
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.threads import Thread
from tocsin.notify.store.transition import NotificationMissing

LATER = replace(N, id="f" * 18, created_at=N.created_at + 5)


def test_the_first_message_of_a_thread_stays_the_first(stores: Stores) -> None:
    assert stores.threads.follow(N) == Thread(N.id, N.id, N.created_at)
    assert stores.threads.follow(LATER) == Thread(N.id, LATER.id, LATER.created_at)
    assert stores.threads.get(N) == Thread(N.id, LATER.id, LATER.created_at)


def test_another_ticket_is_another_thread(stores: Stores) -> None:
    stores.threads.follow(N)
    assert stores.threads.get(replace(N, ticket_id="TCK-2")) is None


def test_an_older_edit_is_refused(stores: Stores) -> None:
    claims = [stores.threads.claim_edit(N.id, turn).applied for turn in (N.turn, LATER.turn, N.turn)]
    assert claims == [True, True, False]


def test_an_edit_may_be_claimed_again(stores: Stores) -> None:
    assert [stores.threads.claim_edit(N.id, N.turn).applied for _ in range(2)] == [True, True]


def test_what_is_gone_cannot_be_edited(stores: Stores) -> None:
    with pytest.raises(NotificationMissing):
        stores.threads.claim_edit("0" * 18, N.turn)
