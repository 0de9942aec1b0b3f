"""How far something is: one line of a terminal, which nothing that is printed tears and no pipe gets."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable

import pytest

from tests.support.fake_deployment import ACCOUNT, SITI, FakeDeployment, Said, Terminal
from tocsin.notify.redrive import Selection
from tocsin_console.dead_letters import list_letters, redrive_letters
from tocsin_console.errors import TimedOut
from tocsin_console.lately import tell_last
from tocsin_console.layout import cells
from tocsin_console.opt_outs import list_opt_outs
from tocsin_console.output import Output
from tocsin_console.people import People
from tocsin_console.progress import SECONDS_BETWEEN, Progress
from tocsin_console.recoveries import show_recoveries
from tocsin_console.refused_events import list_refused
from tocsin_console.send import SampleTicket, send_test

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


def test_who_sleeps_tells_afterwards_for_how_long(screen: Terminal) -> None:
    naps: list[float] = []
    with ticking(Output(stream=screen).progress("waiting")) as progress:
        progress.around(naps.append)(0.5)
    assert naps == [0.5]
    assert drawn(screen) == ["waiting …", "waiting … 2 s"]


def test_once_it_ended_it_disturbs_nobody_who_types(screen: Terminal) -> None:
    with ticking(Output(stream=screen).progress("waiting")) as progress:
        progress.end()
        written = screen.getvalue()
        progress.wait()
    assert screen.getvalue() == written


# -- commands ----------------------------------------------------------------------------------------------


LONG: dict[str, Callable[[FakeDeployment, Output], object]] = {
    "reading dead letters": lambda fake, output: list_letters(fake.deployment, output),
    "dead letters": lambda fake, output: redrive_letters(
        fake.deployment, Selection(), dry_run=True, output=output
    ),
    "what becomes of them": lambda fake, output: redrive_letters(
        fake.deployment, Selection(), dry_run=False, output=output, wait_seconds=0.01
    ),
    "reading refused events": lambda fake, output: list_refused(fake.deployment, output),
    "looked at": lambda fake, output: list_opt_outs(People(fake.deployment, ACCOUNT), output),
    "recoveries read": lambda fake, output: show_recoveries(fake.deployment, ACCOUNT, days=7, output=output),
    "notifications looked at": lambda fake, output: tell_last(fake.deployment, f"+{SITI}", output),
    "waiting for the phone": lambda fake, output: send_test(
        fake.deployment, SampleTicket(f"+{SITI}"), ACCOUNT, wait_seconds=0.01, output=output
    ),
}
"""What its line says → a command that takes long."""


@pytest.mark.parametrize("line", LONG)
def test_a_command_that_takes_long_tells_how_far_it_is(
    fake: FakeDeployment, screen: Terminal, line: str
) -> None:
    fake.failed()
    with contextlib.suppress(TimedOut):
        LONG[line](fake, Output(stream=screen))
    assert any(re.match(rf"{line}( …|: \d)", one) for one in drawn(screen))
    assert line not in left(screen)


@pytest.mark.parametrize("line", LONG)
def test_on_a_pipe_and_for_programs_it_tells_nothing_of_that(
    fake: FakeDeployment, said: Said, told: Said, line: str
) -> None:
    fake.failed()
    for heard in (said, told):
        with contextlib.suppress(TimedOut):
            LONG[line](fake, heard.output)
        assert "\x1b" not in heard.text
        assert "\r" not in heard.text
