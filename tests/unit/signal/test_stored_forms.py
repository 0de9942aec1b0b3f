"""What is stored comes back whole, small, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.signal_peers import NOW, acquainted, strangers, turn
from tocsin.signal import session
from tocsin.signal.errors import InvalidRecord, TornRecord
from tocsin.signal.state import (
    Record,
    SendingChain,
    decode_chain,
    decode_lost,
    decode_record,
    encode_chain,
    encode_record,
)


def full_record() -> Record:
    """Current and archived states, skipped and evicted keys, a superseded identity."""
    ada, ben = acquainted()
    turn(ada, ben, times=7)
    ada.say("lost")
    ben.hear(ada.say("after a gap"))
    ada.reinstall()
    ada.start(ben.bundle(prekey_id=2))
    ben.hear(ada.say("new phone"))
    assert ben.record is not None
    return ben.record


def test_a_record_comes_back_as_it_was() -> None:
    record = full_record()
    assert (len(record.states), len(record.superseded), len(record.evicted)) == (2, 1, 4)
    assert decode_record(encode_record(record)) == record


def test_an_empty_record_comes_back_as_it_was() -> None:
    assert decode_record(encode_record(Record())) == Record()


@pytest.mark.parametrize("prekey_id", [None, 1])
def test_a_pending_session_comes_back_as_it_was(prekey_id: int | None) -> None:
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id))
    ada.say("hello?")
    assert decode_record(encode_record(ada.record)) == ada.record
    chain = ada.current.sending
    assert decode_chain(encode_chain(chain)) == chain


def test_a_chain_comes_back_as_it_was() -> None:
    chain = replace(acquainted()[0].current.sending, index=70_000, previous_counter=2**32 - 1)
    assert decode_chain(encode_chain(chain)) == chain


def test_a_record_and_its_sending_chain_stored_apart() -> None:
    ada, _ = acquainted()
    ada.say("one")
    chain = session.advance(ada.current.sending, ada.current.used)
    stored = encode_record(ada.record, with_sending=False)
    assert decode_record(stored, chain, ada.current.used) == ada.record
    with pytest.raises(InvalidRecord):
        decode_record(stored)


def test_an_archived_state_keeps_its_chain_in_the_record() -> None:
    ada, _ = acquainted()
    archived = session.archive_current(ada.record, NOW)
    stored = encode_record(archived, with_sending=False)
    assert decode_record(stored) == archived


def test_halves_of_different_turns_do_not_fit() -> None:
    ada, ben = acquainted()
    stored = encode_record(ada.record, with_sending=False)
    turn(ada, ben)
    with pytest.raises(TornRecord):
        decode_record(stored, ada.current.sending, 0)


def test_a_record_that_lost_its_sending_chain_still_receives() -> None:
    ada, ben = acquainted()
    message = ada.say("still readable")
    ben.record = decode_lost(encode_record(ben.record, with_sending=False), bytes(32))
    assert ben.hear(message) == "still readable"
    ada.start(ben.bundle(prekey_id=2))
    assert ben.hear(ada.say("a new session heals the rest")) == "a new session heals the rest"


@pytest.mark.parametrize("apart", [False, True])
def test_every_damage_is_noticed(apart: bool) -> None:
    record = full_record()
    chain = record.states[0].sending
    stored = encode_chain(chain) if apart else encode_record(record)

    def read(data: bytes) -> Record | SendingChain:
        return decode_chain(data) if apart else decode_record(data)

    for place in range(len(stored)):
        with pytest.raises(InvalidRecord):
            read(stored[:place])
        with pytest.raises(InvalidRecord):
            read(stored[:place] + bytes((stored[place] ^ 0x10,)) + stored[place + 1 :])
    with pytest.raises(InvalidRecord):
        read(stored + b"\x00")


def test_an_unknown_version_is_refused() -> None:
    stored = encode_record(Record())
    with pytest.raises(InvalidRecord):
        decode_record(b"\x02" + stored[1:])


def test_a_record_with_two_current_states_is_refused() -> None:
    state = acquainted()[0].current
    with pytest.raises(InvalidRecord):
        decode_record(encode_record(Record((state, state))))


def test_records_are_small() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle())
    assert len(encode_record(ada.record)) <= 235
    ben.hear(ada.say("hello"))
    assert len(encode_record(ben.record)) <= 310
    turn(ben, ada)
    turn(ada, ben, times=6)
    ada.record = replace(ada.record, evicted=())
    assert len(ada.current.receiving) == 5
    assert len(encode_record(ada.record)) <= 600
    assert len(encode_chain(ada.current.sending)) <= 115
