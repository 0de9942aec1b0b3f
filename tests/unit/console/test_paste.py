"""Where the operator's answer comes from: lines of any length, and nothing of them on the screen."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from tocsin_console.paste import MAX_LINE, AppearingFile, Descriptor, unseen

LONG = "{" + "x" * 12_000 + "}"


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """What types, and what reads."""
    keyboard, screen = os.openpty()
    with os.fdopen(screen, "r") as stream:
        yield keyboard, stream
    os.close(keyboard)


def types(keyboard: int, text: str) -> threading.Thread:
    """A terminal takes a long paste only as fast as somebody reads it."""

    def write() -> None:
        data = text.encode()
        while data:
            data = data[os.write(keyboard, data) :]

    typing = threading.Thread(target=write)
    typing.start()
    return typing


def test_a_terminal_takes_a_line_that_is_longer_than_its_usual_mode_would(
    terminal: tuple[int, TextIO],
) -> None:
    keyboard, stream = terminal
    with unseen(stream):
        typing = types(keyboard, LONG + "\n")
        assert Descriptor(stream.fileno()).line(10) == LONG
        typing.join()


def test_nothing_of_it_is_shown(terminal: tuple[int, TextIO]) -> None:
    keyboard, stream = terminal
    with unseen(stream):
        types(keyboard, "secret\n").join()
        assert Descriptor(stream.fileno()).line(10) == "secret"
        os.set_blocking(keyboard, False)
        with pytest.raises(BlockingIOError):
            os.read(keyboard, 100)


def test_afterwards_the_terminal_is_as_before(terminal: tuple[int, TextIO]) -> None:
    import termios

    _, stream = terminal
    before = termios.tcgetattr(stream.fileno())
    with unseen(stream):
        assert termios.tcgetattr(stream.fileno()) != before
    assert termios.tcgetattr(stream.fileno()) == before


def test_what_is_no_terminal_stays_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+") as stream, unseen(stream):
        pass


@pytest.fixture
def pipe() -> Iterator[tuple[int, Descriptor]]:
    reading, writing = os.pipe()
    yield writing, Descriptor(reading)
    os.close(reading)


def test_lines_come_one_by_one_however_they_are_cut(pipe: tuple[int, Descriptor]) -> None:
    writing, source = pipe
    os.write(writing, b"one\ntwo\nthr")
    os.write(writing, b"ee\n")
    assert [source.line(1) for _ in range(3)] == ["one", "two", "three"]
    assert source.line(0) is None
    os.close(writing)


def test_the_end_gives_what_stands_there(pipe: tuple[int, Descriptor]) -> None:
    writing, source = pipe
    os.write(writing, b"last")
    os.close(writing)
    assert source.line(1) == "last"
    assert source.ended


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (b"ab\x7fc\n", "ac"),
        (b"ab\x08c\n", "ac"),
        (b"wrong\x15right\n", "right"),
        (b"\x1b[200~pasted\x1b[201~\n", "pasted"),
        (b"caf\xc3\xa9\r\n", "caf\u00e9"),
    ],
)
def test_a_line_can_be_edited(pipe: tuple[int, Descriptor], typed: bytes, line: str) -> None:
    writing, source = pipe
    os.write(writing, typed)
    assert source.line(1) == line
    os.close(writing)


def test_a_line_without_end_is_cut_so_that_it_is_refused(pipe: tuple[int, Descriptor]) -> None:
    writing, source = pipe
    typing = types(writing, "x" * 60_000 + "\n")
    found = None
    while found is None:
        found = source.line(1)
    typing.join()
    assert len(found) == MAX_LINE + 1
    os.close(writing)


def test_a_file_may_appear_later_and_counts_each_time_that_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "answer"
    source = AppearingFile(path)
    assert source.line(0) is None
    path.write_text("one")
    assert (source.line(0), source.line(0)) == ("one", None)
    path.write_text("second")
    assert source.line(0) == "second"
    assert not source.ended
