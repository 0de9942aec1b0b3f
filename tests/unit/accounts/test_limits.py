"""What WhatsApp keeps an account from: heard by anybody, known to all, until it ends."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW, Interposed, once
from tocsin.accounts.limits import FIRST_CONTACTS, LOGIN, Limit, note_limit, read_limit, read_limits
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.tables.keys import limit_key

HOUR = 3600


def restricted(*, hours: float = 24, heard: int = NOW, cause: str = "463") -> Limit:
    return Limit(FIRST_CONTACTS, cause, int(NOW + hours * HOUR), heard)


LIFTED = Limit(FIRST_CONTACTS, "notification", 0, NOW + 60)


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def test_what_was_noted_is_known_to_whoever_asks(table: MemoryTable) -> None:
    ban = Limit(LOGIN, "the same message to too many", NOW + HOUR, NOW)
    note_limit(table, "main", restricted())
    note_limit(table, "main", ban)
    assert read_limits(table, "main", NOW) == {FIRST_CONTACTS: restricted(), LOGIN: ban}
    assert read_limit(table, "main", LOGIN, NOW) == ban
    assert read_limits(table, "second", NOW) == {}


def test_it_is_over_at_its_end(table: MemoryTable) -> None:
    note_limit(table, "main", restricted(hours=1))
    assert read_limit(table, "main", FIRST_CONTACTS, NOW + HOUR - 1) is not None
    assert read_limit(table, "main", FIRST_CONTACTS, NOW + HOUR) is None
    assert read_limits(table, "main", NOW + HOUR) == {}


def test_a_guess_moves_no_end_that_was_told_to_be_later(table: MemoryTable) -> None:
    told = restricted(hours=72)
    note_limit(table, "main", told)
    assert note_limit(table, "main", restricted(heard=NOW + 1), guessed=True) == told
    assert read_limit(table, "main", FIRST_CONTACTS, NOW) == told


def test_an_end_that_is_told_stands_in_place_of_a_guess(table: MemoryTable) -> None:
    note_limit(table, "main", restricted(), guessed=True)
    assert note_limit(table, "main", restricted(hours=2)) == restricted(hours=2)


def test_lifted_is_lifted_whatever_older_news_come_late(table: MemoryTable) -> None:
    note_limit(table, "main", restricted())
    note_limit(table, "main", LIFTED)
    assert note_limit(table, "main", restricted(heard=NOW + 30)) == LIFTED
    assert read_limit(table, "main", FIRST_CONTACTS, NOW) is None


def test_a_restriction_after_the_last_one_was_lifted_counts(table: MemoryTable) -> None:
    note_limit(table, "main", LIFTED)
    again = restricted(heard=NOW + 90)
    assert note_limit(table, "main", again, guessed=True) == again._replace(guessed=True)


def test_of_two_who_hear_at_once_the_later_news_stand(table: MemoryTable) -> None:
    later = restricted(hours=3, heard=NOW + 5)
    shaky = Interposed(table)
    shaky.before = once("put", lambda: note_limit(table, "main", later))
    assert note_limit(shaky, "main", restricted()) == later


def test_its_item_goes_some_time_after_its_end(table: MemoryTable) -> None:
    note_limit(table, "main", restricted())
    item = table.get(limit_key("main", FIRST_CONTACTS))
    assert item is not None
    assert item["expire_at"] == NOW + 24 * HOUR + 14 * 86400


def test_an_item_that_makes_no_sense_holds_nothing(table: MemoryTable) -> None:
    table.put(Put(limit_key("main", FIRST_CONTACTS), {"until": "soon"}))
    assert read_limits(table, "main", NOW) == {}
