"""Turns under a fence: every number belongs to exactly one chain, whoever reserved meanwhile."""

from __future__ import annotations

import pytest

from tests.support.key_peers import End, converse, index_of, once, previous_counter_of, raising
from tocsin.dynamo.table import Conflict, Contention, InvalidWrite, OutcomeUnknown
from tocsin.dynamo.writes import Put
from tocsin.keys.errors import Contended
from tocsin.keys.turn import LEAP


def turn(end: End, peer: End) -> None:
    """Let `end` receive under a new ratchet key of `peer`, so that its sending chain to it is replaced."""
    assert end.read(peer, peer.say(end, b"turn")) == b"turn"


@pytest.fixture
def answered(ann: End, bob: End) -> tuple[End, End]:
    """Both have answered; `bob` has a new ratchet key that `ann` doesn't know yet."""
    ann.meet(bob)
    converse(ann, bob)
    assert bob.read(ann, ann.say(bob, b"once more")) == b"once more"
    return ann, bob


def test_a_turn_is_one_transaction_after_one_read(answered: tuple[End, End]) -> None:
    ann, bob = answered
    message = bob.say(ann, b"turn")
    ann.table.requests.clear()
    ann.read(bob, message)
    assert ann.table.requests == ["get_many", "transact"]


def test_the_new_chain_starts_at_the_fence(answered: tuple[End, End]) -> None:
    ann, bob = answered
    before = ann.outbound(bob)["next"]
    turn(ann, bob)
    reservation = ann.reserve(bob)
    assert reservation.number == before == reservation.chains[bob.device].origin
    assert index_of(reservation.encrypt(bob.device, ann.profile, b"x")) == 0


def test_the_new_chain_names_the_last_index_of_the_old_one(answered: tuple[End, End]) -> None:
    ann, bob = answered
    handed_out = [ann.say(bob, b"old chain") for _ in range(3)]
    turn(ann, bob)
    assert previous_counter_of(ann.say(bob, b"new chain")) == index_of(handed_out[-1])


def test_a_send_between_read_and_commit_is_counted(answered: tuple[End, End]) -> None:
    ann, bob = answered
    sent = []
    ann.table.before = once("transact", lambda: sent.append(ann.say(bob, b"in between")))
    turn(ann, bob)
    after = ann.say(bob, b"new chain")
    assert previous_counter_of(after) >= index_of(sent[0])
    assert bob.read(ann, after) == b"new chain"
    assert bob.read(ann, sent[0]) == b"in between"


def test_after_a_lost_race_the_fence_leaps(answered: tuple[End, End]) -> None:
    ann, bob = answered
    ann.table.before = once("transact", lambda: ann.say(bob, b"in between"))
    turn(ann, bob)
    assert ann.reserve(bob).number == 3 + LEAP


def test_behind_the_leaping_fence_sends_go_on(answered: tuple[End, End]) -> None:
    """All that is reserved while the second try is on its way belongs to the old chain, and is readable."""
    ann, bob = answered
    sent = []

    def busy(name: str, argument: object) -> None:
        if name == "transact":
            sent.extend(ann.say(bob, b"busy") for _ in range(20))

    ann.table.before = busy
    ann.table.requests.clear()
    turn(ann, bob)
    ann.table.before = lambda name, argument: None
    late = ann.say(bob, b"new chain")
    assert ann.table.requests.count("transact") == 2
    assert bob.read(ann, late) == b"new chain"
    assert [bob.read(ann, message) for message in sent] == [b"busy"] * 40


def test_contention_repeats_the_same_transaction(answered: tuple[End, End]) -> None:
    ann, bob = answered
    message = bob.say(ann, b"turn")
    ann.table.requests.clear()
    ann.table.before = once("transact", raising(Contention()))
    assert ann.read(bob, message) == b"turn"
    assert ann.table.requests == ["get_many", "transact", "transact"]
    assert len(ann.pauses) == 1


