"""Runbooks: a page for each alarm, an alarm for each page, and every command on them exists."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from functools import cache

import botocore.session
import pytest
from botocore import xform_name

from tests.support.alarms import alarms
from tocsin_console import cli
from tocsin_local.bootstrap import ROOT

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "infra/runbooks").glob("*.md")}
SECTIONS = ["**What it means.**", "**How urgent.**", "## Look", "## Do", "## When it clears"]
SHELL = re.compile(r"^\$ (.+)$", re.M)
INLINE = re.compile(r"`((?:tocsin|aws) [^`]+)`")
LINK = re.compile(r"infra/runbooks/([\w-]+)\.md")


def page_of(alarm: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alarm).lower()


def commands() -> Iterator[tuple[str, str]]:
    for name, text in sorted(PAGES.items()):
        for command in [*SHELL.findall(text), *INLINE.findall(text)]:
            yield name, command


def test_each_alarm_has_its_page_and_each_page_its_alarm() -> None:
    assert {page_of(name) for name in alarms()} == set(PAGES)


@pytest.mark.parametrize("name", sorted(alarms()))
def test_an_alarm_names_its_page(name: str) -> None:
    assert LINK.findall(alarms()[name].properties["AlarmDescription"]) == [page_of(name)]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_says_what_whoever_is_woken_must_know(name: str) -> None:
    places = [PAGES[name].find(section) for section in SECTIONS]
    assert places == sorted(places)
    assert -1 not in places


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_a_command_on_a_page_exists(name: str, command: str) -> None:
    program, *words = shlex.split(command)
    assert known_to_console(words) if program == "tocsin" else known_to_aws(words)


@pytest.mark.parametrize(
    "command", ["tocsin reboot", "tocsin dead-letters burn", "aws sqs shout", "aws nothing at-all"]
)
def test_a_command_that_does_not_exist_is_noticed(command: str) -> None:
    program, *words = shlex.split(command)
    assert not (known_to_console(words) if program == "tocsin" else known_to_aws(words))


def known_to_console(words: list[str]) -> bool:
    """Whether `tocsin` has this command, and the command this action."""
    parser: argparse.ArgumentParser = cli.parser()
    for word in words:
        subparsers = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not subparsers:
            return True
        if word not in subparsers[0].choices:
            return False
        parser = subparsers[0].choices[word]
    return True


@cache
def operations(service: str) -> frozenset[str]:
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return frozenset()
    names = session.get_service_model(service).operation_names
    return frozenset(xform_name(name, "-") for name in names)


def known_to_aws(words: list[str]) -> bool:
    service, operation, *_ = words
    # `aws logs tail` is the command line's own.
    return operation in operations(service) or (service, operation) == ("logs", "tail")
