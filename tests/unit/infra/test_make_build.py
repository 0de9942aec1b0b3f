"""`make build` says what SAM keeps to itself. A stand-in for SAM leaves what a build would."""

import subprocess
from pathlib import Path

import pytest

from tocsin_local.paths import ROOT
from tocsin_local.processes import clean_environment


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    sam = tmp_path / "sam"
    sam.write_text("#!/bin/sh\n")
    sam.chmod(0o755)
    built = tmp_path / "built/CoreLayer/python"
    built.mkdir(parents=True)
    return built


def build(layer: Path) -> str:
    folder = layer.parents[2]
    command = ["make", "build", "PYTHON=true", f"SAM={folder}", f"BUILD={folder / 'built'}"]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_layer_without_compiled_files_is_told_with_what_to_do(layer: Path) -> None:
    told = build(layer)
    assert "the layer is not compiled" in told
    assert "make build ARGS=--no-cached" in told


def test_nothing_is_told_of_one_that_has_them(layer: Path) -> None:
    (layer / "module.cpython-313.pyc").touch()
    assert "not compiled" not in build(layer)
