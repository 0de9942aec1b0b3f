"""What can't be undone is asked about on a terminal, and needs `--yes` where nobody can be asked."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

from tests.support.fake_cloud import REGION
from tests.support.fake_deployment import ACCOUNT, NOW, FakeDeployment, Terminal, asked, typing
from tocsin.accounts.operator_requests import read_request
from tocsin.accounts.served_accounts import added_accounts
from tocsin.notify.redrive import Selection
from tocsin.notify.refused_events import EventSelection
from tocsin_console import cli
from tocsin_console.accounts import add, remove
from tocsin_console.confirm import confirm
from tocsin_console.dead_letters import drop_letters
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output
from tocsin_console.refused_events import drop_refused
from tocsin_console.unpair import unpair
from tocsin_local.paths import ROOT

NOBODY = {
    "a pipe": Output(stream=io.StringIO(), answers=Terminal("y\n")),
    "a file as input": Output(stream=Terminal(), answers=io.StringIO("y\n")),
    "a program": Output(as_json=True, stream=Terminal(), answers=Terminal("y\n")),
}


@pytest.mark.parametrize("answer", ["y\n", "yes\n", " YES \n"])
def test_whoever_says_yes_goes_on(answer: str) -> None:
    output = typing(answer)
    confirm(lambda: "all will be lost", yes=False, output=output)
    assert asked(output) == "all will be lost. Go on? [y/N] "


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yeah\n", "Y E S\n"])
def test_everything_else_is_no(answer: str) -> None:
    with pytest.raises(ConsoleError, match="nothing was done"):
        confirm(lambda: "all will be lost", yes=False, output=typing(answer))


def test_with_nothing_to_lose_nobody_is_asked() -> None:
    output = typing("")
    confirm(lambda: "", yes=False, output=output)
    assert asked(output) == ""


@pytest.mark.parametrize("output", NOBODY.values(), ids=NOBODY)
def test_where_nobody_can_be_asked_the_way_is_named(output: Output) -> None:
    with pytest.raises(Usage, match=r"nothing was done: add --yes") as refusal:
        confirm(lambda: "all will be lost", yes=False, output=output)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize("output", NOBODY.values(), ids=NOBODY)
def test_who_said_so_before_isnt_asked(output: Output) -> None:
    confirm(lambda: pytest.fail("nobody asked"), yes=True, output=output)


# -- what each command asks --------------------------------------------------------------------------------


class Unanswered(Exception):
    """The request is there, and nobody carries it out."""


Act = Callable[[FakeDeployment, Output, bool], None]


def unpairing(fake: FakeDeployment, output: Output, yes: bool) -> None:
    clock = lambda: NOW  # noqa: E731

    def nobody_answers(_: float) -> None:
        raise Unanswered  # a wait that ends in time withdraws the request

    unpair(
        fake.deployment, ACCOUNT, wait_seconds=9, output=output, yes=yes, clock=clock, sleep=nobody_answers
    )


def dropping(fake: FakeDeployment, output: Output, yes: bool) -> None:
    drop_letters(fake.deployment, Selection(), dry_run=False, output=output, yes=yes)


def dropping_a_kind(fake: FakeDeployment, output: Output, yes: bool) -> None:
    drop_letters(fake.deployment, Selection(reason="gone"), dry_run=False, output=output, yes=yes)


def dropping_events(fake: FakeDeployment, output: Output, yes: bool) -> None:
    drop_refused(fake.deployment, EventSelection(), dry_run=False, output=output, yes=yes)


def removing(fake: FakeDeployment, output: Output, yes: bool) -> None:
    remove(fake.deployment, "support", output, yes=yes)


@pytest.fixture
def filled(fake: FakeDeployment) -> FakeDeployment:
    """Linked, with two letters, an event and a second account that isn't linked."""
    fake.connector().says("connected")
    fake.failed()
    fake.failed("6281311112222", code="gone")
    fake.refuse({"id": "e-1"})
    add(fake.deployment, "support", Output(stream=io.StringIO()))
    return fake


def left(fake: FakeDeployment) -> tuple[Any, ...]:
    """All that a destruction would change."""
    return (
        read_request(fake.deployment.keys_table, ACCOUNT).what,
        fake.deployment.redriver().count(),
        added_accounts(fake.deployment.outside_table),
        fake.count("TicketEventsDead"),
    )


UNTOUCHED = (None, 2, ["support"], 1)
ACTS = [
    (
        unpairing,
        "the account default (not linked), connected, will be unlinked",
        ("unpair", 2, ["support"], 1),
    ),
    (dropping, "all dead letters will be deleted for good: 2 that can be read", (None, 0, ["support"], 1)),
    (dropping_a_kind, "with the reason gone will be deleted for good: 1", (None, 1, ["support"], 1)),
    (dropping_events, "all refused events of the stack", (None, 2, ["support"], 0)),
    (removing, "the account support (not linked) will no longer be served", (None, 2, [], 1)),
]


