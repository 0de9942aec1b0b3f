"""A chat's timer is kept by person: the latest one counts, under both names, for this number of ours."""

from __future__ import annotations

import pytest

from tests.support.key_peers import End, once
from tests.support.key_stories import LID, PN
from tocsin.dynamo.writes import Update
from tocsin.keys.timers import ChatTimer
from tocsin.tables.keys import address_key

OWN, OTHER_OWN = "100@lid", "500@lid"
DAY, WEEK = 86400, 604800
GROUP = "120363000000000001@g.us"


def keep(ann: End, seconds: int, at: int, **how: bool) -> ChatTimer | None:
    return ann.keys.contacts.keep_timer(OWN, LID, ChatTimer(seconds, at), **how)


def known(ann: End) -> ChatTimer | None:
    return ann.keys.contacts.timer(OWN, LID)


def test_nothing_is_known_at_first(ann: End) -> None:
    assert known(ann) is None


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ([(DAY, 100)], (DAY, 100)),
        ([(DAY, 100), (WEEK, 200)], (WEEK, 200)),
        ([(WEEK, 200), (DAY, 100)], (WEEK, 200)),
        ([(DAY, 100), (0, 200)], (0, 200)),
        ([(0, 200), (DAY, 100)], (0, 200)),
        ([(DAY, 0)], (DAY, 0)),
        ([(DAY, 0), (WEEK, 100)], (WEEK, 100)),
        ([(WEEK, 100), (DAY, 0)], (WEEK, 100)),
        ([(WEEK, 100), (0, 0)], (WEEK, 100)),
    ],
)
def test_the_one_that_was_set_last_counts(
    ann: End, told: list[tuple[int, int]], counts: tuple[int, int]
) -> None:
    for seconds, at in told:
        keep(ann, seconds, at)
    assert known(ann) == counts


def test_what_the_server_says_holds_now(ann: End) -> None:
    keep(ann, WEEK, 100)
    assert keep(ann, DAY, 0, certain=True) == (DAY, 100)
    assert keep(ann, WEEK, 90) == (DAY, 100)
    assert keep(ann, 0, 0, certain=True) == (0, 100)


def test_a_chat_without_one_costs_no_write(ann: End) -> None:
    keep(ann, 0, 0, certain=True)
    keep(ann, 0, 0)
    assert ann.table.requests.count("update") == 0


def test_it_is_found_under_the_number_too(ann: End) -> None:
    """A send reads what lies under the recipient's number."""
    ann.keys.contacts.learn(PN, LID)
    keep(ann, DAY, 100)
    item = ann.table.get(address_key("main", PN)) or {}
    assert ann.keys.contacts.open_timer(OWN, LID, item) == (DAY, 100)


def test_what_was_known_of_the_lid_comes_along_to_a_number_learnt_later(ann: End) -> None:
    keep(ann, DAY, 100)
    ann.keys.contacts.learn(PN, LID)
    item = ann.table.get(address_key("main", PN)) or {}
    assert ann.keys.contacts.open_timer(OWN, LID, item) == (DAY, 100)


def test_a_chat_with_another_number_of_ours_is_another_chat(ann: End) -> None:
    keep(ann, DAY, 100)
    assert ann.keys.contacts.timer(OTHER_OWN, LID) is None
    ann.keys.contacts.keep_timer(OTHER_OWN, LID, ChatTimer(WEEK, 50))
    assert ann.keys.contacts.timer(OTHER_OWN, LID) == (WEEK, 50)


def test_nobody_who_only_writes_to_the_table_sets_one(ann: End) -> None:
    keep(ann, DAY, 100)
    stolen = (ann.table.get(address_key("main", LID)) or {})["timer"]
    ann.table.update(Update(address_key("main", "300@lid"), set={"timer": stolen}))
    assert ann.keys.contacts.timer(OWN, "300@lid") is None


def test_a_group_has_one_of_its_own(ann: End) -> None:
    ann.keys.contacts.keep_timer(OWN, GROUP, ChatTimer(DAY, 100))
    assert ann.keys.contacts.timer(OWN, GROUP) == (DAY, 100)


def test_of_two_that_are_told_at_once_the_later_stays(ann: End) -> None:
    ann.table.before = once("update", lambda: keep(ann, WEEK, 200))
    assert keep(ann, DAY, 100) == (WEEK, 200)
    assert known(ann) == (WEEK, 200)
