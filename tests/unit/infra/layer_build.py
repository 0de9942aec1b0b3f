"""The layer's own Makefile, run without a download: a Python whose pip installs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tocsin_local.paths import ROOT


def python_without_packages(folder: Path) -> Path:
    """Return a program that is our Python in everything but `-m pip`, which does nothing."""
    program = folder / "python-without-packages"
    program.write_text(f'#!/bin/sh\n[ "$2" = pip ] && exit 0\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return program


def build_layer(folder: Path, **variables: str) -> Path:
    """Build the layer into `folder` as `sam build` does. Return what stands on the path of its functions."""
    variables = {"ARTIFACTS_DIR": str(folder), "PYTHON": str(python_without_packages(folder))} | variables
    given = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "-s", "-C", str(ROOT / "layers/core"), "build-CoreLayer", *given]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "python"