@pytest.mark.parametrize(("act", "sentence", "_"), ACTS)
def test_it_says_what_is_lost_and_whose_and_does_nothing_without_a_yes(
    filled: FakeDeployment, act: Act, sentence: str, _: Any
) -> None:
    output = typing("n\n")
    with pytest.raises(ConsoleError, match="nothing was done"):
        act(filled, output, False)
    assert sentence in asked(output)
    assert left(filled) == UNTOUCHED


@pytest.mark.parametrize(("act", "_", "after"), ACTS)
def test_it_is_done_after_a_yes(filled: FakeDeployment, act: Act, _: str, after: Any) -> None:
    with unanswered():
        act(filled, typing("y\n"), False)
    assert left(filled) == after


@pytest.mark.parametrize(("act", "_", "after"), ACTS)
def test_a_script_does_it_with_yes_only(filled: FakeDeployment, act: Act, _: str, after: Any) -> None:
    script = Output(stream=io.StringIO(), answers=io.StringIO())
    with pytest.raises(Usage, match="--yes"):
        act(filled, script, False)
    assert left(filled) == UNTOUCHED
    with unanswered():
        act(filled, script, True)
    assert left(filled) == after


def unanswered() -> AbstractContextManager[None]:
    """Nobody carries the unlinking out here, so waiting for it ends."""
    return suppress(Unanswered)


def test_one_letter_that_is_named_is_dropped_without_a_question(fake: FakeDeployment) -> None:
    buried = fake.failed()
    script = Output(stream=io.StringIO(), answers=io.StringIO())
    drop_letters(fake.deployment, Selection(notification=buried.id), dry_run=False, output=script, yes=False)
    assert fake.deployment.redriver().count() == 0


def test_looking_at_what_would_be_dropped_needs_no_yes(fake: FakeDeployment) -> None:
    fake.failed()
    script = Output(stream=io.StringIO(), answers=io.StringIO())
    drop_letters(fake.deployment, Selection(), dry_run=True, output=script, yes=False)
    assert fake.deployment.redriver().count() == 1


@pytest.mark.parametrize(
    "words",
    [
        ("unpair",),
        ("accounts", "remove", "support"),
        ("dead-letters", "drop", "--all"),
        ("dead-letters", "drop", "--reason", "gone"),
        ("dead-letters", "drop", "--all", "--queue", "events"),
    ],
)
def test_from_the_command_line_a_script_ends_with_2(
    filled: FakeDeployment,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert cli.main(["--region", REGION, "--stack", filled.stack, *words, *account_of(words)]) == 2
    assert "--yes" in capsys.readouterr().err
    assert left(filled) == UNTOUCHED


def account_of(words: tuple[str, ...]) -> list[str]:
    return ["--account", ACCOUNT] if words == ("unpair",) else []


# -- every command -----------------------------------------------------------------------------------------


HARMLESS = {
    "tocsin accounts add": "accounts remove takes it back",
    "tocsin hooks add": "hooks remove takes it back",
    "tocsin hooks pause": "what comes waits; hooks resume",
    "tocsin hooks resend": "who listens knows a delivery that came before by its id",
    "tocsin hooks resume": "hooks pause takes it back",
    "tocsin hooks rotate": "the former secret signs for a day besides",
    "tocsin hooks test": "tells a test",
    "tocsin pair": "nothing happens until somebody scans it",
    "tocsin pause": "loses nothing, and must be fast",
    "tocsin people opt-outs add": "people opt-outs remove takes it back",
    "tocsin reconnect": "what is to be sent meanwhile waits",
    "tocsin resume": "pause takes it back",
    "tocsin self-test": "writes to the account's own chat",
    "tocsin send": "one message, to the number that is typed",
    "tocsin settings reset": "settings undo takes it back",
    "tocsin settings restore": "settings undo takes it back",
    "tocsin settings set": "settings undo takes it back",
    "tocsin settings undo": "settings restore takes it back",
    "tocsin sources add": "sources remove takes it back",
    "tocsin sources change": "puts in what is typed; the key stays",
    "tocsin sources pause": "sources resume takes it back",
    "tocsin sources resume": "sources pause takes it back",
    "tocsin waiting release": "goes out as it would have, only earlier",
}
"""What changes something and asks nobody, and why it need not."""


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Those of commands that change something."""
    if parser.get_default("changes"):
        yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


CHANGING = {parser.prog: "--yes" in parser._option_string_actions for parser in parsers(cli.parser())}
"""The command, and whether it can ask."""


def test_what_changes_something_can_ask_or_is_harmless() -> None:
    assert {command for command, asks in CHANGING.items() if not asks} == set(HARMLESS)


def test_the_page_names_all_that_ask() -> None:
    text = (ROOT / "infra" / "tocsin_console" / "OPERATING.md").read_text(encoding="utf-8")
    page = text.partition("A command that can't be undone")[2].partition("asks what it must know")[0]
    asking = [command.removeprefix("tocsin ") for command, asks in CHANGING.items() if asks]
    assert [command for command in asking if f"`{command}" not in page] == []
