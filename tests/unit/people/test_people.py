"""The records of people: a name leads to its person, each thing is news once, a join loses nothing."""

from __future__ import annotations

from tests.support.notification_stores import USER
from tocsin.notify.store.stores import Stores
from tocsin.people.person import Person

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
    assert not people.opt_in("default", USER)
    people.opt_out("default", USER, "STOP", 5)
    assert people.opt_in("default", USER)
    assert people.find("default", USER).opted_out_at is None
    assert not people.confirm_opt_out("default", USER, 8)


def test_recoveries_count_until_a_delivery(stores: Stores) -> None:
    people = stores.people
    assert [people.count_recovery("default", USER) for _ in range(3)] == [1, 2, 3]
    people.note_delivery("default", USER, "0123456789abcdef01")
    assert people.count_recovery("default", USER) == 1
    assert people.find("default", USER).last_notification == "0123456789abcdef01"


def test_recoveries_of_an_hour_are_counted_apart(stores: Stores) -> None:
    count = stores.people.count_recovery_in_hour
    assert [count("default", USER, at) for at in (1, HOUR - 1, HOUR)] == [1, 2, 1]
