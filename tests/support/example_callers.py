"""Runs the examples as their README says, against a door and a bus on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.support.doors import Events
from tests.support.rooms import ROOT
from tocsin.door.request import request_of
from tocsin_local.door import open_door

EXAMPLES = ROOT / "examples"
SECONDS = 60


def program(name: str) -> str:
    """Where a program is. Skips the test without it."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def php() -> str:
    """PHP, as the set-up or the machine has it. Skips the test without it."""
    for bundled in entry_points(group="static_php_py.binary"):
        return str(bundled.load().resolve())
    return program("php")


def run(
    *command: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """What a program made of it. It has no credentials but those that are given."""
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        command,
        env={**bare, **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def open_bus() -> Iterator[tuple[Events, dict[str, str]]]:
    """EventBridge on loopback, as far as PutEvents goes; and the environment by which AWS's programs find
    it."""
    events = Events()

    def answer(event: dict[str, Any]) -> dict[str, Any]:
        request = request_of(event)
        assert request.header("x-amz-target") == "AWSEvents.PutEvents"
        told = events.put_events(**json.loads(request.body))
        return {
            "statusCode": 200,
            "headers": {"content-type": "application/x-amz-json-1.1"},
            "body": json.dumps(told),
        }

    with open_door(answer) as url:
        yield (
            events,
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "ap-southeast-3",
                "AWS_CONFIG_FILE": os.devnull,
            },
        )
