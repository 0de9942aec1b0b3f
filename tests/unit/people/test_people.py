"""The records of people: a name leads to its person, each thing is news once, a join loses nothing."""

from __future__ import annotations

import pytest

from tests.support.notification_stores import USER
from tocsin.dynamo.writes import Item, Put, Update, Value
from tocsin.notify.store.stores import Stores
from tocsin.people.consent import CONSENTS, GIVEN, MAX_CONSENTS, WITHDRAWN, ConsentChange, Way
from tocsin.people.people import TooManyHops
from tocsin.people.person import Name, Person, Source
from tocsin.tables.notifications import person_key

HOUR = 3_600_000


def test_nothing_is_known_of_a_stranger(stores: Stores) -> None:
    assert stores.people.find("default", "nobody@s.whatsapp.net") == Person.unknown("nobody@s.whatsapp.net")


def test_an_opt_out_is_news_once_and_confirmed_once(stores: Stores) -> None:
    people = stores.people
    assert people.opt_out("default", USER, "BERHENTI", 5)
    assert not people.opt_out("default", USER, "BERHENTI", 6)
    assert people.confirm_opt_out("default", USER, 7)
    assert not people.confirm_opt_out("default", USER, 8)
    conduct = people.find("default", USER)
    assert (conduct.opted_out_at, conduct.opt_out_word, conduct.confirmed_at) == (5, "BERHENTI", 7)


def test_an_opt_in_takes_it_back(stores: Stores) -> None:
    people = stores.people
    assert not people.opt_in("default", USER, 4)
    people.opt_out("default", USER, "STOP", 5)
    assert people.opt_in("default", USER, 6)
    assert people.find("default", USER).opted_out_at is None
    assert not people.confirm_opt_out("default", USER, 8)


def test_each_change_of_consent_is_noted_in_the_write_that_makes_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = stores.people
    written: list[Update] = []
    update = people._table.update
    monkeypatch.setattr(people._table, "update", lambda one: written.append(one) or update(one))
    people.opt_out("default", USER, "stop", 5, message="m1")
    people.opt_in("default", USER, 6, way=Way.OPERATOR)
    assert [set(one.append) for one in written] == [{CONSENTS}] * 2
    assert people.find("default", USER).consents == (
        ConsentChange(5, WITHDRAWN, Way.MESSAGE, "m1"),
        ConsentChange(6, GIVEN, Way.OPERATOR),
    )


def test_what_changes_nothing_of_consent_is_not_noted(stores: Stores) -> None:
    stores.people.opt_in("default", USER, 4)
    stores.people.opt_out("default", USER, "stop", 5)
    stores.people.opt_out("default", USER, "stop", 6)
    assert [one.at for one in stores.people.find("default", USER).consents] == [5]


def test_the_last_changes_of_consent_are_kept_and_the_others_counted(stores: Stores) -> None:
    people = stores.people
    for at in range(0, 2 * (MAX_CONSENTS + 2), 2):
        people.opt_out("default", USER, "stop", at)
        people.opt_in("default", USER, at + 1)
    person = people.find("default", USER)
    assert len(person.consents) == MAX_CONSENTS
    assert person.consents[-1] == ConsentChange(2 * MAX_CONSENTS + 3, GIVEN)
    assert person.consents_before == MAX_CONSENTS + 4


