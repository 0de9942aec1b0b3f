"""What an operator sees of sessions, and what the look costs."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW, Clock, End, converse, spoil
from tocsin.dynamo.memory import MemoryTable
from tocsin.keys.errors import Staleness


@pytest.fixture
def couple(ann: End, bob: End) -> tuple[End, End]:
    """Two who have written to each other."""
    ann.meet(bob)
    converse(ann, bob)
    return ann, bob


def test_a_view_tells_counters_and_ages(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    clock.now += 100
    for _ in range(3):
        ann.reserve(bob)
    view = ann.keys.upkeep.view(ann.profile, bob.user)
    (device,) = view.devices
    assert (view.user, view.next, view.moved, view.used_at) == (bob.user, 4, None, NOW + 100)
    assert (device.index, device.checkpoint, device.born) == (3, 0, 0)
    assert (device.created, device.heard_at, device.rebuilt) == (NOW, NOW, 0)
    assert (device.pending, device.staleness, device.damage) == (False, None, "")
    assert (device.archived, device.oldest_archived, device.skipped) == (0, None, 0)
    assert device.registration_id == bob.credentials.registration_id
    assert 300 < device.bytes < 1000
    assert 200 < view.bytes < 400


def test_a_view_counts_archived_states_and_skipped_keys(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    for _ in range(5):
        bob.reserve(ann)
    ann.read(bob, bob.say(ann, b"five are missing"))
    clock.now += 60
    ann.meet(bob, replace=frozenset({0}))
    (device,) = ann.keys.upkeep.view(ann.profile, bob.user).devices
    assert (device.archived, device.oldest_archived, device.skipped) == (1, NOW + 60, 5)
    assert (device.rebuilt, device.pending) == (NOW + 60, True)


def test_a_view_says_why_the_next_send_makes_a_new_session(ann: End, bob: End, clock: Clock) -> None:
    ann.meet(bob)
    clock.now += 31 * 86400
    assert ann.keys.upkeep.view(ann.profile, bob.user).devices[0].staleness is Staleness.UNANSWERED


@pytest.mark.parametrize("half", ["inbound", "chain"])
def test_a_view_names_damage(couple: tuple[End, End], half: str) -> None:
    ann, bob = couple
    spoil(ann, bob, half)
    assert "can't be read" in ann.keys.upkeep.view(ann.profile, bob.user).devices[0].damage


def test_a_view_follows_sessions_that_moved(couple: tuple[End, End]) -> None:
    ann, bob = couple
    ann.keys.contacts.learn(bob.user, "900@lid")
    view = ann.keys.upkeep.view(ann.profile, bob.user)
    assert (view.user, view.devices[0].heard_at) == ("900@lid", NOW)


def test_a_view_of_nobody_is_empty(ann: End) -> None:
    view = ann.keys.upkeep.view(ann.profile, "777@lid")
    assert (view.next, view.devices) == (None, ())


def test_no_view_shows_a_key(couple: tuple[End, End]) -> None:
    ann, bob = couple
    shown = repr(ann.keys.upkeep.view(ann.profile, bob.user)) + repr(
        list(ann.keys.upkeep.sessions(ann.profile))
    )
    assert "b'" not in shown
    assert bob.credentials.identity.public.hex() not in shown


def test_a_listing_goes_through_the_table_page_by_page_and_counts_the_cost() -> None:
    ann = End("100@lid", device=3, table=MemoryTable(page=2))
    for number in range(5):
        ann.meet(End(f"20{number}@lid"))
    listing = ann.keys.upkeep.sessions(ann.profile)
    found = {summary.user: summary for summary in listing}
    assert sorted(found) == [f"20{number}@lid" for number in range(5)]
    assert found["200@lid"].devices == found["200@lid"].unanswered == (0,)
    assert listing.read_units > 0
    assert ann.table.requests.count("scan") > 3


def test_a_listing_leaves_out_other_accounts_and_earlier_pairings(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.credentials = ann.keys.account.reset_sessions()
    assert list(ann.keys.upkeep.sessions(ann.profile)) == []
