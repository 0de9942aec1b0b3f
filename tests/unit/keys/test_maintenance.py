"""What time does to sessions, what maintenance does about it, and cleaning by an operator."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW, Clock, End, converse, family, index_of, once, raising, spoil
from tocsin.dynamo.table import OutcomeUnknown
from tocsin.dynamo.writes import Item, Put
from tocsin.keys.errors import NoOutbound
from tocsin.keys.maintenance import Limits, Tended
from tocsin.tables.keys import outbound_key, owner_of

DAY = 86400
LIMITS = Limits()


@pytest.fixture
def couple(ann: End, bob: End) -> tuple[End, End]:
    """Two who have written to each other."""
    ann.meet(bob)
    converse(ann, bob)
    return ann, bob


def tend(ann: End, bob: End) -> Tended:
    return ann.keys.upkeep.tend(ann.profile, bob.user, LIMITS)


def in_need(ann: End) -> set[str]:
    """The users that a walk through the table picks out."""
    items = ann.table.table.scan(prefix="session#").items
    return {name_of(item) for item in items if ann.keys.upkeep.needs_care(item, LIMITS)}


def name_of(item: Item) -> str:
    owner = owner_of(str(item["pk"]))
    assert owner is not None
    return owner.user


def checkpoint_of(ann: End, bob: End) -> int | None:
    return ann.keys.upkeep.view(ann.profile, bob.user).devices[0].checkpoint


def test_what_is_in_use_needs_nothing(couple: tuple[End, End]) -> None:
    ann, bob = couple
    before = ann.outbound(bob)
    assert in_need(ann) == set()
    assert tend(ann, bob) == Tended()
    assert ann.outbound(bob) == before


def test_a_session_unanswered_for_30_days_is_renewed(ann: End, bob: End, clock: Clock) -> None:
    ann.meet(bob)
    ann.say(bob, b"hello?")
    clock.now += 30 * DAY
    assert "unanswered" not in tend(ann, bob).renewed.values()
    clock.now += 1
    assert in_need(ann) == {bob.user}
    assert tend(ann, bob).renewed == {0: "unanswered"}
    reservation = ann.reserve(bob)
    assert (reservation.chains, reservation.checked_at) == ({}, 0)


def test_a_session_that_neither_side_used_is_renewed(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    clock.now += 90 * DAY + 1
    assert in_need(ann) == {bob.user}
    assert tend(ann, bob).renewed == {0: "idle"}
    assert in_need(ann) == set()


def test_a_session_that_only_the_peer_uses_is_not_idle(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    tend(ann, bob)
    clock.now += 60 * DAY
    ann.read(bob, bob.say(ann, b"still here"))
    clock.now += 60 * DAY
    assert tend(ann, bob).renewed == {}


def test_a_renewed_session_reads_what_was_under_way(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    clock.now += 91 * DAY
    late = bob.say(ann, b"late")
    tend(ann, bob)
    assert ann.read(bob, late) == b"late"


def test_the_checkpoint_of_a_resting_chain_moves_behind_what_was_sent(
    couple: tuple[End, End], clock: Clock
) -> None:
    ann, bob = couple
    for _ in range(5):
        bob.read(ann, ann.say(bob, b"text"))
    clock.now += 7 * DAY + 1
    assert in_need(ann) == {bob.user}
    assert tend(ann, bob).rested == 1
    assert checkpoint_of(ann, bob) == 5
    assert in_need(ann) == set()
    message = ann.say(bob, b"goes on")
    assert index_of(message) == 5
    assert bob.read(ann, message) == b"goes on"


def test_a_chain_that_is_used_each_day_rests_once_a_week(couple: tuple[End, End], clock: Clock) -> None:
    """Or its keys would stay derivable until 32 messages were sent."""
    ann, bob = couple
    rested = []
    for _ in range(21):
        clock.now += DAY
        assert bob.read(ann, ann.say(bob, b"daily")) == b"daily"
        rested.append(tend(ann, bob).rested)
    assert sum(rested) == 3
    assert rested[:7] == rested[7:14] == rested[14:]


def test_a_number_in_hand_is_still_sent_after_the_checkpoint_moved(
    couple: tuple[End, End], clock: Clock
) -> None:
    ann, bob = couple
    reservation = ann.reserve(bob)
    clock.now += 8 * DAY
    assert tend(ann, bob).rested == 1
    assert bob.read(ann, reservation.encrypt(0, ann.profile, b"slow")) == b"slow"


def test_a_turn_while_the_checkpoint_moves_wins(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    ann.say(bob, b"text")
    answer = bob.say(ann, b"back again")
    clock.now += 8 * DAY
    ann.table.before = once("update", lambda: ann.read(bob, answer))
    tend(ann, bob)
    assert bob.read(ann, ann.say(bob, b"in step")) == b"in step"


def test_a_chain_with_too_many_numbers_of_unknown_fate_is_renewed(
    couple: tuple[End, End], clock: Clock
) -> None:
    """Moving its checkpoint would hide how far the peer may lie behind."""
    ann, bob = couple
    for _ in range(40):
        ann.reserve(bob)
    clock.now += 8 * DAY
    assert in_need(ann) == {bob.user}
    assert tend(ann, bob).renewed == {0: "lagging"}


def test_archived_states_go_after_30_days(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    ann.meet(bob, replace=frozenset({0}))
    bob.read(ann, ann.say(bob, b"hello"))
    ann.read(bob, bob.say(ann, b"hello"))
    clock.now += 30 * DAY + 1
    assert bob.user in in_need(ann)
    assert tend(ann, bob).pruned == 1
    (device,) = ann.keys.upkeep.view(ann.profile, bob.user).devices
    assert (device.archived, device.damage) == (0, "")
    assert bob.read(ann, ann.say(bob, b"goes on")) == b"goes on"


def test_a_device_of_which_nothing_is_left_is_forgotten(couple: tuple[End, End], clock: Clock) -> None:
    ann, bob = couple
    ann.keys.upkeep.clean(ann.profile, bob.user)
    clock.now += 31 * DAY
    assert in_need(ann) == {bob.user}
    assert (tend(ann, bob).emptied, ann.keys.upkeep.view(ann.profile, bob.user).devices) == (1, ())
    assert in_need(ann) == set()


@pytest.mark.parametrize("half", ["inbound", "chain"])
def test_what_cannot_be_read_is_left_to_an_operator(couple: tuple[End, End], clock: Clock, half: str) -> None:
    """A wrong sealing key makes everything unreadable: nothing may be deleted for that."""
    ann, bob = couple
    spoil(ann, bob, half)
    clock.now += 200 * DAY
    tend(ann, bob)
    kept = {(item["pk"], item["sk"]) for item in ann.table.table.scan(prefix="session#").items}
    assert len(kept) == 2


def test_an_item_of_an_older_release_says_when_it_may_have_been_used(
    couple: tuple[End, End], clock: Clock
) -> None:
    ann, bob = couple
    item = {name: value for name, value in ann.outbound(bob).items() if name not in ("used_at", "pk", "sk")}
    ann.table.table.put(Put(outbound_key("main", ann.profile.incarnation, bob.user), item))
    clock.now += 90 * DAY
    assert tend(ann, bob).renewed == {}
    clock.now += DAY + 1
    assert tend(ann, bob).renewed == {0: "idle"}


@pytest.mark.parametrize(
    ("pk", "owner"),
    [
        ("session#a.1#1@lid", ("session", "a", 1, "1@lid")),
        ("stanza#desk.two.12#1@lid", ("stanza", "desk.two", 12, "1@lid")),
        ("group#a.3#1203@g.us", ("group", "a", 3, "1203@g.us")),
        ("session#a#1@lid", None),
        ("prekey#a", None),
        ("account#a", None),
    ],
)
def test_whose_an_item_is(pk: str, owner: tuple[str, str, int, str] | None) -> None:
    assert owner_of(pk) == owner


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