def test_a_change_in_between_leaves_the_shortening_to_the_next(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = stores.people
    for at in range(MAX_CONSENTS):
        _ = people.opt_out("default", USER, "stop", at) or people.opt_in("default", USER, at)
    shorten = people._shorten_consents

    def late(item: Item) -> None:
        people.note_heard("default", USER, 3)
        shorten(item)

    with monkeypatch.context() as between:
        between.setattr(people, "_shorten_consents", late)
        people.opt_out("default", USER, "stop", 50)
    assert len(people.find("default", USER).consents) == MAX_CONSENTS + 1
    people.opt_in("default", USER, 51)
    assert len(people.find("default", USER).consents) == MAX_CONSENTS
    assert people.find("default", USER).heard_at == 3


def test_changes_of_consent_under_both_names_are_theirs(stores: Stores) -> None:
    stores.people.opt_out("default", USER, "stop", 5, message="m1")
    stores.people.opt_out("default", LID, "stop", 3, message="m0")
    stores.people.join("default", USER, LID, [])
    assert [one.message for one in stores.people.find("default", USER).consents] == ["m0", "m1"]


@pytest.mark.parametrize("odd", ["x", [7], [{"at": "x"}], [{}]])
def test_what_is_no_change_of_consent_is_passed_over(stores: Stores, odd: Value) -> None:
    stores.people._table.put(Put(person_key("default", USER), {"opted_out_at": 5, CONSENTS: odd}))
    assert stores.people.find("default", USER).consents == ()


def test_what_remains_is_a_person_as_they_stood_before_their_stop(stores: Stores) -> None:
    """Said in SEALED.md: all of it was true once."""
    stores.people.note_heard("default", USER, 4)
    before = stores.people._table.get(person_key("default", USER)) or {}
    stores.people.opt_out("default", USER, "STOP", 5)
    kept = {name: value for name, value in before.items() if name not in ("pk", "sk")}
    stores.people._table.put(Put(person_key("default", USER), kept))
    assert stores.people.find("default", USER).opted_out_at is None


def test_recoveries_count_until_a_delivery(stores: Stores) -> None:
    people = stores.people
    assert [people.count_recovery("default", USER) for _ in range(3)] == [1, 2, 3]
    people.note_delivery("default", USER, "0123456789abcdef01", "1")
    assert people.count_recovery("default", USER) == 1
    assert people.find("default", USER).last_notification == "0123456789abcdef01"


def test_what_reached_them_later_stays_the_last_whichever_is_noted_first(stores: Stores) -> None:
    for name, reached in (("n2", "2"), ("n1", "1"), ("n3", "3"), ("n2", "2")):
        stores.people.note_delivery("default", USER, name, reached)
    assert stores.people.find("default", USER).last_notification == "n3"


def test_what_the_previous_release_noted_is_followed_by_what_comes(stores: Stores) -> None:
    key = person_key("default", USER)
    stores.notifications._table.put(Put(key, {"last_notification": "n1"}))
    stores.people.note_delivery("default", USER, "n2", "2")
    assert stores.people.find("default", USER).last_notification == "n2"


def test_recoveries_of_an_hour_are_counted_apart(stores: Stores) -> None:
    count = stores.people.count_recovery_in_hour
    assert [count("default", USER, at) for at in (1, HOUR - 1, HOUR)] == [1, 2, 1]


# -- two names of one person -------------------------------------------------------------------------------

LID = "1234@lid"
SPELT = "628001@s.whatsapp.net"


def joined(stores: Stores, name: str = USER, into: str = LID) -> Person:
    return stores.people.join("default", name, into, [Name(name, Source.TICKET, 7)])


def test_what_was_said_under_a_name_holds_for_the_person(stores: Stores) -> None:
    stores.people.opt_out("default", USER, "STOP", 5)
    assert joined(stores).opted_out_at == 5
    assert stores.people.find("default", USER) == stores.people.find("default", LID)


def test_whoever_writes_to_a_name_writes_to_the_person(stores: Stores) -> None:
    joined(stores)
    stores.people.opt_out("default", USER, "STOP", 5)
    assert stores.people.find("default", LID).opted_out_at == 5


def test_a_third_spelling_is_the_same_person(stores: Stores) -> None:
    joined(stores)
    joined(stores, SPELT)
    assert set(stores.people.find("default", SPELT).names) == {USER, SPELT}


def test_who_must_write_first_under_a_name_must_and_what_was_refused_goes_along(stores: Stores) -> None:
    stores.people.note_must_write_first("default", USER, "n1", 5)
    stores.people.note_must_write_first("default", LID, "n2", 7)
    person = joined(stores)
    assert (person.must_write_first_at, person.refused) == (7, {"n1", "n2"})


def test_what_is_refused_while_the_rest_is_let_go_stays_noted(stores: Stores) -> None:
    stores.people.note_must_write_first("default", USER, "n1", 5)
    let_go = stores.people.find("default", USER).refused
    stores.people.note_must_write_first("default", USER, "n2", 6)
    stores.people.forget_must_write_first("default", USER, let_go)
    person = stores.people.find("default", USER)
    assert (person.must_write_first_at, person.refused) == (None, {"n2"})


def test_the_first_refusal_says_since_when(stores: Stores) -> None:
    for at in (5, 9):
        stores.people.note_must_write_first("default", USER, f"n{at}", at)
    assert stores.people.find("default", USER).must_write_first_at == 5


def test_joining_twice_changes_nothing(stores: Stores) -> None:
    assert joined(stores) == joined(stores)


def test_a_name_that_goes_to_somebody_else_takes_nothing_along(stores: Stores) -> None:
    stores.people.opt_out("default", USER, "STOP", 5)
    joined(stores)
    newcomer = joined(stores, into="5678@lid")
    assert (newcomer.opted_out_at, newcomer.formerly) == (None, frozenset())
    before = stores.people.find("default", LID)
    assert (before.opted_out_at, before.names[USER].until) == (5, 7)
    assert stores.people.find("default", USER).id == "5678@lid"


def test_a_name_that_comes_back_is_theirs_again(stores: Stores) -> None:
    for at, into in ((7, LID), (8, "5678@lid"), (9, LID)):
        stores.people.join("default", USER, into, [Name(USER, Source.WROTE, at)])
    assert stores.people.find("default", USER).id == LID
    assert stores.people.find("default", LID).numbers == (USER,)
    assert stores.people.find("default", "5678@lid").numbers == ()


def test_recipients_are_addressed_in_one_read(stores: Stores) -> None:
    joined(stores)
    addressed = stores.people.address("default", [(USER,), (SPELT, "628009@s.whatsapp.net")])
    assert addressed == [(LID, "6281234567890"), ("628009@s.whatsapp.net", "628009")]


def test_the_lane_is_the_same_before_and_after_another_spelling_is_heard_of(stores: Stores) -> None:
    """Else what is planned later would go beside what is on its way, and overtake it."""
    written, at_whatsapp = "525512345678@s.whatsapp.net", "5215512345678@s.whatsapp.net"
    [before] = stores.people.address("default", [(at_whatsapp, written)])
    joined(stores, at_whatsapp)
    [after] = stores.people.address("default", [(at_whatsapp, written)])
    assert (before.lane, after.id) == (after.lane, LID)


def test_pointers_in_a_circle_are_no_endless_way(stores: Stores) -> None:
    for name, other in ((USER, LID), (LID, USER)):
        stores.people._table.put(Put(person_key("default", name), {"person": other}))
    with pytest.raises(TooManyHops):
        stores.people.find("default", USER)
    with pytest.raises(TooManyHops):
        stores.people.opt_out("default", USER, "STOP", 5)
