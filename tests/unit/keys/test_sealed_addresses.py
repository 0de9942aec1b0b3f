"""Which LID a number has is believed only where it is sealed for that very place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.key_peers import Clock, End
from tests.support.key_stories import LID, PN
from tests.support.paired_account import PairedAccount
from tocsin.dynamo.writes import Put, Update
from tocsin.keys.addresses import PROOF
from tocsin.tables.keys import address_key

OTHER_PN, OTHER_LID = "620000@s.whatsapp.net", "300@lid"


@pytest.fixture
def known(ann: End) -> End:
    ann.keys.contacts.learn(PN, LID)
    return ann


def place(end: End, user: str) -> tuple[str, str]:
    return address_key(end.keys.account.name, user)


def test_a_pair_that_was_written_by_somebody_else_is_unknown(ann: End) -> None:
    ann.table.put(Put(place(ann, PN), {"pn": PN, "lid": OTHER_LID}))
    assert ann.keys.contacts.known(PN) is None
    assert ann.keys.contacts.address(PN) is None


def test_what_stands_in_clear_beside_the_seal_decides_nothing(known: End) -> None:
    known.table.update(Update(place(known, PN), set={"lid": OTHER_LID, "pn": OTHER_PN}))
    told = known.keys.contacts.known(PN)
    assert told is not None
    assert (told.pn, told.lid) == (PN, LID)


def test_a_seal_from_another_place_is_unknown(known: End) -> None:
    proof = (known.table.get(place(known, PN)) or {})[PROOF]
    known.table.put(Put(place(known, OTHER_PN), {PROOF: proof}))
    assert known.keys.contacts.known(OTHER_PN) is None


@given(position=st.integers(0, 60), bit=st.integers(0, 7))
def test_a_seal_with_a_changed_bit_is_unknown(position: int, bit: int) -> None:
    paired = PairedAccount()
    paired.keys.contacts.learn(PN, LID)
    key = address_key("default", PN)
    proof = bytearray((paired.table.get(key) or {})[PROOF])
    proof[position % len(proof)] ^= 1 << bit
    paired.table.update(Update(key, set={PROOF: bytes(proof)}))
    assert paired.keys.contacts.known(PN) is None


def test_a_pair_that_is_unknown_can_be_learnt_again(known: End) -> None:
    known.table.update(Update(place(known, PN), set={PROOF: b"damaged"}))
    assert known.keys.contacts.learn(PN, LID)
    assert known.keys.contacts.address(PN) == {"pn": PN, "lid": LID}


def test_a_doubt_lasts_until_the_next_answer(known: End, clock: Clock) -> None:
    clock.now += 3600
    assert known.keys.contacts.doubt(PN)
    told = known.keys.contacts.known(PN)
    assert told is not None
    assert told.doubted
    clock.now += 60
    known.keys.contacts.learn(PN, LID)
    told = known.keys.contacts.known(PN)
    assert told is not None
    assert not told.doubted


def test_what_was_asked_just_now_is_not_doubted(known: End) -> None:
    assert not known.keys.contacts.doubt(PN)


def test_a_number_that_moved_stays_where_it_was_until_it_is_learnt(known: End) -> None:
    assert known.keys.contacts.note_moved(PN, OTHER_LID)
    assert not known.keys.contacts.note_moved(PN, OTHER_LID)
    told = known.keys.contacts.known(PN)
    assert told is not None
    assert (told.lid, told.moved_to) == (LID, OTHER_LID)
    known.keys.contacts.learn(PN, OTHER_LID)
    told = known.keys.contacts.known(PN)
    assert told is not None
    assert (told.lid, told.moved_to) == (OTHER_LID, None)
