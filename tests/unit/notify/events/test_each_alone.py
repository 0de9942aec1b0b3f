"""Whatever is wrong with one recipient is wrong with that one alone: everybody else is told, nobody is lost
without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.phones import FORMS, REPLACED, digits, real_numbers
from tocsin.notify.events.audience import recipients, unreachable
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.events.samples import FULL, sample_body
from tocsin.notify.events.schema import InvalidEvent, parse_event
from tocsin.people.numbers import same_person_key

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
EVERYWHERE = sorted(set(FORMS) - {"national", "bare", "without +"})
"""Forms that mean the same number in every country."""


@st.composite
def sound(draw: st.DrawFn) -> dict[str, Any]:
    """A person whom the event can tell, whatever else it says of them."""
    number = draw(real_numbers().filter(lambda number: not REPLACED.fullmatch(digits(number))))
    written = FORMS[draw(st.sampled_from(EVERYWHERE))](number)
    more = draw(st.dictionaries(st.sampled_from(["id", "name", "language"]), JUNK, max_size=3))
    return {**more, "phone": written, "expected": digits(number)}


BROKEN = JUNK.filter(lambda value: not isinstance(value, dict)) | st.builds(
    lambda phone: {"phone": phone}, JUNK.filter(lambda value: not isinstance(value, str)) | st.just("call me")
)
"""Entries that name nobody who can be told."""


def parse(people: list[Any], parser: Callable[..., TicketEvent] = parse_event) -> TicketEvent:
    body = sample_body(technicians=people, customer=None, groups=[])
    return parser(body, default_region="ID", accounts=["default"])


@given(st.lists(sound() | BROKEN, max_size=8))
def test_each_is_told_or_known_not_to_be(people: list[Any]) -> None:
    event = parse(people)
    expected = [one["expected"] for one in people if isinstance(one, dict) and "expected" in one]
    told = [one.address for one in recipients(event)]
    assert {same_person_key(one) for one in told} == {same_person_key(one) for one in expected}
    assert len(told) == len({same_person_key(one) for one in expected})
    assert len(unreachable(event)) == len(people) - len(expected)


@given(sound(), BROKEN)
def test_the_same_holds_for_the_customer(technician: dict[str, Any], customer: Any) -> None:
    body = sample_body(technicians=[technician], customer=customer, groups=FULL["groups"])
    event = parse_event(body, default_region="ID", accounts=["default"])
    assert [one.audience for one in recipients(event)] == ["technician", "group"]
    assert [one.audience for one in unreachable(event)] == ["customer"] * (customer is not None)


@given(st.lists(JUNK, max_size=5))
def test_and_for_groups(groups: list[Any]) -> None:
    body = sample_body(groups=[*groups, *FULL["groups"]], customer=None, technicians=[])
    event = parse_event(body, default_region="ID", accounts=["default"])
    assert event.groups == tuple(FULL["groups"])
    assert len(event.lost_groups) == len(groups)


def all_or_nobody(body: str, **settings: Any) -> TicketEvent:
    """A twin: one recipient who can't be told refuses the event."""
    event = parse_event(body, **settings)
    if event.left_out or unreachable(event):
        raise InvalidEvent(["somebody can't be told"])
    return event


@pytest.mark.parametrize(
    "broken", ["0812-3456-7890", {"phone": "call me"}, {}, {**FULL["technicians"][0], "id": 3}]
)
def test_twin_that_refuses_the_event_tells_nobody(broken: Any) -> None:
    people = [broken, FULL["technicians"][1]]
    assert parse(people)
    with pytest.raises(InvalidEvent):
        parse(people, all_or_nobody)
