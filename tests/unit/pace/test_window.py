"""What a window counts: never less than happened within its span."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.pace.window import DAY, HOUR, MINUTE, Window

NOW = 1_800_000_000


def test_what_is_older_than_the_span_is_forgotten() -> None:
    window = Window(MINUTE)
    window.add(NOW)
    assert (window.total(NOW + 60), window.total(NOW + 65)) == (1, 0)


def test_there_is_room_below_the_limit_and_none_at_it() -> None:
    window = Window(HOUR)
    window.add(NOW)
    assert window.free_at(NOW, 2) == NOW
    assert window.free_at(NOW, 1) == NOW + 3660


def test_room_comes_with_as_many_buckets_as_are_over_the_limit() -> None:
    window = Window(HOUR)
    for minute in range(3):
        window.add(NOW + 60 * minute)
    assert window.free_at(NOW + 120, 1) == NOW + 120 + 3660
    assert window.free_at(NOW + 120, 3) == NOW + 3660


def test_a_clock_that_steps_back_makes_no_room() -> None:
    window = Window(DAY)
    window.add(NOW)
    window.add(NOW - 90_000)
    assert window.total(NOW) == 2


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 5))
def test_no_minute_ever_holds_more_than_the_limit(gaps: list[int], limit: int) -> None:
    window, now, sent = Window(MINUTE), float(NOW), []
    for gap in gaps:
        now = window.free_at(now + gap / 10, limit)
        window.add(now)
        sent.append(now)
    assert all(sum(at - 60 < other <= at for other in sent) <= limit for at in sent)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60), st.integers(1, 5))
def test_there_is_room_when_it_was_said_to_be(gaps: list[int], limit: int) -> None:
    window, now = Window(MINUTE), float(NOW)
    for gap in gaps:
        now += gap / 10
        window.add(now)
    free = window.free_at(now, limit)
    assert window.total(free) < limit or limit == 0


def test_a_clock_that_was_a_year_ahead_for_a_moment_holds_nobody_for_a_year() -> None:
    window = Window(HOUR)
    for _ in range(10):
        window.add(NOW + 365 * 86_400)
    assert window.free_at(NOW, 10) == NOW
    window.add(NOW)
    assert window.total(NOW) == 1
