"""Of who was erased, an opt-out is left: it is found under each name, and tells nobody whose it is."""

from __future__ import annotations

import pytest

from tests.support.memory_aws import everything_in
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.patient_table import PatientTable
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.texts import Texts, TextWithheld
from tocsin.people.forgotten import Forgotten, OptOut
from tocsin.people.person import Name, Source
from tocsin.sealing import RecordSealer

A = "default"
NUMBER = "6281234567890@s.whatsapp.net"
LID = "1234@lid"
SAID = OptOut(5, "STOP", 6)


class Table(MemoryTable):
    """Counts what is read."""

    reads = 0

    def get_many(self, keys):
        self.reads += 1
        return super().get_many(keys)

    def get(self, key):
        self.reads += 1
        return super().get(key)


@pytest.fixture
def table() -> Table:
    return Table()


def stores_of(table: MemoryTable, texts: Texts = TEXTS) -> Stores:
    """The stores of a container that just started."""
    return Stores(table, texts=texts)


def forgotten_of(table: MemoryTable, texts: Texts = TEXTS) -> Forgotten:
    return Forgotten(PatientTable(table), texts)


def rotated(current: str, *ids: str) -> Texts:
    keys = {key_id: key_id.encode().ljust(32, b".") for key_id in ids}
    sealer = RecordSealer(keys, current)
    return Texts(lambda: sealer)


# -- hashes ------------------------------------------------------------------------------------------------


def test_it_is_found_under_every_name_and_every_spelling(table: Table) -> None:
    mexican = "5215512345678@s.whatsapp.net"
    forgotten_of(table).keep(A, [NUMBER, LID, mexican], SAID)
    spelled = "525512345678@s.whatsapp.net"
    assert forgotten_of(table).of(A, [NUMBER, LID, spelled]) == dict.fromkeys([NUMBER, LID, spelled], SAID)


def test_the_twin_nobody_else_is_found(table: Table) -> None:
    forgotten_of(table).keep(A, [NUMBER, LID], SAID)
    assert forgotten_of(table).of(A, ["6281234567891@s.whatsapp.net", "1235@lid"]) == {}
    assert forgotten_of(table).of("other", [NUMBER, LID]) == {}


def test_no_name_and_no_key_can_be_read_in_the_table(table: Table) -> None:
    forgotten_of(table).keep(A, [NUMBER, LID], SAID)
    stored = repr(everything_in(table))
    assert "6281234567890" not in stored
    assert "1234@lid" not in stored
    key = forgotten_of(table)
    key.of(A, [NUMBER])
    assert key._keys[A].hex() not in stored


def test_two_deployments_hash_one_name_differently(table: Table) -> None:
    other = Table()
    for each in (table, other):
        forgotten_of(each).keep(A, [NUMBER], SAID)
    assert {item["pk"] for item in everything_in(table)} & {item["pk"] for item in everything_in(other)} == {
        f"forgotten#{A}"
    }


def test_two_operators_at_once_make_one_key(table: Table) -> None:
    slow = forgotten_of(table)
    forgotten_of(table).keep(A, [LID], SAID)
    slow._make_key(A)
    slow.keep(A, [NUMBER], SAID)
    assert forgotten_of(table).of(A, [NUMBER, LID]) == {NUMBER: SAID, LID: SAID}


def test_who_may_not_open_the_key_can_tell_nothing(table: Table) -> None:
    forgotten_of(table).keep(A, [NUMBER], SAID)
    with pytest.raises(TextWithheld):
        forgotten_of(table, Texts()).of(A, [NUMBER])


def test_a_new_key_of_the_secret_takes_the_hashes_along(table: Table) -> None:
    forgotten_of(table, rotated("t1", "t1")).keep(A, [NUMBER], SAID)
    assert forgotten_of(table, rotated("t2", "t1", "t2")).of(A, [NUMBER]) == {NUMBER: SAID}
    assert forgotten_of(table, rotated("t2", "t2")).of(A, [NUMBER]) == {NUMBER: SAID}


# -- written to again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [NUMBER, LID])
def test_who_is_written_to_again_has_opted_out(table: Table, name: str) -> None:
    forgotten_of(table).keep(A, [NUMBER, LID], SAID)
    stores = stores_of(table)
    [addressee] = stores.people.address(A, [(name,)])
    person = stores.people.find(A, addressee.id)
    assert (person.opted_out_at, person.opt_out_word, person.confirmed_at) == (5, "STOP", 6)


def test_who_has_another_number_by_now_is_known_by_their_lid(table: Table) -> None:
    forgotten_of(table).keep(A, [NUMBER, LID], SAID)
    people = stores_of(table).people
    new = "6289999999999@s.whatsapp.net"
    people.note_heard(A, LID, 9)
    people.address(A, [(new,)])
    joined = people.join(A, new, LID, [Name(new, Source.ANSWER, 10)])
    assert joined.opted_out_at == 5


def test_what_they_take_back_is_gone_under_every_name(table: Table) -> None:
    forgotten_of(table).keep(A, [NUMBER, LID], SAID)
    people = stores_of(table).people
    people.address(A, [(NUMBER,)])
    assert people.opt_in(A, NUMBER, 9)
    assert not people.opt_in(A, NUMBER, 9)
    assert people.join(A, NUMBER, LID, []).opted_out_at is None


def test_a_second_look_finds_no_news(table: Table) -> None:
    forgotten_of(table).keep(A, [NUMBER], SAID)
    people = stores_of(table).people
    people.address(A, [(NUMBER,)])
    before = everything_in(table)
    people.address(A, [(NUMBER,)])
    assert everything_in(table) == before


# -- what it costs -----------------------------------------------------------------------------------------


def test_a_known_person_costs_no_read_more(table: Table) -> None:
    forgotten_of(table).keep(A, [LID], SAID)
    people = stores_of(table).people
    people.note_heard(A, NUMBER, 1)
    table.reads = 0
    people.address(A, [(NUMBER,)])
    assert table.reads == 1


def test_where_nobody_was_forgotten_a_stranger_costs_none_either(table: Table) -> None:
    table.reads = 0
    stores_of(table).people.address(A, [(NUMBER,)])
    assert table.reads == 1


def test_a_group_is_nobody_who_could_be_forgotten(table: Table) -> None:
    forgotten_of(table).keep(A, [LID], SAID)
    table.reads = 0
    stores_of(table).people.address(A, [("120363000000000001@g.us",)])
    assert table.reads == 1


def test_else_a_stranger_costs_one_read_more(table: Table) -> None:
    forgotten_of(table).keep(A, [LID], SAID)
    table.reads = 0
    stores_of(table).people.address(A, [(NUMBER,)])
    assert table.reads == 2
