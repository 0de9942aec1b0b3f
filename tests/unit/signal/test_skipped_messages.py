"""Messages that overtake each other, stay away, or claim to be far ahead."""

from __future__ import annotations

import pytest

from tests.support.signal_peers import Person, acquainted, turn
from tocsin.signal.errors import Duplicate, FutureMessage


def skipped_keys(person: Person) -> int:
    return sum(len(chain.skipped) for state in person.record.states for chain in state.receiving)


def test_any_order_is_fine() -> None:
    ada, ben = acquainted()
    texts = [f"text {n}" for n in range(8)]
    messages = [ada.say(text) for text in texts]
    for place in (7, 0, 3, 1, 6, 2, 5, 4):
        assert ben.hear(messages[place]) == texts[place]
    assert skipped_keys(ben) == 0


def test_messages_of_an_older_chain_arrive_after_a_turn() -> None:
    ada, ben = acquainted()
    old = [ada.say(f"old {n}") for n in range(3)]
    ben.hear(old[2])
    ada.hear(ben.say("turn"))
    ben.hear(ada.say("new chain"))
    assert [ben.hear(message) for message in old[:2]] == ["old 0", "old 1"]


def test_a_jump_over_two_thousand_messages_is_allowed_and_no_more() -> None:
    ada, ben = acquainted()
    for _ in range(2000):
        ada.say("lost")
    fits, too_far = ada.say("after 2000"), ada.say("after 2001")
    with pytest.raises(FutureMessage):
        ben.decrypt(too_far)
    assert ben.hear(fits) == "after 2000"
    assert ben.hear(too_far) == "after 2001"
    assert skipped_keys(ben) == 2000


def test_two_thousand_skipped_keys_are_kept_in_all_and_the_oldest_go_first() -> None:
    ada, ben = acquainted()
    first = ada.say("first lost")
    second = ada.say("second lost")
    for _ in range(1198):
        ada.say("lost")
    ben.hear(ada.say("after 1200"))
    turn(ada, ben)
    kept = ada.say("kept")
    for _ in range(799):
        ada.say("lost")
    ben.hear(ada.say("after 800 more"))
    assert skipped_keys(ben) == 2000
    lost = ada.say("lost")
    ben.hear(ada.say("one more gap"))
    assert skipped_keys(ben) == 2000
    with pytest.raises(Duplicate):
        ben.decrypt(first)
    assert [ben.hear(message) for message in (second, kept, lost)] == ["second lost", "kept", "lost"]


def test_previous_counter_is_the_index_of_the_last_message_handed_out() -> None:
    ada, ben = acquainted()
    for _ in range(3):
        ada.say("on the chain")
    ada.hear(ben.say("turn"))
    assert ada.current.sending.previous_counter == 0, "no turn yet: ben's key was known"
    ben.hear(ada.say("now ben turns"))
    ada.hear(ben.say("and ada too"))
    assert ada.current.sending.previous_counter == 3
    assert ben.current.sending.previous_counter == 1
