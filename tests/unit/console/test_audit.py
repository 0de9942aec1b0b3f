"""`tocsin audit`, and that nothing is changed or revealed without a line that tells of it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping

import pytest

from tests.support.command_line import PACKAGE, Reach, commands, sources
from tests.support.fake_deployment import NOW, SITI, FakeDeployment, Said
from tocsin_console import audit, cli, masking
from tocsin_console.audit import Wanted
from tocsin_console.deployment import Deployment
from tocsin_console.page.views import VIEWS

NOTES = {f"{PACKAGE}.audit.{name}" for name in ("note", "write", "looked")}
MASKS = {f"{PACKAGE}.masking.{name}" for name in ("phone", "key", "either")}

# -- each change leaves a line ------------------------------------------------------------------------------


def silent(reach: Reach, functions: Mapping[str, str]) -> list[str]:
    """Which of these (name → function) can't leave a line."""
    return [name for name, function in functions.items() if not reach.of(function) & NOTES]


def declared() -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    for name, parser in commands(cli.parser()):
        run = parser.get_default("run")
        yield name, parser, f"{run.__module__}.{run.__name__}"


def test_each_command_that_changes_anything_leaves_a_line() -> None:
    changing = {name: run for name, parser, run in declared() if parser.get_default("changes")}
    assert len(changing) > 30
    assert silent(Reach(sources()), changing) == []


def test_a_command_that_leaves_none_is_found() -> None:
    modules = sources()
    forgetful = modules[f"{PACKAGE}.sources"].replace("note(deployment,", "print(deployment,")
    reach = Reach({**modules, f"{PACKAGE}.sources": forgetful})
    found = silent(reach, {"rotate": f"{PACKAGE}.commands.sources.run_rotate"})
    assert found == ["rotate"]


LOOKS = {
    "POST /leave",
    "POST /people",
    "POST /doctor",
    "POST /texts/{language}/{name}/try",
    "POST /letters/preview",
    "POST /letters/jobs/{job}/start",
    "POST /letters/jobs/{job}/cancel",
    "POST /link/stop",
    "POST /link/answer",
}
"""What is posted and changes nothing of a stack; begins or ends a job that was made by its preview, which
writes its line at its end; or belongs to a link that `POST /link/begin` began."""


def test_each_form_of_the_page_that_changes_anything_leaves_a_line() -> None:
    posted = {
        where: f"{handler.__module__}.{handler.__name__}"
        for where, handler in VIEWS.items()
        if where.startswith("POST ") and where not in LOOKS
    }
    assert len(posted) > 10
    assert silent(Reach(sources()), posted) == []
    assert silent(Reach(sources()), {"job": f"{PACKAGE}.page.views.letters.preview"}) == []


# -- what is masked can be asked for, and that leaves a line ------------------------------------------------


def test_each_command_that_masks_reveals_when_it_is_asked() -> None:
    reach = Reach(sources())
    masking = {name for name, parser, run in declared() if not parser.get_default("changes")} & {
        name for name, _, run in declared() if reach.of(run) & MASKS
    }
    revealing = {name for name, parser, _ in declared() if "--reveal" in parser._option_string_actions}
    # The page has a way of its own; the doctor and an invitation name nobody else.
    assert masking - {"console", "doctor", "people invite"} <= revealing
    assert {"explain", "tail", "people show", "waiting list"} <= masking


def test_numbers_are_masked_in_one_place() -> None:
    masks = re.compile(r"import .*\b(mask_phone|masked)\b")
    found = {name.removeprefix(f"{PACKAGE}.") for name, text in sources().items() if masks.search(text)}
    # Who sends a test typed the number, and whose a number is stands in a sentence and in no list.
    assert found == {"masking", "send", "people"}


def test_a_look_is_written_down_once_with_how_many_values_it_showed(fake: FakeDeployment) -> None:
    with masking.lifted(masking.Reveal(fake.deployment, "whole values by 'tocsin explain'")):
        assert masking.phone(SITI) == SITI
        assert masking.phone(SITI) == SITI
        assert masking.key("6281311112222:3@s.whatsapp.net") == "6281311112222:3@s.whatsapp.net"
    assert masking.phone(SITI) == "6281…90"
    (line,) = fake.deployment.stores.audit.lines()
    assert (line.what, line.count) == ("saw whole values by 'tocsin explain'", 2)


