"""Reserving: every number once, one request, and what a number is worth with which chain."""

from __future__ import annotations

import threading

import pytest

from tests.support.key_peers import End, converse, index_of, once, raising
from tocsin.dynamo.table import Contention, OutcomeUnknown
from tocsin.dynamo.writes import Put, Update
from tocsin.keys.chain import GAP_LIMIT, Chain
from tocsin.keys.errors import Contended, NoOutbound, StaleChain, Staleness
from tocsin.keys.signpost import signpost_to
from tocsin.signal.state import Pending, SendingChain
from tocsin.tables.keys import outbound_key


def chain(checkpoint: int = 0, pending: Pending | None = None, origin: int = 100) -> Chain:
    sending = SendingChain(bytes(32), checkpoint, bytes(32), 0, bytes(32), pending)
    return Chain(sending, origin, born=origin, created=0)


def test_a_reservation_is_one_request(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.table.requests.clear()
    ann.say(bob, b"hello")
    assert ann.table.requests == ["update"]


def test_numbers_and_indexes_count_up(ann: End, bob: End) -> None:
    ann.meet(bob)
    assert [ann.reserve(bob).number for _ in range(3)] == [0, 1, 2]
    assert index_of(ann.say(bob, b"fourth")) == 3


def test_without_a_session_there_is_nothing_to_reserve(ann: End, bob: End) -> None:
    with pytest.raises(NoOutbound):
        ann.reserve(bob)
    assert ann.outbound(bob) == {}


def test_32_threads_never_get_the_same_number(ann: End, bob: End) -> None:
    ann.meet(bob)
    numbers: list[int] = []

    def send() -> None:
        keys = ann.opened(ann.table.table)
        for _ in range(20):
            numbers.append(keys.sending.reserve(ann.profile, bob.user).number)

    threads = [threading.Thread(target=send) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(640))


def test_a_turn_in_flight_makes_a_send_wait_some_milliseconds(ann: End, bob: End) -> None:
    ann.meet(bob)
    refusals = [Contention()] * 5

    def refuse(name: str, argument: object) -> None:
        if name == "update" and refusals:
            raise refusals.pop()

    ann.table.before = refuse
    assert ann.reserve(bob).number == 0
    ceilings = [0.005, 0.010, 0.020, 0.040, 0.080]
    assert all(0 < pause <= ceiling for pause, ceiling in zip(ann.pauses, ceilings, strict=True))


def test_after_a_second_of_contention_the_queue_must_wait(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.table.before = lambda name, argument: raising(Contention())()
    with pytest.raises(Contended):
        ann.reserve(bob)
    assert 1 <= sum(ann.pauses) < 1.1


def test_a_lost_answer_leaves_a_gap_and_no_double(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.table.after = once("update", raising(OutcomeUnknown()))
    first = ann.reserve(bob)
    assert first.number == 1
    assert bob.read(ann, first.encrypt(0, ann.profile, b"after a gap")) == b"after a gap"


def test_a_crash_between_reserving_and_sending_is_a_gap(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.reserve(bob)
    assert bob.read(ann, ann.say(bob, b"the next one")) == b"the next one"


def tombstone(ann: End, user: str, to: str) -> Put:
    key = outbound_key("main", ann.profile.incarnation, user)
    return Put(key, signpost_to(ann.keys._context, key, to))


def test_sessions_that_moved_are_followed(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.table.put(tombstone(ann, "628111@s.whatsapp.net", bob.user))
    reservation = ann.keys.sending.reserve(ann.profile, "628111@s.whatsapp.net")
    assert (reservation.user, reservation.number) == (bob.user, 0)


def test_a_ring_of_tombstones_ends(ann: End, bob: End) -> None:
    ann.table.put(tombstone(ann, bob.user, bob.user))
    with pytest.raises(NoOutbound):
        ann.reserve(bob)


def test_another_incarnation_sees_nothing(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.credentials = ann.keys.account.reset_sessions()
    with pytest.raises(NoOutbound):
        ann.reserve(bob)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (99, Staleness.YOUNGER),
        (100, None),
        (100 + GAP_LIMIT - 1, None),
        (100 + GAP_LIMIT, Staleness.GAP),
    ],
)
def test_what_a_number_is_worth_with_a_chain_from_100(number: int, reason: Staleness | None) -> None:
    assert chain().staleness(number, now=0) is reason


@pytest.mark.parametrize(
    ("number", "reason"), [(139, Staleness.BEHIND), (140, None), (1139, None), (1140, Staleness.GAP)]
)
def test_what_a_number_is_worth_after_a_checkpoint_at_40(number: int, reason: Staleness | None) -> None:
    assert chain(checkpoint=40).staleness(number, now=0) is reason


def test_a_session_unanswered_for_30_days_is_renewed() -> None:
    pending = Pending(1, 1, bytes(32))
    assert chain(pending=pending).staleness(100, now=30 * 86400) is None
    assert chain(pending=pending).staleness(100, now=30 * 86400 + 1) is Staleness.UNANSWERED
    assert chain().staleness(100, now=30 * 86400 + 1) is None


def test_a_stale_chain_encrypts_nothing_and_says_what_helps(ann: End, bob: End) -> None:
    ann.meet(bob)
    for _ in range(GAP_LIMIT):
        ann.keys.sending.reserve(ann.profile, bob.user)
    late = ann.reserve(bob)
    with pytest.raises(StaleChain) as caught:
        late.encrypt(bob.device, ann.profile, b"too far")
    assert caught.value.reason is Staleness.GAP
    assert late.in_need([bob.device, 9]) == [bob.device, 9]
    ann.meet(bob)
    assert bob.read(ann, ann.say(bob, b"anew")) == b"anew"


def test_a_counter_that_was_set_back_reuses_nothing(ann: End, bob: End) -> None:
    """A restored item, or a hand in the table: the chain must go, for its indexes would come again."""
    ann.meet(bob)
    converse(ann, bob)
    for _ in range(5):
        bob.read(ann, ann.say(bob, b"one more"))
        ann.read(bob, bob.say(ann, b"and back"))
    ann.table.update(Update(ann.reserve(bob).key, set={"next": 0}))
    reservation = ann.reserve(bob)
    assert reservation.in_need([bob.device]) == [bob.device]
    with pytest.raises(StaleChain) as caught:
        reservation.encrypt(bob.device, ann.profile, b"never")
    assert caught.value.reason is Staleness.YOUNGER
    ann.meet(bob)
    assert [damage.attribute for damage in ann.damages] == ["next"]
    assert bob.read(ann, ann.say(bob, b"anew")) == b"anew"


class TestCheckpoint:
    def test_short_of_32_numbers_it_costs_nothing(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        reservation = [ann.reserve(bob) for _ in range(32)][-1]
        ann.table.requests.clear()
        assert not ann.keys.sending.checkpoint(reservation, [bob.device])
        assert ann.table.requests == []

    def test_it_forgets_the_keys_before_it(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        reservation = [ann.reserve(bob) for _ in range(33)][-1]
        assert ann.keys.sending.checkpoint(reservation, [bob.device])
        following = ann.reserve(bob)
        assert following.chains[bob.device].sending.index == 33
        assert bob.read(ann, following.encrypt(bob.device, ann.profile, b"next")) == b"next"

    def test_it_moves_only_the_devices_that_were_addressed(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        reservation = [ann.reserve(bob) for _ in range(33)][-1]
        assert not ann.keys.sending.checkpoint(reservation, [7])

    def test_it_loses_against_a_turn_and_says_nothing(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        converse(ann, bob)
        reservation = [ann.reserve(bob) for _ in range(40)][-1]
        ann.read(bob, bob.say(ann, b"turn"))
        bob.read(ann, ann.say(bob, b"and back"))
        before = ann.outbound(bob)
        ann.read(bob, bob.say(ann, b"turn again"))
        assert not ann.keys.sending.checkpoint(reservation, [bob.device])
        assert ann.outbound(bob)["chain#0"] != before["chain#0"]

    def test_an_older_reservation_cannot_bring_it_back(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        reservations = [ann.reserve(bob) for _ in range(70)]
        assert ann.keys.sending.checkpoint(reservations[69], [bob.device])
        assert not ann.keys.sending.checkpoint(reservations[40], [bob.device])
        assert ann.reserve(bob).chains[bob.device].sending.index == 70
