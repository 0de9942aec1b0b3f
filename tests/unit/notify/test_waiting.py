"""What waits, as an operator sees it: who is in front, what can be released, what is cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.parked import BUDI, NOW, SITI, Scene
from tocsin.notify.notification import Notification, State
from tocsin.notify.waiting import CANCELLED, Waiting, WaitingList

DUE = (NOW + 7200) * 1000


class Desk(Scene):
    """Two lines that stand: Siti's behind a refusal, Budi's by itself."""

    @property
    def waiting_list(self) -> WaitingList:
        return WaitingList(self.stores, clock=lambda: self.now)

    def line(self, **head: Any) -> list[Notification]:
        first = self.parked(SITI, due_at=DUE, cause="forbidden", **head)
        second = self.planned(SITI)
        self.stores.parking.park(second, "behind", NOW * 1000, behind=first)
        return [first, second]

    def listed(self) -> list[Waiting]:
        return self.waiting_list.of("default")

    def stored(self, notification: Notification) -> Notification:
        found = self.stores.notifications.get(notification.id)
        assert found is not None
        return found


@pytest.fixture
def desk() -> Desk:
    return Desk(MemoryAws())


def test_each_has_its_place_in_line(desk: Desk) -> None:
    first, second = desk.line()
    alone = desk.parked(BUDI)
    places = {one.row.notification: (one.in_front, one.behind) for one in desk.listed()}
    assert places == {first.id: (None, 1), second.id: (first.id, 0), alone.id: (None, 0)}


def test_no_more_are_read_than_asked_for(desk: Desk) -> None:
    desk.line()
    assert len(desk.waiting_list.of("default", most=1)) == 1


def test_a_released_head_goes_with_the_next_sweep_and_its_line_with_it(desk: Desk) -> None:
    first, second = desk.line()
    assert desk.waiting_list.release(first.id).result == "released"
    desk.sweep()
    assert desk.order_ids() == [first.id, second.id]


def test_without_a_release_the_line_stands_until_its_due_time(desk: Desk) -> None:
    desk.line()
    desk.sweep()
    assert desk.order_ids() == []


def test_one_behind_another_is_not_released(desk: Desk) -> None:
    first, second = desk.line()
    done = desk.waiting_list.release(second.id)
    assert (done.result, first.id in done.why) == ("kept", True)


def test_a_cancelled_head_ends_untold_and_its_line_goes_on(desk: Desk) -> None:
    first, second = desk.line()
    assert desk.waiting_list.cancel(first.id).result == "cancelled"
    stored = desk.stored(first)
    assert (stored.state, stored.last_error and stored.last_error.code) == (State.SUPPRESSED, CANCELLED)
    desk.sweep()
    assert desk.order_ids() == [second.id]
    assert desk.aws.messages("dead-letters") == []


def test_what_is_sent_meanwhile_is_not_cancelled(desk: Desk) -> None:
    first, _ = desk.line()
    desk.stores.notifications.mark_sent(first.id, {}, at=NOW * 1000, account="default")
    done = desk.waiting_list.cancel(first.id)
    assert (done.result, "sent" in done.why) == ("kept", True)
    assert desk.state(first) is State.SENT


def test_a_release_against_the_accounts_own_limit_says_that_it_parks_again(desk: Desk) -> None:
    held = desk.parked(SITI, due_at=DUE, cause="rate-limited")
    assert "parks again" in desk.waiting_list.release(held.id).why


@pytest.mark.parametrize("what", ["release", "cancel"])
def test_what_never_was_is_said_to_be_unknown(desk: Desk, what: str) -> None:
    assert "no such notification" in getattr(desk.waiting_list, what)("f" * 18).why


def test_the_head_of_a_line_is_found_by_its_person(desk: Desk) -> None:
    first, second = desk.line()
    person = desk.stores.people.find("default", second.person_name)
    found = desk.waiting_list.in_front_of(second, person)
    assert found is not None
    assert found.id == first.id
    assert desk.waiting_list.in_front_of(first, person) is None
