"""Unit tests, vectors and proofs under the deployed runtime, where the machine has an interpreter of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin_local.bootstrap import DEPLOYED_PYTHON
from tocsin_local.paths import DEPLOYED, ROOT

NAME = f"Python {DEPLOYED_PYTHON[0]}.{DEPLOYED_PYTHON[1]}"
LINES_SHOWN = 60
PROOFS = "0.25"
"""The share of the proofs' random lives (tests/proofs/scale.py): our own interpreter lives all of them."""


@pytest.fixture(scope="module")
def interpreter() -> Path:
    if sys.version_info[:2] == DEPLOYED_PYTHON:
        pytest.skip(f"all tests run under {NAME} already")
    python = DEPLOYED / "bin" / "python"
    if not python.exists():
        pytest.skip(f"nothing is tested under {NAME}, which is deployed by default: it isn't on this machine")
    return python


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("folder", ["tests/unit", "tests/vectors", "tests/proofs"])
def test_they_pass_under_the_runtime_that_is_deployed(interpreter: Path, folder: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["TOCSIN_PROOFS"] = PROOFS
    command = [str(interpreter), "-m", "pytest", "-q", "-p", "no:cacheprovider", folder]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    end = "\n".join(done.stdout.splitlines()[-LINES_SHOWN:])
    assert done.returncode == 0, f"{NAME}, {folder}:\n{end}\n{done.stderr[-2000:]}"
