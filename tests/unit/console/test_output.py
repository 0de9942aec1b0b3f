"""Text for people, one JSON document a line for programs, never both."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.support.fake_deployment import Said
from tocsin.notify.events.schema import schema
from tocsin_console.commands.options import past
from tocsin_console.output import (
    Output,
    complain,
    counted,
    how_long,
    iso_moment,
    json_moment,
    moment,
    plain,
    show_times_in,
    time_of_day,
)
from tocsin_local.bootstrap import ROOT


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


def test_what_was_never_is_no_time() -> None:
    assert moment(0) == moment(None) == "-"
    assert iso_moment("-") == "-"
    assert json_moment(0) is json_moment(None) is None


@pytest.fixture
def in_zone() -> Iterator[Callable[[str], None]]:
    """Have the machine be in a zone, as TZ names it."""
    before = os.environ["TZ"]

    def enter(name: str) -> None:
        os.environ["TZ"] = name
        time.tzset()

    yield enter
    enter(before)
    show_times_in(None)


JAKARTA, KOLKATA, NEW_YORK = "WIB-7", "IST-5:30", "EST5EDT,M3.2.0,M11.1.0"
"""As POSIX writes zones: a machine need not know their names."""


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC0", "2026-11-18 11:06:40 UTC"),
        (JAKARTA, "2026-11-18 18:06:40 +07"),
        (KOLKATA, "2026-11-18 16:36:40 +05:30"),
        (NEW_YORK, "2026-11-18 06:06:40 -05"),
    ],
)
def test_people_read_times_in_the_zone_of_their_machine(
    in_zone: Callable[[str], None], zone: str, shown: str
) -> None:
    in_zone(zone)
    assert moment(1_795_000_000_000) == shown
    assert iso_moment("2026-11-18T11:06:40.123Z") == shown
    assert iso_moment("2026-11-18T18:06:40+07:00") == shown


def test_the_hour_that_comes_twice_is_told_apart(in_zone: Callable[[str], None]) -> None:
    in_zone(NEW_YORK)
    before = datetime(2026, 11, 1, 5, 30, tzinfo=UTC).timestamp() * 1000
    assert moment(before) == "2026-11-01 01:30:00 -04"
    assert moment(before + 3_600_000) == "2026-11-01 01:30:00 -05"


def test_who_asks_for_utc_reads_utc(in_zone: Callable[[str], None]) -> None:
    in_zone(JAKARTA)
    show_times_in(UTC)
    assert moment(1_795_000_000_000) == "2026-11-18 11:06:40 UTC"
    assert time_of_day(1_795_000_000_000) == "11:06 UTC"


def test_programs_read_utc_wherever_they_run(in_zone: Callable[[str], None]) -> None:
    in_zone(JAKARTA)
    assert json_moment(1_795_000_000_123) == "2026-11-18T11:06:40.123Z"
    assert json_moment("yesterday") is json_moment(10**30) is None


@pytest.mark.parametrize("zone", ["UTC0", JAKARTA, KOLKATA, NEW_YORK])
def test_a_time_as_it_is_shown_can_be_typed(in_zone: Callable[[str], None], zone: str) -> None:
    in_zone(zone)
    assert past(moment(1_795_000_000_000)) == 1_795_000_000_000


WAYS_TO_SHOW_A_TIME = re.compile(r"\b(strftime|localtime|ctime|fromtimestamp|utcfromtimestamp)\b|\bUTC[\"']")


def test_one_place_decides_how_times_are_shown() -> None:
    console = ROOT / "infra" / "tocsin_console"
    sources = {
        str(path.relative_to(console)): path.read_text(encoding="utf-8")
        for path in console.rglob("*")
        if path.suffix in (".py", ".html", ".js")
    }
    assert {name for name, text in sources.items() if WAYS_TO_SHOW_A_TIME.search(text)} == {"output.py"}


@pytest.mark.parametrize("other", ["time.strftime('%H:%M')", "datetime.fromtimestamp(at)", "f'{at} UTC'"])
def test_another_place_would_be_noticed(other: str) -> None:
    assert WAYS_TO_SHOW_A_TIME.search(other)


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f\x00", "\\x7f\\x00"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("\u202eevil\u202c \u2066\u2069 \u200e\u200f", "\\u202eevil\\u202c \\u2066\\u2069 \\u200e\\u200f"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_steer_the_terminal_is_shown_as_its_escape(said: Said, foreign: str, shown: str) -> None:
    said.output.say(foreign)
    said.output.table(["HEAD"], [(foreign,)])
    assert said.text == f"{shown}\nHEAD\n{shown}\n"


TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_of_all_characters_those_that_control_break_or_turn_a_line_are_escaped(said: Said) -> None:
    steering = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in TURNING
    ]
    said.output.say("".join(steering))
    assert len(said.lines) == 1
    assert said.text.isascii()
    assert said.text.rstrip("\n").isprintable()


@pytest.mark.parametrize("text", ["señor", "تذكرة", "票 42", "\u200d\u200c", "👩\u200d🔧", "a\\b", "e\u0301"])
def test_people_s_languages_stay_as_they_are(text: str) -> None:
    assert plain(text) == text


def test_columns_are_as_wide_as_what_is_shown(said: Said) -> None:
    said.output.table(["A", "B"], [("\x1b", 1), ("b", 2)])
    assert said.lines == ["A     B", "\\x1b  1", "b     2"]


def test_json_gives_back_what_was_recorded_and_holds_nothing_that_steers(told: Said) -> None:
    value = "".join(map(chr, range(0x100))) + "\u202e\u2066\u2028\u061c\ufeff"
    told.output.record({value: [value]})
    assert told.records == [{value: [value]}]
    assert plain(told.text.removesuffix("\n")) == told.text.removesuffix("\n")


def test_half_a_surrogate_pair_is_replaced_in_json(told: Said) -> None:
    """Not every parser takes its escape."""
    told.output.record({"id": "a\ud800\udfffb"})
    assert told.records == [{"id": "a\ufffd\ufffdb"}]


def test_a_question_and_a_complaint_steer_nothing_either(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    Output(stream=stream, answers=io.StringIO("n")).ask("drop \x1b[2J? ")
    complain("no \x1b[2J")
    assert stream.getvalue() == "drop \\x1b[2J? "
    assert capsys.readouterr().err == "no \\x1b[2J\n"


def test_no_id_that_an_event_may_hold_needs_an_escape() -> None:
    """What the schema refuses in ids, and what is escaped here, are the same."""
    refused = re.compile(schema()["$defs"]["id"]["not"]["pattern"])
    for code in (*range(0xD800), *range(0xE000, 0x10000)):
        assert bool(refused.search(chr(code))) == (plain(chr(code)) != chr(code)), hex(code)


@pytest.mark.parametrize("odd", [10**30, -(10**30), float("nan"), float("inf"), "yesterday", [1]])
def test_what_is_no_time_is_shown_as_unknown(odd: float) -> None:
    assert moment(odd) == "?"


@pytest.mark.parametrize("far", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_beyond_the_calendar_ends_nothing(far: str) -> None:
    assert iso_moment(far) in (far, "?")


def printed(program: str, stdout: int) -> subprocess.CompletedProcess[bytes]:
    """What an interpreter of its own leaves that runs `program`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-c", f"from tocsin_console.output import *\n{program}"]
    return subprocess.run(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False)


def test_a_terminal_that_cannot_show_a_character_shows_another() -> None:
    done = printed("replace_unencodable()\nOutput().say('café ✓')", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "café ?\n".encode("latin-1"), b"")


def test_a_reader_that_has_enough_ends_the_program_without_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = printed(
        "try: Output().say('hello')\nexcept BrokenPipeError: exit(end_after_closed_pipe())", stdout=writer
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("count", "many", "told"),
    [
        (0, "sessions", "0 sessions"),
        (1, "sessions", "1 session"),
        (2, "sessions", "2 sessions"),
        (1, "replies", "1 reply"),
        (1, "addresses", "1 address"),
        (1, "devices", "1 device"),
        (1, "more tries", "1 more try"),
        (1, "messages", "1 message"),
    ],
)
def test_one_is_counted_in_the_singular(count: int, many: str, told: str) -> None:
    assert counted(count, many) == told
