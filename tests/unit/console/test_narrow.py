"""What is no table fits a narrow terminal too, with a hanging indent; on a pipe a line stays whole."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.support.fake_deployment import NOW, FakeDeployment, Said, Terminal
from tocsin.notify.notification import Problem
from tocsin_console import layout, status
from tocsin_console.doctor.checks import FaultsFound, fault, ok, tell
from tocsin_console.explain import explain
from tocsin_console.output import Output, complain

NARROW = 60

Command = Callable[[FakeDeployment, Output], object]


def doctor(fake: FakeDeployment, output: Output) -> None:
    found = fault(
        "this machine's clock is 300 s behind AWS's; the clock of connector c-1 is 2 s behind WhatsApp's",
        "nobody is told when something breaks at night, and what is signed here is refused by AWS",
        "tocsin deploy, and give an e-mail address or a topic for alarms, which is subscribed to then",
    )
    with pytest.raises(FaultsFound):
        tell(
            [("clock", found), ("rights", ok("you may read the keys table, write the keys table " * 3))],
            output,
        )


def explained(fake: FakeDeployment, output: Output) -> None:
    one = fake.planned()
    stores = fake.deployment.stores.notifications
    why = Problem(
        "not-on-whatsapp", "permanent", "the number has no WhatsApp account that could be written to"
    )
    stores.fail(one.id, why, NOW * 1000)
    explain(fake.deployment, one.id, output=output, clock=lambda: NOW)


def watched(fake: FakeDeployment, output: Output) -> None:
    fake.connector().says("connected")
    for cause in ("not-connected", "restricted-new-chats", "rate-limited", "recipient-must-write-first"):
        fake.deployment.stores.parking.park(fake.planned(), cause, NOW * 1000)
    status.show(fake.deployment, output, clock=lambda: NOW)


COMMANDS: list[Command] = [doctor, explained, watched]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_line_fits_a_narrow_terminal(
    fake: FakeDeployment, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))
    screen = Terminal()
    command(fake, Output(stream=screen))
    assert [line for line in screen.getvalue().splitlines() if layout.cells(line) > NARROW] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_on_a_pipe_a_line_stays_whole(
    fake: FakeDeployment, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))
    pipe = Said()
    command(fake, pipe.output)
    assert max(map(layout.cells, pipe.lines)) > NARROW


def test_what_a_finding_means_hangs_below_itself(
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))
    screen = Terminal()
    doctor(fake, Output(stream=screen))
    lines = screen.getvalue().splitlines()
    begin = next(number for number, line in enumerate(lines) if "means:" in line)
    indents = [len(line) - len(line.lstrip()) for line in lines[begin : begin + 3]]
    assert indents == [17, 21, 21]


def test_how_many_rows_a_line_took_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code to type is taken back by its rows."""
    monkeypatch.setenv("COLUMNS", str(NARROW))
    assert Output(stream=Terminal()).say("a word " * 20) == 3
    assert Output(stream=io.StringIO()).say("a word " * 20) == 1


@pytest.mark.parametrize(("stream", "lines"), [(Terminal(), 3), (io.StringIO(), 1)])
def test_what_went_wrong_is_broken_in_a_terminal_alone(
    stream: io.StringIO, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))
    monkeypatch.setattr("sys.stderr", stream)
    complain("tocsin: " + "a word " * 20)
    assert len(stream.getvalue().splitlines()) == lines
