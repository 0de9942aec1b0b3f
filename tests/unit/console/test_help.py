"""What `--help` and OPERATING.md promise: examples that can be typed, and exit codes."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin_console import cli, errors
from tocsin_console.examples import EXAMPLES
from tocsin_local.paths import ROOT

OPERATING = (ROOT / "infra" / "tocsin_console" / "OPERATING.md").read_text(encoding="utf-8")


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """All that can be carried out, `settings` too, which is one and has actions besides."""
    if parser.get_default("run") is not None:
        yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from commands(inner)


PARSER = cli.parser()
ALL = {command.prog: command for command in commands(PARSER)}


@pytest.mark.parametrize("name", ALL)
def test_every_command_shows_how_it_is_typed(name: str) -> None:
    told = ALL[name].format_help()
    assert all(f"\n  {line}" in told for line in EXAMPLES[name])
    assert any(name in line for line in EXAMPLES[name])


def test_no_example_is_of_a_command_that_is_gone() -> None:
    assert EXAMPLES.keys() == ALL.keys()


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_every_example_is_a_command_line(line: str) -> None:
    command = re.search(r"tocsin [^|>)]*", line)
    assert command is not None
    args = PARSER.parse_args(shlex.split(command.group())[1:])
    if demand := getattr(args, "demand", None):
        demand(args)


@pytest.mark.parametrize("name", ALL)
def test_every_command_can_show_utc_and_speak_json(name: str) -> None:
    assert {"--utc", "--json"} <= ALL[name]._option_string_actions.keys()


LISTS = [name for name in ALL if name.endswith(" list")]


@pytest.mark.parametrize("name", LISTS)
def test_without_its_action_a_command_lists(name: str) -> None:
    whole, listing = ALL.get(name.removesuffix(" list")), ALL[name]
    assert whole is not None, f"{name.removesuffix(' list')!r} alone is a usage error"
    assert whole.get_default("run") is listing.get_default("run")
    assert listing._option_string_actions.keys() <= whole._option_string_actions.keys()
    assert "Without an action it lists." in whole.format_help()


@pytest.mark.parametrize("name", LISTS)
def test_an_option_before_the_action_counts_as_one_behind_it(name: str) -> None:
    command = name.removesuffix(" list")
    for option, action in ALL[name]._option_string_actions.items():
        if option in {"-h", "--help"}:
            continue
        given = [option] if action.nargs == 0 else [option, "events" if action.choices else "7"]
        before = PARSER.parse_args([*command.split()[1:], *given, "list"])
        behind = PARSER.parse_args([*name.split()[1:], *given])
        assert before == behind, option


def codes() -> set[int]:
    """Those that errors end a command with."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return {kind.exit_code for kind in kinds if issubclass(kind, errors.ConsoleError)}


def test_every_exit_code_has_its_meaning() -> None:
    assert {0, *codes()} == set(errors.EXIT_CODES)


def test_help_and_operating_page_tell_the_exit_codes() -> None:
    told = dict(re.findall(r"^\| (\d+) \| (.*) \|$", OPERATING, re.M))
    assert told == {str(code): text for code, text in errors.EXIT_CODES.items()}
    shown = cli.parser().format_help()
    assert all(f"  {code:<5}{text.replace('`', '')}\n" in shown for code, text in errors.EXIT_CODES.items())


def test_each_command_that_finds_what_needs_attention_is_named_with_its_code() -> None:
    folder = Path(errors.__file__).parent
    raising = {
        path.stem
        for path in folder.rglob("*.py")
        if "raise NeedsAttention" in path.read_text(encoding="utf-8")
    }
    commands = {"redriven": "dead-letters redrive"}
    told = errors.EXIT_CODES[errors.NeedsAttention.exit_code]
    assert [name for name in sorted(raising) if commands.get(name, name) not in told] == []
    assert raising >= {"status", "redriven"}