def test_a_transaction_that_can_never_succeed_is_not_repeated(answered: tuple[End, End]) -> None:
    ann, bob = answered
    message = bob.say(ann, b"turn")
    ann.table.before = once("transact", raising(InvalidWrite("too large")))
    with pytest.raises(InvalidWrite):
        ann.read(bob, message)
    assert ann.read(bob, message) == b"turn"


def test_a_loser_of_every_race_gives_up(answered: tuple[End, End]) -> None:
    ann, bob = answered
    message = bob.say(ann, b"turn")

    def lose(name: str, argument: object) -> None:
        if name == "transact":
            raise Conflict({})

    ann.table.before = lose
    with pytest.raises(Contended):
        ann.read(bob, message)


def test_two_readings_around_somebodys_turn_are_read_again(answered: tuple[End, End]) -> None:
    """The outbound item of before the turn beside the inbound item of after it."""
    ann, bob = answered
    old = ann.outbound(bob)
    turn(ann, bob)
    bob.read(ann, ann.say(bob, b"so that bob turns"))
    message = bob.say(ann, b"torn")
    new = ann.outbound(bob)
    key = (str(old["pk"]), "outbound")
    put_back = [lambda: ann.table.table.put(Put(key, new)), lambda: ann.table.table.put(Put(key, old))]

    def tear(name: str, argument: object) -> None:
        if name == "get_many" and put_back:
            put_back.pop()()

    ann.table.before = tear
    assert ann.read(bob, message) == b"torn"
    assert ann.damages == []


def test_a_chain_from_the_archive_comes_back_into_the_outbound_item(ann: End, bob: End) -> None:
    """The outbound item as it was before the session was archived, the inbound item as it is since then: the
    message promotes the session, whose chain seems to be where it belongs, and isn't there any more."""
    ann.meet(bob)
    converse(ann, bob)
    bob.read(ann, ann.say(bob, b"so that bob turns"))
    ann.read(bob, bob.say(ann, b"known chain"))
    late, old = bob.say(ann, b"late"), ann.outbound(bob)
    used = ann.say(bob, b"used")
    ann.keys.sending.mark_stale(ann.profile, bob.user, bob.device)
    new = ann.outbound(bob)
    key = (str(old["pk"]), "outbound")
    ann.table.before = once("get_many", lambda: ann.table.table.put(Put(key, old)))
    ann.table.after = once("get_many", lambda: ann.table.table.put(Put(key, new)))
    assert ann.read(bob, late) == b"late"
    again = ann.say(bob, b"again")
    assert (index_of(used), index_of(again)) == (0, 1)


class TestLostAnswers:
    """The transaction was applied, but we saw a timeout."""

    def test_of_a_receive_with_turn(self, answered: tuple[End, End]) -> None:
        ann, bob = answered
        ann.table.after = once("transact", raising(OutcomeUnknown()))
        received = ann.hear(bob, bob.say(ann, b"turn"))
        assert (received.plaintext, received.repeated) == (b"turn", False)
        assert bob.read(ann, ann.say(bob, b"answer")) == b"answer"

    def test_of_making_sessions(self, ann: End, bob: End) -> None:
        ann.table.after = once("transact", raising(OutcomeUnknown()))
        ann.meet(bob)
        assert ann.table.requests.count("transact") == 1
        assert bob.read(ann, ann.say(bob, b"hello")) == b"hello"

    def test_of_a_rebuild(self, answered: tuple[End, End]) -> None:
        ann, bob = answered
        ann.table.after = once("transact", raising(OutcomeUnknown()))
        facts = ann.keys.sending.session_facts(ann.profile, bob.user, bob.device)
        assert ann.keys.sending.rebuild(
            ann.profile, ann.credentials, bob.user, bob.device, bob.bundle(), seen=facts
        )
        assert bob.read(ann, ann.say(bob, b"anew")) == b"anew"

    def test_of_a_request_that_never_arrived(self, answered: tuple[End, End]) -> None:
        ann, bob = answered
        message = bob.say(ann, b"turn")
        ann.table.before = once("transact", raising(OutcomeUnknown()))
        assert ann.hear(bob, message).repeated is False
        assert bob.read(ann, ann.say(bob, b"answer")) == b"answer"
