"""Two records that turn out to be one person's: nothing that either knew is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.people.person import Name, Person, Source, joined

LID, NUMBER = "1234@lid", "6281234567890@s.whatsapp.net"
moments = st.none() | st.integers(1, 9)
turns = st.frozensets(st.sampled_from(["1#a", "2#b", "3#c"]))


@st.composite
def people(draw: st.DrawFn, name: str) -> Person:
    opted_out_at = draw(moments)
    sources = st.sampled_from(Source)
    last = draw(st.sampled_from([None, "n1", "n2"]))
    names = {
        jid: Name(jid, draw(sources), draw(st.integers(1, 9)))
        for jid in draw(st.frozensets(st.sampled_from([NUMBER, "620@s.whatsapp.net", "621@s.whatsapp.net"])))
    }
    return Person(
        name,
        name.partition("@")[0] if name == NUMBER else name,
        names,
        opted_out_at=opted_out_at,
        opt_out_word="STOP" if opted_out_at else None,
        confirmed_at=draw(moments) if opted_out_at else None,
        recoveries=draw(st.integers(0, 3)),
        last_notification=last,
        reached=f"{draw(st.integers(1, 9))} {last}" if last else None,
        parked=draw(turns),
        heard_at=draw(moments),
    )


@given(people(LID), people(NUMBER))
def test_who_withdrew_consent_under_one_name_withdrew_it(person: Person, other: Person) -> None:
    both = joined(person, other)
    withdrawn = [one.opted_out_at for one in (person, other) if one.opted_out_at is not None]
    assert both.opted_out_at == (min(withdrawn) if withdrawn else None)
    assert (both.opt_out_word is None) == (not withdrawn)


@given(people(LID), people(NUMBER))
def test_a_confirmation_stays_only_with_what_it_confirms(person: Person, other: Person) -> None:
    both = joined(person, other)
    assert both.confirmed_at is None or both.opted_out_at is not None


@given(people(LID), people(NUMBER))
def test_what_reached_them_last_under_either_name_stays_the_last(person: Person, other: Person) -> None:
    both = joined(person, other)
    assert both.reached == max((one.reached for one in (person, other) if one.reached), default=None)
    assert both.last_notification == (both.reached.split()[1] if both.reached else None)


@given(people(LID), people(NUMBER))
def test_whoever_waited_in_either_line_waits_on(person: Person, other: Person) -> None:
    assert joined(person, other).parked == person.parked | other.parked


@given(people(LID), people(NUMBER))
def test_every_name_stays_and_a_ticket_s_stays_a_ticket_s(person: Person, other: Person) -> None:
    both = joined(person, other).names
    assert set(both) == set(person.names) | set(other.names)
    for one in (*person.names.values(), *other.names.values()):
        if one.source == Source.TICKET:
            assert both[one.jid].source == Source.TICKET


@given(people(LID), people(NUMBER))
def test_the_number_s_lane_is_the_person_s_and_its_id_is_remembered(person: Person, other: Person) -> None:
    both = joined(person, other)
    assert (both.lane, both.id) == (other.lane, LID)
    assert NUMBER in both.formerly


@given(people(LID), people(NUMBER))
def test_joining_once_more_changes_nothing_of_consent_and_line(person: Person, other: Person) -> None:
    once = joined(person, other)
    again = joined(once, other)
    kept = ("opted_out_at", "opt_out_word", "confirmed_at", "parked", "heard_at", "lane", "formerly")
    assert [getattr(once, name) for name in kept] == [getattr(again, name) for name in kept]


def test_numbers_of_tickets_come_first_and_lost_ones_not_at_all() -> None:
    names = {
        "1@s.whatsapp.net": Name("1@s.whatsapp.net", Source.ANSWER, 1),
        "2@s.whatsapp.net": Name("2@s.whatsapp.net", Source.TICKET, 2),
        "3@s.whatsapp.net": Name("3@s.whatsapp.net", Source.TICKET, 1, until=5),
    }
    assert Person(LID, LID, names).numbers == ("2@s.whatsapp.net", "1@s.whatsapp.net")
