"""`sam build` with another target makes another layer, in a folder where one was built before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.infra.layer_build import python_without_packages
from tocsin_local.paths import ROOT, SAM
from tocsin_local.processes import clean_environment

pytestmark = pytest.mark.integration

MAX_UNZIPPED = 250 * 2**20
"""Bytes of a function with its layers, unzipped."""


def built(folder: Path, runtime: str, architecture: str) -> str:
    """Build the template with the settings for AWS. Return what its layer says it was built for."""
    target = folder / "build"
    subprocess.run(
        [
            str(SAM / "bin/sam"),
            "build",
            "--build-dir",
            str(target),
            "--cache-dir",
            str(folder / "cache"),
        ],
        cwd=ROOT,
        env=clean_environment(
            HOME=str(folder),
            PATH=os.environ["PATH"],
            PYTHON=str(python_without_packages(folder)),
            AWS_DEFAULT_REGION="us-east-1",
            SAM_CLI_TELEMETRY="0",
            TOCSIN_RUNTIME=runtime,
            TOCSIN_ARCHITECTURE=architecture,
        ),
        capture_output=True,
        check=True,
        timeout=300,
    )
    return (target / "CoreLayer/python/tocsin/TARGET").read_text().strip()


def unzipped_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_another_target_is_another_layer(tmp_path: Path) -> None:
    if not (SAM / "bin/sam").exists():
        pytest.skip("the SAM CLI isn't installed: make setup")
    assert built(tmp_path, "python3.13", "arm64") == "python3.13 arm64"
    assert built(tmp_path, "python3.12", "x86_64") == "python3.12 x86_64"
    # With its layer, by https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
    layer = unzipped_bytes(tmp_path / "build" / "CoreLayer")
    functions = [unzipped_bytes(it) for it in (tmp_path / "build").iterdir() if it.name.endswith("Function")]
    assert functions
    assert 0 < layer + max(functions) < MAX_UNZIPPED
