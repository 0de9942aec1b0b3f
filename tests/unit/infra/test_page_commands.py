"""Every command that a page shows can be typed: `tocsin` has the command with these options and values,
`make` the target, `aws` the operation."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache

import botocore.session
import pytest
from botocore import xform_name

from tocsin_console import cli
from tocsin_console.errors import Usage
from tocsin_local.paths import ROOT
from tocsin_local.trial import parse_arguments

FENCE = re.compile(r"^ *```(?:console)?\n(.*?)^ *```", re.M | re.S)
TYPED = re.compile(r"^ *\$ (.+)$", re.M)
INLINE = re.compile(r"`((?:tocsin|aws|make) [^`]+)`")
TARGET = re.compile(r"^([a-z][a-z -]*):", re.M)
ARGS = re.compile(r'ARGS="?(--[^"]*)"?$')
LEFT_OUT = re.compile(r"arguments are required|expected (?:one|at least one) argument|value: '[A-Z]+'")
OLD = "CHANGELOG.md"
"""Tells of commands that were."""


@cache
def pages() -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return tuple(name for name in listed if name and name != OLD)


def shown(page: str) -> Iterator[str]:
    """Commands of its console blocks and between its words, without what a shell adds."""
    text = (ROOT / page).read_text(encoding="utf-8")
    typed = [line for block in FENCE.findall(text) for line in TYPED.findall(block)]
    for line in [*typed, *INLINE.findall(FENCE.sub("", text))]:
        command = re.split(r"\s+#|\s+\|", line)[0].strip()
        if "…" not in command:
            yield command


def problem_of(command: str) -> str:
    """Why a command can't be typed; empty if it can. A word that stands for a value (`NAME`) is one."""
    program, *words = shlex.split(command)
    if program == "make":
        return problem_of_make(command, words)
    if program == "aws":
        return "" if known_to_aws(words) else "AWS has no such operation"
    return problem_of_tocsin(words) if program == "tocsin" else ""


def problem_of_make(command: str, words: list[str]) -> str:
    asked = {word for word in words if "=" not in word and not word.startswith("-")}
    if unknown := asked - targets():
        return f"no target {', '.join(sorted(unknown))}"
    options = ARGS.search(command)
    if words[0] == "local" and options:
        try:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                parse_arguments(shlex.split(options[1]))
        except SystemExit:
            return said.getvalue()
    return ""


def problem_of_tocsin(words: list[str]) -> str:
    """A sentence that names a command has no need to say every argument of it, or says NAME for one."""
    try:
        parser().parse_args(words)
    except Usage as wrong:
        return "" if LEFT_OUT.search(str(wrong)) else str(wrong)
    return ""


@cache
def parser() -> argparse.ArgumentParser:
    return cli.parser()


@cache
def targets() -> frozenset[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(name for line in TARGET.findall(makefile) for name in line.split())


def known_to_aws(words: list[str]) -> bool:
    service, operation, *_ = words
    # `aws logs tail` is the command line's own.
    return operation in operations(service) or (service, operation) == ("logs", "tail")


@cache
def operations(service: str) -> frozenset[str]:
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return frozenset()
    names = session.get_service_model(service).operation_names
    return frozenset(xform_name(name, "-") for name in names)


@pytest.mark.parametrize("page", pages())
def test_every_command_that_a_page_shows_can_be_typed(page: str) -> None:
    problems = {command: problem_of(command) for command in shown(page)}
    assert {command: said for command, said in problems.items() if said} == {}


@pytest.mark.parametrize(
    "command",
    [
        "tocsin reboot",
        "tocsin dead-letters burn",
        "tocsin status --colour blue",
        "tocsin recoveries --days soon",
        "tocsin tail --json extra",
        "make coffee",
        'make local ARGS="--colour blue"',
        "aws sqs shout",
    ],
)
def test_twin_a_command_that_can_not_is_noticed(command: str) -> None:
    assert problem_of(command)


def test_the_pages_are_looked_through() -> None:
    assert "tocsin doctor --before-deploy" in set(shown("README.md"))
    assert "tocsin people invite" in set(shown("infra/site/pages/runbooks.md"))
    assert sum(len(list(shown(page))) for page in pages()) > 200
