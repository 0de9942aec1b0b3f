"""Our sender key in a group: every number once, a new key behind a fence, and who may have it."""

from __future__ import annotations

import threading

import pytest

from tests.support.key_peers import Clock, End, once, raising
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Contention, OutcomeUnknown, Table
from tocsin.dynamo.writes import Item
from tocsin.keys.chain import CHECKPOINT_DISTANCE, GAP_LIMIT
from tocsin.keys.errors import NoOutbound, Staleness, StaleSenderKey
from tocsin.keys.maintenance import DAY, Limits
from tocsin.keys.sender_keys import GroupReservation
from tocsin.signal import sender_key
from tocsin.signal.errors import NoSession, SignalError
from tocsin.signal.wire import parse_sender_key_message
from tocsin.tables.keys import own_sender_key

GROUP = "120363000000000001@g.us"
BOB, COMPANION = ("200@lid", 0), ("200@lid", 1)


@pytest.fixture
def ann(table: Table, clock: Clock) -> End:
    return End("100@lid", device=3, table=table, clock=clock)


@pytest.fixture
def in_group(ann: End) -> End:
    make(ann)
    return ann


def make(ann: End, seen: bytes | None = None) -> None:
    ann.keys.groups.make_sender_key(ann.profile, GROUP, seen=seen)


def reserve(ann: End) -> GroupReservation:
    return ann.keys.groups.reserve(ann.profile, GROUP)


def say(ann: End, reservation: GroupReservation, text: bytes = b"hello") -> bytes:
    return reservation.encrypt(text, ann.entropy(64))


def place(message: bytes) -> tuple[int, int]:
    parsed = parse_sender_key_message(message)
    return parsed.key_id, parsed.iteration


def test_a_reservation_is_one_request(in_group: End) -> None:
    in_group.table.requests.clear()
    say(in_group, reserve(in_group))
    assert in_group.table.requests == ["update"]


def test_without_a_key_there_is_nothing_to_reserve(ann: End) -> None:
    with pytest.raises(NoOutbound):
        reserve(ann)


def test_iterations_count_up_and_are_read(in_group: End) -> None:
    record = sender_key.process(None, reserve(in_group).distribution())
    for number in range(1, 4):
        message = say(in_group, reserve(in_group), b"%d" % number)
        assert place(message)[1] == number
        text, record = sender_key.decrypt(record, message)
        assert text == b"%d" % number


def test_16_threads_never_get_the_same_number(clock: Clock) -> None:
    """In memory: moto's ADD isn't atomic among threads. The emulator's is asked in the integration tests."""
    ann = End("100@lid", device=3, table=MemoryTable(), clock=clock)
    make(ann)
    numbers: list[int] = []

    def send() -> None:
        keys = ann.opened(ann.table.table)
        numbers.extend(keys.groups.reserve(ann.profile, GROUP).number for _ in range(10))

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(160))


def test_of_two_who_make_the_first_key_one_wins(ann: End) -> None:
    other = ann.opened(ann.table.table)
    ann.table.before = once("put", lambda: other.groups.make_sender_key(ann.profile, GROUP, seen=None))
    make(ann)
    first, second = reserve(ann), other.groups.reserve(ann.profile, GROUP)
    assert first.tag == second.tag
    assert (first.number, second.number) == (0, 1)


def test_of_two_who_make_a_new_key_after_a_leave_one_wins(in_group: End) -> None:
    old, other = reserve(in_group), in_group.opened(in_group.table.table)
    assert in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    in_group.table.before = once(
        "update", lambda: other.groups.make_sender_key(in_group.profile, GROUP, seen=None)
    )
    make(in_group)
    new = reserve(in_group)
    assert new.tag == other.groups.reserve(in_group.profile, GROUP).tag != old.tag


def test_a_number_taken_before_a_leave_stays_under_the_old_key(in_group: End) -> None:
    """The send had begun; the next one is under the new key, whose iterations begin anew."""
    early = reserve(in_group)
    in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    late = reserve(in_group)
    assert late.staleness is Staleness.ABSENT
    with pytest.raises(StaleSenderKey):
        say(in_group, late)
    make(in_group)
    old, new = place(say(in_group, early)), place(say(in_group, reserve(in_group)))
    assert old[0] != new[0]
    assert (old[1], new[1]) == (0, 0)


def test_numbers_taken_while_the_new_key_is_made_are_not_used_under_it(in_group: End) -> None:
    taken: list[GroupReservation] = []
    other = in_group.opened(in_group.table.table)
    in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    in_group.table.before = once(
        "update", lambda: taken.extend(other.groups.reserve(in_group.profile, GROUP) for _ in range(3))
    )
    make(in_group)
    assert [reservation.staleness for reservation in taken] == [Staleness.ABSENT] * 3
    assert reserve(in_group).iteration >= 0


