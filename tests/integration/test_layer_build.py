"""`sam build` with another target makes another layer, in a folder where one was built before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.infra.layer_build import python_without_packages
from tocsin_local.bootstrap import ROOT, SAM
from tocsin_local.processes import clean_environment

pytestmark = pytest.mark.integration


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


def test_another_target_is_another_layer(tmp_path: Path) -> None:
    if not (SAM / "bin/sam").exists():
        pytest.skip("the SAM CLI isn't installed: make setup")
    assert built(tmp_path, "python3.13", "arm64") == "python3.13 arm64"
    assert built(tmp_path, "python3.12", "x86_64") == "python3.12 x86_64"
