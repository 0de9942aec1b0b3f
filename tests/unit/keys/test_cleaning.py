"""What an operator sees of sessions, and takes out of use."""

import pytest

from tests.support.key_peers import NOW, Clock, End, converse, once, raising
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import OutcomeUnknown
from tocsin.dynamo.writes import Update
from tocsin.keys.errors import NoOutbound, Staleness
from tocsin.tables.keys import inbound_key, outbound_key


@pytest.fixture
def couple(ann: End, bob: End) -> tuple[End, End]:
    """Two who have written to each other."""
    ann.meet(bob)
    converse(ann, bob)
    return ann, bob


def family(count: int = 3) -> tuple[End, list[End]]:
    """One who wrote to so many devices of one user."""
    ann = End("100@lid", device=3)
    devices = [End("200@lid", device) for device in range(count)]
    bundles = {device.device: device.bundle() for device in devices}
    ann.keys.sending.make_sessions(ann.profile, ann.credentials, "200@lid", bundles, devices=range(count))
    return ann, devices


def spoil(end: End, peer: End, half: str) -> None:
    """Damage one half of what is stored of the first device of `peer`."""
    incarnation = end.profile.incarnation
    key, name = {
        "inbound": (inbound_key("main", incarnation, peer.user, peer.device), "states"),
        "chain": (outbound_key("main", incarnation, peer.user), f"chain#{peer.device}"),
    }[half]
    end.table.table.update(Update(key, set={name: bytes(100)}))


# -- seeing ------------------------------------------------------------------------------------------------


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


# -- cleaning ----------------------------------------------------------------------------------------------


def test_a_cleaned_session_still_reads_and_no_longer_sends(couple: tuple[End, End]) -> None:
    ann, bob = couple
    late = bob.say(ann, b"sent before")
    cleaned = ann.keys.upkeep.clean(ann.profile, bob.user)
    assert (cleaned.archived, cleaned.deleted) == ((0,), ())
    assert ann.reserve(bob).chains == {}
    (device,) = ann.keys.upkeep.view(ann.profile, bob.user).devices
    assert (device.archived, device.created) == (1, None)
    assert ann.read(bob, late) == b"sent before"


def test_after_cleaning_the_next_send_asks_for_the_devices(couple: tuple[End, End]) -> None:
    """For it makes sessions with those devices that the list names."""
    ann, bob = couple
    assert ann.reserve(bob).checked_at == NOW
    ann.keys.upkeep.clean(ann.profile, bob.user)
    assert ann.reserve(bob).checked_at == 0


def test_exactly_one_device_is_cleaned() -> None:
    ann, (phone, _, _) = family()
    assert ann.keys.upkeep.clean(ann.profile, phone.user, 1).archived == (1,)
    assert sorted(ann.reserve(phone).chains) == [0, 2]


def test_a_whole_recipient_is_cleaned() -> None:
    ann, (phone, *_) = family()
    assert ann.keys.upkeep.clean(ann.profile, phone.user).archived == (0, 1, 2)
    assert ann.reserve(phone).chains == {}


def test_all_are_cleaned(ann: End) -> None:
    for number in range(3):
        ann.meet(End(f"20{number}@lid"))
    cleaned = list(ann.keys.upkeep.clean_all(ann.profile))
    assert sorted(one.user for one in cleaned) == ["200@lid", "201@lid", "202@lid"]
    assert all(summary.devices == () for summary in ann.keys.upkeep.sessions(ann.profile))


@pytest.mark.parametrize("half", ["inbound", "chain"])
def test_what_cannot_be_read_is_deleted_where_nothing_can_be_archived(
    couple: tuple[End, End], half: str
) -> None:
    ann, bob = couple
    spoil(ann, bob, half)
    cleaned = ann.keys.upkeep.clean(ann.profile, bob.user)
    assert (cleaned.deleted, cleaned.archived) == {"inbound": ((0,), ()), "chain": ((), (0,))}[half]
    (*devices,) = ann.keys.upkeep.view(ann.profile, bob.user).devices
    assert not any(device.damage for device in devices)
    ann.meet(bob)
    assert bob.read(ann, ann.say(bob, b"again")) == b"again"


def test_cleaning_twice_or_nobody_changes_nothing(couple: tuple[End, End]) -> None:
    ann, bob = couple
    ann.keys.upkeep.clean(ann.profile, bob.user)
    before = ann.outbound(bob)
    assert ann.keys.upkeep.clean(ann.profile, bob.user).archived == ()
    assert ann.keys.upkeep.clean(ann.profile, "777@lid").archived == ()
    assert ann.outbound(bob) == before
    with pytest.raises(NoOutbound):
        ann.keys.sending.reserve(ann.profile, "777@lid")


def test_a_message_received_meanwhile_is_not_lost(couple: tuple[End, End]) -> None:
    ann, bob = couple
    message = bob.say(ann, b"in between")
    ann.table.before = once(
        "transact",
        lambda: ann.keys.receiving.receive(
            ann.profile, ann.credentials, bob.user, 0, "between", message.type, message.body
        ),
    )
    assert ann.keys.upkeep.clean(ann.profile, bob.user).archived == (0,)
    again = ann.keys.receiving.receive(
        ann.profile, ann.credentials, bob.user, 0, "between", message.type, message.body
    )
    assert (again.repeated, again.plaintext) == (True, b"in between")


def test_a_lost_answer_cleans_once(couple: tuple[End, End]) -> None:
    ann, bob = couple
    ann.table.after = once("transact", raising(OutcomeUnknown()))
    ann.keys.upkeep.clean(ann.profile, bob.user)
    assert ann.keys.upkeep.view(ann.profile, bob.user).devices[0].archived == 1


def test_a_number_taken_before_the_cleaning_may_still_be_sent(couple: tuple[End, End]) -> None:
    ann, bob = couple
    reservation = ann.reserve(bob)
    ann.keys.upkeep.clean(ann.profile, bob.user)
    assert bob.read(ann, reservation.encrypt(0, ann.profile, b"on its way")) == b"on its way"
