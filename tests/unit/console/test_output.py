"""Text for people, one JSON document a line for programs, never both."""

from __future__ import annotations

import pytest

from tests.support.fake_deployment import Said
from tocsin_console.output import how_long, iso_moment, moment


def test_people_read_what_is_said(said: Said) -> None:
    said.output.say("hello")
    said.output.record({"greeting": "hello"})
    assert said.lines == ["hello"]


def test_programs_read_what_is_recorded(told: Said) -> None:
    told.output.say("hello")
    told.output.record({"greeting": "halo, señor"})
    told.output.record({"n": 2})
    assert told.records == [{"greeting": "halo, señor"}, {"n": 2}]


def test_columns_are_as_wide_as_their_widest_cell(said: Said) -> None:
    said.output.table(["A", "LONG HEAD"], [("wide cell", 1), ("b", 22)])
    assert said.lines == ["A          LONG HEAD", "wide cell  1", "b          22"]


def test_a_pipe_is_no_terminal(said: Said) -> None:
    assert not said.output.in_terminal


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200000, "2 days")]
)
def test_spans_of_time_come_in_their_largest_unit(seconds: float, expected: str) -> None:
    assert how_long(seconds) == expected


def test_times_are_said_in_utc() -> None:
    assert moment(0) == moment(None) == "-"
    assert moment(1_795_000_000_000) == "2026-11-18 11:06:40"
    assert iso_moment("2026-11-18T11:06:40.123Z") == "2026-11-18 11:06:40"
    assert iso_moment("-") == "-"
