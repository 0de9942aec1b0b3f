"""Command lines that a shell completes, and mistakes that are a letter away."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tocsin_console import cli
from tocsin_console.commands.completion import SHELLS


def completed(line: str) -> set[str]:
    """What a shell that follows argcomplete's protocol is told: it listens on descriptor 8."""
    code = "import sys; sys.argv[0] = 'tocsin'; from tocsin_console import cli; cli.main()"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    environment = os.environ | asked | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # A shell of its own gives the descriptors, whatever is open here.
    ended = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" 8>&1 9>/dev/null >/dev/null', sys.executable, code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return {word.strip() for word in ended.stdout.split("\n")} - {""}


def test_a_command_is_completed() -> None:
    assert {"status", "settings", "sessions"} <= completed("tocsin s")


def test_an_action_is_completed() -> None:
    assert completed("tocsin dead-letters re") == {"redrive"}


def test_an_option_is_completed() -> None:
    assert "--dry-run" in completed("tocsin dead-letters redrive --d")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    assert "tocsin" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["stauts"], "status"), (["dead-letters", "lsit"], "list"), (["settings", "histroy"], "history")],
)
def test_a_mistyped_word_is_answered_with_the_nearest(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert f"did you mean '{meant}'?" in capsys.readouterr().err


def test_a_word_that_is_near_to_none_is_answered_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "xxxxxxxx"]) == 2
    assert f"choose from {', '.join(SHELLS)}" in capsys.readouterr().err
