"""Sender keys: what a group member reads, and what nobody reads twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.signal_peers import Entropy
from tocsin.signal import sender_key
from tocsin.signal.curve import key_pair
from tocsin.signal.errors import (
    BadSignature,
    Duplicate,
    FutureMessage,
    InvalidMessage,
    InvalidRecord,
    NoSession,
    StaleIndex,
)
from tocsin.signal.sender_key import SenderKey, SenderKeyRecord
from tocsin.signal.wire import LAST_INDEX

ENTROPY = Entropy("group")


def new_key(key_id: int = 7) -> SenderKey:
    return sender_key.create(key_id, ENTROPY(32), key_pair(ENTROPY(32)))


def say(key: SenderKey, iteration: int, text: str = "text") -> bytes:
    return sender_key.encrypt(key, iteration, plaintext=text.encode(), entropy=ENTROPY(64))


def member_of(key: SenderKey) -> SenderKeyRecord:
    return sender_key.process(None, sender_key.distribution(key))


def test_a_member_reads_from_the_distribution_on() -> None:
    key = new_key()
    early, late = member_of(key), member_of(sender_key.advance(key, 3))
    message = say(key, 2)
    assert sender_key.decrypt(early, message)[0] == b"text"
    with pytest.raises(Duplicate):
        sender_key.decrypt(late, message)
    assert sender_key.decrypt(late, say(key, 3))[0] == b"text"


def test_a_message_is_read_once_in_any_order() -> None:
    key = new_key()
    record = member_of(key)
    messages = [say(key, iteration, f"text {iteration}") for iteration in range(5)]
    for iteration in (4, 1, 0, 3, 2):
        plaintext, record = sender_key.decrypt(record, messages[iteration])
        assert plaintext == f"text {iteration}".encode()
        with pytest.raises(Duplicate):
            sender_key.decrypt(record, messages[iteration])
    assert record.states[0].skipped == ()


def test_a_repeated_distribution_makes_nothing_readable_again() -> None:
    key = new_key()
    distribution, message = sender_key.distribution(key), say(key, 0)
    _, record = sender_key.decrypt(sender_key.process(None, distribution), message)
    with pytest.raises(Duplicate):
        sender_key.decrypt(sender_key.process(record, distribution), message)


def test_the_same_id_with_another_signing_key_replaces() -> None:
    old, new = new_key(), new_key()
    record = sender_key.process(member_of(old), sender_key.distribution(new))
    assert len(record.states) == 1
    assert sender_key.decrypt(record, say(new, 0))[0] == b"text"
    with pytest.raises(BadSignature):
        sender_key.decrypt(record, say(old, 0))


def test_the_newest_five_keys_are_kept() -> None:
    keys = [new_key(key_id) for key_id in range(6)]
    record = None
    for key in keys:
        record = sender_key.process(record, sender_key.distribution(key))
    assert [state.key_id for state in record.states] == [5, 4, 3, 2, 1]
    with pytest.raises(NoSession):
        sender_key.decrypt(record, say(keys[0], 0))
    again = sender_key.process(record, sender_key.distribution(keys[1]))
    assert [state.key_id for state in again.states] == [1, 5, 4, 3, 2]


def test_without_the_key_there_is_no_session() -> None:
    with pytest.raises(NoSession):
        sender_key.decrypt(None, say(new_key(), 0))


def test_a_flipped_bit_anywhere_is_refused() -> None:
    key = new_key()
    record, message = member_of(key), say(key, 0)
    for place in range(len(message)):
        changed = message[:place] + bytes((message[place] ^ 1,)) + message[place + 1 :]
        with pytest.raises((InvalidMessage, NoSession)):
            sender_key.decrypt(record, changed)
    assert sender_key.decrypt(record, message)[0] == b"text"


def test_a_jump_over_two_thousand_messages_is_allowed_and_no_more() -> None:
    key = new_key()
    record = member_of(key)
    with pytest.raises(FutureMessage):
        sender_key.decrypt(record, say(sender_key.advance(key, 2001), 2001))
    _, record = sender_key.decrypt(record, say(key, 2000))
    assert len(record.states[0].skipped) == 2000
    _, record = sender_key.decrypt(record, say(sender_key.advance(key, 2002), 2002))
    assert len(record.states[0].skipped) == 2000
    with pytest.raises(Duplicate):
        sender_key.decrypt(record, say(key, 0))
    assert sender_key.decrypt(record, say(key, 1))[0] == b"text"


def test_an_iteration_behind_the_checkpoint_is_stale() -> None:
    key = sender_key.advance(new_key(), 5)
    for iteration in (4, 2006):
        with pytest.raises(StaleIndex):
            say(key, iteration)
    with pytest.raises(StaleIndex):
        sender_key.advance(key, 4)


def test_stored_forms_come_back_or_are_refused() -> None:
    key = sender_key.advance(new_key(2**31 - 1), 300)
    assert sender_key.decode_key(sender_key.encode_key(key)) == key
    _, record = sender_key.decrypt(member_of(key), say(key, 303))
    record = replace(record, states=(*record.states, *member_of(new_key()).states))
    stored = sender_key.encode_record(record)
    assert sender_key.decode_record(stored) == record
    for place in range(len(stored)):
        with pytest.raises(InvalidRecord):
            sender_key.decode_record(stored[:place])
        with pytest.raises(InvalidRecord):
            sender_key.decode_record(stored[:place] + bytes((stored[place] ^ 1,)) + stored[place + 1 :])
    with pytest.raises(InvalidRecord):
        sender_key.decode_key(stored)


def test_keys_hide_themselves() -> None:
    key = new_key()
    assert repr(key.chain_key)[2:-1] not in repr((key, member_of(key)))


def told_at(key: SenderKey, iteration: int) -> bytes:
    """The distribution of a key whose checkpoint stands there."""
    return sender_key.distribution(replace(key, iteration=iteration))


def test_the_last_iteration_can_be_read_and_stored() -> None:
    key = replace(new_key(), iteration=LAST_INDEX)
    record = sender_key.process(None, told_at(key, LAST_INDEX))
    plaintext, after = sender_key.decrypt(record, say(key, LAST_INDEX))
    assert plaintext == b"text"
    assert sender_key.decode_record(sender_key.encode_record(after)) == after


def test_an_iteration_that_none_can_follow_is_refused() -> None:
    """Signed well or not: once used, its successor would fit neither the wire nor the stored form."""
    key = replace(new_key(), iteration=LAST_INDEX)
    record = sender_key.process(None, told_at(key, LAST_INDEX))
    with pytest.raises(InvalidMessage, match="none can follow"):
        sender_key.process(None, told_at(key, LAST_INDEX + 1))
    with pytest.raises(InvalidMessage, match="none can follow"):
        sender_key.decrypt(record, say(key, LAST_INDEX + 1))


@pytest.mark.parametrize("iteration", [2001, 2**31, LAST_INDEX])
def test_an_iteration_far_ahead_is_of_the_future(iteration: int) -> None:
    key = new_key()
    with pytest.raises(FutureMessage):
        sender_key.decrypt(member_of(key), say(replace(key, iteration=iteration), iteration))
