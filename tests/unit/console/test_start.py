"""What a command loads before it does anything: libraries that take long are left until they are needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SLOW = {
    "boto3",
    "botocore",
    "cryptography",
    "google",
    "jinja2",
    "jsonschema",
    "nacl",
    "phonenumbers",
    "segno",
}
OF_AWS = {"botocore"}


def loaded_by(code: str) -> set[str]:
    """The modules that an interpreter of its own holds after running `code`."""
    code = f"import sys\ntry:\n  {code}\nexcept SystemExit: pass\nprint('', *sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["--help"], ["dead-letters", "list", "--help"], ["status", "--unknown"], ["send", "--to"]]
)
def test_reading_a_command_line_loads_nothing_slow(words: list[str]) -> None:
    loaded = loaded_by(f"from tocsin_console import cli; cli.main({words})")
    assert "tocsin_console.cli" in loaded
    assert loaded & (SLOW | {"importlib.metadata", "tocsin_console.deployment"}) == set()


@pytest.mark.parametrize("command", ["accounts", "dead_letters", "refused_events", "send", "status"])
@pytest.mark.slow
def test_a_command_loads_of_what_is_slow_only_what_speaks_with_aws(command: str) -> None:
    assert loaded_by(f"import tocsin_console.{command}") & SLOW == OF_AWS
