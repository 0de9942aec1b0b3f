"""How far something is: one line of a terminal, which nothing that is printed tears and no pipe gets."""

from __future__ import annotations

import io
import re

import pytest

from tests.support.fake_deployment import Terminal
from tocsin_console.layout import cells
from tocsin_console.output import Output
from tocsin_console.progress import SECONDS_BETWEEN, Progress

ERASED = re.compile(r"[^\n]*\r\x1b\[K")


class Clock:
    """Each look at it takes so long."""

    def __init__(self, step: float = 1.0) -> None:
        self.now = 0.0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("TERM", raising=False)
    return Terminal()


def ticking(progress: Progress) -> Progress:
    progress.clock = Clock()
    return progress


def drawn(screen: Terminal) -> list[str]:
    """Each state of the line."""
    return [one for one in screen.getvalue().split("\r\x1b[K") if one]


def left(screen: Terminal) -> str:
    """What a person still sees in the end."""
    return ERASED.sub("", screen.getvalue())


def test_it_counts_of_how_many(screen: Terminal) -> None:
    with ticking(Output(stream=screen).progress("sent again", 3)) as progress:
        for _ in range(3):
            progress.step()
    assert drawn(screen) == ["sent again …", "sent again: 1 of 3", "sent again: 2 of 3", "sent again: 3 of 3"]
    assert left(screen) == ""


def test_it_counts_without_knowing_of_how_many(screen: Terminal) -> None:
    with ticking(Output(stream=screen).progress("looked at")) as progress:
        assert list(progress.over(iter("ab"))) == ["a", "b"]
    assert drawn(screen) == ["looked at …", "looked at: 1", "looked at: 2"]


def test_where_nothing_can_be_counted_it_tells_the_time(screen: Terminal) -> None:
    progress = Output(stream=screen).progress("waiting for the phone")
    progress.clock = Clock(2.0)
    with progress:
        progress.wait()
    assert drawn(screen)[-1] == "waiting for the phone … 4 s"


def test_what_is_said_meanwhile_is_not_torn(screen: Terminal) -> None:
    output = Output(stream=screen)
    with ticking(output.progress("sent again", 2)) as progress:
        output.say("the first one is sent")
        progress.step()
        output.say("the second one is sent")
    assert left(screen) == "the first one is sent\nthe second one is sent\n"


def test_it_is_not_drawn_more_often_than_somebody_can_read(screen: Terminal) -> None:
    progress = Output(stream=screen).progress("looked at", 10_000)
    progress.clock = Clock(SECONDS_BETWEEN / 100)
    with progress:
        for _ in range(10_000):
            progress.step()
    assert len(drawn(screen)) <= 102
    assert drawn(screen)[-1] == "looked at: 10000 of 10000"


def test_it_never_breaks_a_line_for_that_could_not_be_erased(screen: Terminal) -> None:
    with ticking(Output(stream=screen).progress("waiting for \n技術者 " * 9)):
        pass
    assert all(cells(one) < 40 and "\n" not in one for one in drawn(screen))


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError])
def test_it_is_gone_after_a_fault(screen: Terminal, fault: type[BaseException]) -> None:
    with pytest.raises(fault), Output(stream=screen).progress("looked at"):
        raise fault
    assert left(screen) == ""


def test_it_has_no_colours(screen: Terminal) -> None:
    with ticking(Output(stream=screen).progress("looked at", 1)) as progress:
        progress.step()
    assert not re.search(r"\x1b\[[0-9;]*m", screen.getvalue())


@pytest.mark.parametrize(
    "output",
    [Output(stream=io.StringIO()), Output(as_json=True, stream=Terminal())],
    ids=["a pipe", "a program"],
)
def test_whoever_is_no_person_sees_none_of_it(output: Output) -> None:
    with output.progress("looked at", 2) as progress:
        progress.step()
        progress.wait()
    assert isinstance(output.stream, io.StringIO)
    assert output.stream.getvalue() == ""


def test_neither_does_a_terminal_that_cannot_erase(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with Output(stream=screen).progress("looked at"):
        pass
    assert screen.getvalue() == ""
