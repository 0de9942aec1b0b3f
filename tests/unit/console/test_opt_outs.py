"""`tocsin people opt-outs`: who wants no messages is listed and noted, and taken back only if they asked."""

from __future__ import annotations

import pytest

from tests.support.fake_deployment import Said, asked, typing
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import reply_of_everybody
from tocsin.notify.notification import State
from tocsin_console import cli
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.forget import forget_person
from tocsin_console.opt_outs import add, list_opt_outs, remove
from tocsin_console.people import People

NUMBER = "6281234567890"
TYPED = "0812-3456-7890"
STRANGER = "0813-1111-2222"


@pytest.fixture
def functions() -> WiredFunctions:
    """Siti has read one message, and both of her devices wrote back."""
    functions = WiredFunctions(MemoryAws())
    functions.receipt(functions.tell(1))
    reply_of_everybody(functions)
    return functions


@pytest.fixture
def people(functions: WiredFunctions) -> People:
    return People(deployment_of(functions), ACCOUNT)


def listed(people: People) -> list[dict[str, object]]:
    told = Said(as_json=True)
    list_opt_outs(people, told.output)
    return told.records


def test_who_opted_out_gets_no_more_messages(functions: WiredFunctions, people: People, said: Said) -> None:
    assert add(people, TYPED, output=said.output)
    assert said.lines == [f"{NUMBER} gets no more messages"]
    verdict = functions.deliver(functions.plan(2))
    assert (verdict.outcome, verdict.cause) == ("suppressed", "opted-out")


def test_so_does_somebody_of_whom_nothing_is_stored(people: People, said: Said) -> None:
    assert add(people, STRANGER, output=said.output)
    assert people.deployment.stores.people.find(ACCOUNT, "6281311112222@s.whatsapp.net").opted_out_at


def test_a_second_time_is_no_news(people: People, said: Said) -> None:
    add(people, TYPED, output=said.output)
    assert not add(people, TYPED, output=said.output)
    assert said.lines[-1] == f"{NUMBER} had opted out before"


def test_the_list_masks_numbers_and_says_since_when_and_by_what(people: People, said: Said) -> None:
    add(people, STRANGER, output=said.output, clock=lambda: 1_795_000_000)
    people.deployment.stores.people.opt_out(ACCOUNT, "1234@lid", "STOP", 1_794_000_000_000)
    assert [(one["person"], one["opted_out_at"], one["word"]) for one in listed(people)] == [
        ("6281…22", "2026-11-18T11:06:40.000Z", "operator"),
        ("1234@lid", "2026-11-06T21:20:00.000Z", "STOP"),
    ]


def test_a_list_of_nobody_says_so(people: People, said: Said) -> None:
    list_opt_outs(people, said.output)
    assert said.lines[0] == "nobody opted out"


def test_other_accounts_are_not_listed(people: People) -> None:
    people.deployment.stores.people.opt_out("second", "1234@lid", "STOP", 1)
    assert listed(people) == []


def test_who_asked_for_it_is_written_to_again(functions: WiredFunctions, people: People, said: Said) -> None:
    add(people, TYPED, output=said.output)
    remove(people, TYPED, output=said.output, yes=True)
    assert functions.tell(2).state is not State.SUPPRESSED
    assert listed(people) == []


def test_an_opt_out_that_outlived_its_person_is_taken_back_too(
    functions: WiredFunctions, people: People, said: Said
) -> None:
    add(people, TYPED, output=said.output)
    forget_person(people, TYPED, dry_run=False, output=said.output, yes=True)
    assert not add(People(deployment_of(functions), ACCOUNT), TYPED, output=said.output)
    remove(People(deployment_of(functions), ACCOUNT), TYPED, output=said.output, yes=True)
    with pytest.raises(NotFound):
        remove(People(deployment_of(functions), ACCOUNT), TYPED, output=said.output, yes=True)


def test_taking_it_back_asks_and_says_what_they_had_said(people: People, said: Said) -> None:
    people.deployment.stores.people.opt_out(ACCOUNT, "1234@lid", "STOP", 1_794_000_000_000)
    output = typing("n\n")
    with pytest.raises(ConsoleError, match="nothing was done"):
        remove(people, "1234@lid", output=output, yes=False)
    assert "opted out 2026-11-06 21:20:00 UTC by 'STOP' and will be written to again" in asked(output)
    with pytest.raises(Usage, match="--yes"):
        remove(people, "1234@lid", output=said.output, yes=False)
    assert len(listed(people)) == 1


def test_who_did_not_opt_out_is_not_found(people: People, said: Said) -> None:
    with pytest.raises(NotFound, match="didn't opt out of the account 'default'"):
        remove(people, TYPED, output=said.output, yes=True)


def test_by_the_command_line_each_leaves_a_line(
    people: People, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: people.deployment)
    assert cli.main(["people", "opt-outs", "add", TYPED]) == 0
    assert cli.main(["people", "opt-outs", "add", TYPED]) == 0
    assert cli.main(["people", "opt-outs", "remove", TYPED, "--yes"]) == 0
    lines = list(people.deployment.stores.audit.lines())
    assert sorted(line.what for line in lines) == [
        "noted that 6281…90 opted out of the account default",
        "took the opt-out of 6281…90 from the account default back",
    ]