def test_a_look_at_nothing_masked_leaves_no_line(fake: FakeDeployment) -> None:
    with masking.lifted(masking.Reveal(fake.deployment, "nothing")):
        assert masking.key("1234@lid") == "1234@lid"
    assert list(fake.deployment.stores.audit.lines()) == []


def test_what_cannot_be_written_down_is_not_shown(fake: FakeDeployment, unwritable: None) -> None:
    with (
        masking.lifted(masking.Reveal(fake.deployment, "whole values")),
        pytest.raises(audit.Unwritten, match="nothing is shown whole"),
    ):
        masking.phone(SITI)


@pytest.fixture
def unwritable(fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    def denied(*_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutItem")

    monkeypatch.setattr(type(fake.deployment.stores.audit), "add", denied)


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "{id}", "--reveal"),
        ("dead-letters", "list", "--reveal"),
        ("dead-letters", "show", "{id}", "--reveal"),
        ("people", "show", SITI, "--reveal"),
    ],
)
def test_a_command_that_reveals_shows_the_number_and_who_saw_it(
    fake: FakeDeployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: fake.deployment)
    failed = fake.failed()
    assert cli.main([word.format(id=failed.id) for word in words]) == 0
    assert SITI in capsys.readouterr().out
    lines = [line.what for line in fake.deployment.stores.audit.lines()]
    assert lines == [] if words[0] == "people" else len(lines) == 1
    assert not any(SITI in line for line in lines)


@pytest.mark.parametrize(
    "written",
    [
        f"tel:+{SITI}",
        f"+{SITI} ext 5",
        f"+{SITI[:5]} {SITI[5:9]} {SITI[9:]}x5",
        f"TCK {SITI}",
        f"x{SITI}@lid",
    ],
)
def test_a_number_typed_in_any_form_is_in_no_line(
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: fake.deployment)
    told = cli._named(argparse.Namespace(command="explain", id=written))
    assert SITI[5:9] not in told


def test_whose_life_was_looked_at_is_in_the_line() -> None:
    named = [cli._named(argparse.Namespace(command="explain", id=one)) for one in ("TCK-1042", "00c0ffee12")]
    assert named == ["explain TCK-1042", "explain 00c0ffee12"]


# -- tocsin audit --------------------------------------------------------------------------------------------


@pytest.fixture
def three(fake: FakeDeployment) -> Deployment:
    for at, who, what in ((1, "dewi", "paused"), (2, "budi", "Resumed"), (3, "dewi", "resumed")):
        vars(fake.deployment)["caller"] = who
        audit.note(fake.deployment, what, count=at, clock=lambda at=at: NOW + at)  # type: ignore[misc]
    return fake.deployment


def told(deployment: Deployment, wanted: Wanted, most: int = 100) -> list[tuple[str, str]]:
    said = Said(as_json=True)
    audit.list_lines(deployment, wanted, said.output, most=most)
    return [(one["by"], one["what"]) for one in said.records]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["resumed", "Resumed", "paused"]),
        (Wanted(who="DEWI"), ["resumed", "paused"]),
        (Wanted(what="resumed"), ["resumed", "Resumed"]),
        (Wanted(since=(NOW + 2) * 1000), ["resumed", "Resumed"]),
        (Wanted(until=(NOW + 2) * 1000), ["paused"]),
        (Wanted(who="siti"), []),
    ],
)
def test_lines_are_found_newest_first(three: Deployment, wanted: Wanted, found: list[str]) -> None:
    assert [what for _, what in told(three, wanted)] == found


def test_a_list_has_an_end_and_says_so(three: Deployment, said: Said) -> None:
    assert told(three, Wanted(), most=1) == [("dewi", "resumed")]
    audit.list_lines(three, Wanted(), said.output, most=1)
    assert said.lines[-1].startswith("… and older ones")


def test_a_list_of_nothing_says_so(fake: FakeDeployment, said: Said) -> None:
    audit.list_lines(fake.deployment, Wanted(), said.output, most=1)
    assert said.lines == ["nobody did anything like that, as far back as records are kept"]