def test_a_leave_after_the_key_was_made_wins(in_group: End) -> None:
    other = in_group.opened(in_group.table.table)
    in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    make(in_group)
    other.groups.discard_sender_key(in_group.profile, GROUP)
    assert reserve(in_group).staleness is Staleness.ABSENT


def test_who_holds_the_old_key_reads_nothing_under_the_new_one(in_group: End) -> None:
    record = sender_key.process(None, reserve(in_group).distribution())
    in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    make(in_group)
    with pytest.raises(NoSession):
        sender_key.decrypt(record, say(in_group, reserve(in_group)))


@pytest.mark.parametrize("hook", ["before", "after"])
def test_a_key_whose_making_lost_its_answer_is_made_once(ann: End, hook: str) -> None:
    setattr(ann.table, hook, once("put", raising(OutcomeUnknown())))
    make(ann)
    assert reserve(ann).iteration == 0


def test_contention_is_waited_out(in_group: End) -> None:
    in_group.table.before = once("update", raising(Contention()))
    assert reserve(in_group).number == 0
    assert len(in_group.pauses) == 1


def test_a_lost_answer_leaves_a_gap(in_group: End) -> None:
    in_group.table.after = once("update", raising(OutcomeUnknown()))
    assert reserve(in_group).number == 1


@pytest.mark.slow
def test_after_too_wide_a_gap_a_new_key_is_made(in_group: End) -> None:
    for _ in range(GAP_LIMIT):
        reserve(in_group)
    reservation = reserve(in_group)
    assert reservation.staleness is Staleness.GAP
    make(in_group, seen=reservation.tag)
    assert reserve(in_group).staleness is None


def test_the_checkpoint_follows_the_acks_at_a_distance(in_group: End) -> None:
    """Who joins gets a key that reads what is still under way, and no more of the past than that."""
    reservations = [reserve(in_group) for _ in range(65)]
    assert not in_group.keys.groups.checkpoint(reservations[63])
    assert in_group.keys.groups.checkpoint(reservations[64])
    assert not in_group.keys.groups.checkpoint(reservations[64])
    joined = sender_key.process(None, reserve(in_group).distribution())
    text, _ = sender_key.decrypt(joined, say(in_group, reservations[40], b"overtaken"))
    assert text == b"overtaken"
    with pytest.raises(SignalError):
        sender_key.decrypt(joined, say(in_group, reservations[31]))
    with pytest.raises(StaleSenderKey) as refused:
        say(in_group, reserve(in_group)._replace(number=31))
    assert refused.value.reason is Staleness.BEHIND


def test_a_checkpoint_loses_against_a_leave(in_group: End) -> None:
    reservations = [reserve(in_group) for _ in range(70)]
    in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    assert not in_group.keys.groups.checkpoint(reservations[-1])
    assert reserve(in_group).staleness is Staleness.ABSENT


def test_a_damaged_key_is_reported_and_replaced(in_group: End) -> None:
    from tocsin.dynamo.writes import Update

    reservation = reserve(in_group)
    in_group.table.table.update(Update(reservation.key, set={"key": b"\x02k1" + bytes(60)}))
    assert reserve(in_group).staleness is Staleness.ABSENT
    assert [damage.attribute for damage in in_group.damages] == ["key"]
    make(in_group)
    assert reserve(in_group).staleness is None


# Who has it


def test_a_device_has_the_key_only_once_that_was_acknowledged(in_group: End) -> None:
    reservation = reserve(in_group)
    assert in_group.keys.groups.holders(reservation) == {}
    in_group.keys.groups.offer_key(reservation, [BOB, COMPANION])
    in_group.keys.groups.confirm_key(reservation, [BOB])
    assert in_group.keys.groups.holders(reserve(in_group)) == {BOB: int(in_group.clock.now), COMPANION: 0}


def test_a_mark_that_comes_after_a_new_key_is_a_mark_on_the_old_one(in_group: End) -> None:
    reservation = reserve(in_group)
    in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    make(in_group)
    in_group.keys.groups.confirm_key(reservation, [BOB])
    assert in_group.keys.groups.holders(reserve(in_group)) == {}


def test_a_device_that_asked_again_may_have_the_key_and_gets_it_again(in_group: End) -> None:
    reservation = reserve(in_group)
    in_group.keys.groups.confirm_key(reservation, [BOB, COMPANION])
    assert in_group.keys.groups.hand_out_key(in_group.profile, GROUP, *BOB) == reservation.distribution()
    assert in_group.keys.groups.holders(reservation) == {BOB: 0, COMPANION: int(in_group.clock.now)}


def test_a_key_that_nobody_was_offered_yet_is_handed_out_to_a_holder(in_group: End) -> None:
    """Its first send died on the way, or it was made between two looks."""
    key = in_group.keys.groups.hand_out_key(in_group.profile, GROUP, *BOB)
    reservation = reserve(in_group)
    assert key == reservation.distribution()
    assert in_group.keys.groups.holders(reservation) == {BOB: 0}


def test_where_there_is_no_key_none_is_handed_out(in_group: End) -> None:
    in_group.keys.groups.discard_sender_key(in_group.profile, GROUP)
    assert in_group.keys.groups.hand_out_key(in_group.profile, GROUP, *BOB) is None


@pytest.mark.slow
def test_a_thousand_devices_are_marked_in_parts(in_group: End) -> None:
    reservation = reserve(in_group)
    devices = [(f"{number}@lid", number % 4) for number in range(1000)]
    in_group.keys.groups.confirm_key(reservation, devices)
    assert set(in_group.keys.groups.holders(reservation)) == set(devices)


def test_after_a_new_pairing_there_is_no_key_of_the_old_one(in_group: End) -> None:
    """Nor a counter: the new device is another sender, under keys of its own."""
    in_group.keys.account.renew()
    paired = in_group.keys.account.save_pairing(
        jid="100:4@s.whatsapp.net", lid="100:4@lid", device_identity=b"identity"
    )
    with pytest.raises(NoOutbound):
        in_group.keys.groups.reserve(paired.profile, GROUP)


# Upkeep


def item_of(ann: End) -> Item:
    item = ann.table.get(own_sender_key(ann.keys.account.name, ann.profile.incarnation, GROUP))
    assert item is not None
    return item


def test_a_key_that_rests_for_a_week_forgets_what_was_said(in_group: End, clock: Clock) -> None:
    old = [reserve(in_group) for _ in range(5)]
    clock.now += 7 * DAY
    assert not in_group.keys.upkeep.tend_group(item_of(in_group), Limits())
    clock.now += 1
    found = item_of(in_group)
    assert in_group.keys.upkeep.tend_group(found, Limits())
    assert not in_group.keys.upkeep.tend_group(found, Limits())
    fresh = reserve(in_group)
    assert (fresh.iteration, fresh.tag) == (5, old[0].tag)
    newcomer = sender_key.process(None, fresh.distribution())
    with pytest.raises(SignalError):
        sender_key.decrypt(newcomer, say(in_group, old[4]))
    holder = sender_key.process(None, old[0].distribution())
    for reservation in (old[4], fresh):
        text, holder = sender_key.decrypt(holder, say(in_group, reservation))
        assert text == b"hello"


def test_who_sends_meanwhile_keeps_the_key_awake(in_group: End, clock: Clock) -> None:
    reserve(in_group)
    clock.now += 8 * DAY
    found = item_of(in_group)
    reservation = reserve(in_group)
    assert not in_group.keys.upkeep.tend_group(found, Limits())
    assert reserve(in_group).distribution() == reservation.distribution()


def test_a_resting_key_with_many_numbers_of_unknown_fate_is_made_anew(in_group: End, clock: Clock) -> None:
    for _ in range(2 * CHECKPOINT_DISTANCE + 1):
        reserve(in_group)
    clock.now += 8 * DAY
    assert in_group.keys.upkeep.tend_group(item_of(in_group), Limits())
    assert reserve(in_group).staleness is Staleness.ABSENT


# What WhatsApp told


def test_a_group_is_remembered_until_it_changes(ann: End) -> None:
    assert ann.keys.groups.known(GROUP) is None
    ann.keys.groups.save(GROUP, "what was told")
    assert ann.keys.groups.known(GROUP) == ("what was told", int(ann.clock.now))
    ann.keys.groups.forget(GROUP)
    assert ann.keys.groups.known(GROUP) is None


def test_device_lists_are_remembered_with_their_time(ann: End) -> None:
    now = int(ann.clock.now)
    ann.keys.groups.save_device_list("200@lid", [3, 0])
    assert ann.keys.groups.device_lists(["200@lid", "300@lid"]) == {
        "200@lid": ((0, 3), now, 0),
        "300@lid": ((), 0, 0),
    }
    ann.keys.sending.expire_device_list(ann.profile, "200@lid")
    ann.keys.sending.expire_device_list(ann.profile, "300@lid")
    assert ann.keys.groups.device_lists(["200@lid"])["200@lid"] == ((0, 3), 0, 0)
    assert ann.keys.groups.device_lists(["300@lid"])["300@lid"] == ((), 0, 0)


def test_new_keys_of_a_user_are_remembered_through_a_new_list(ann: End) -> None:
    ann.keys.groups.note_new_keys("200@lid")
    ann.keys.groups.save_device_list("200@lid", [0])
    assert ann.keys.groups.device_lists(["200@lid"])["200@lid"].renewed_at == int(ann.clock.now)
