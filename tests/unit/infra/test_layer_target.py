"""A layer knows what it was built for, and starts on nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.infra.layer_build import build_layer
from tocsin.target import WrongLayer, refuse_wrong_layer, running
from tocsin_local.paths import ROOT
from tocsin_local.processes import clean_environment

RUNTIME, ARCHITECTURE = running().split()
OTHER_RUNTIME = "python3.14" if RUNTIME != "python3.14" else "python3.13"
OTHER_ARCHITECTURE = "x86_64" if ARCHITECTURE == "arm64" else "arm64"

FUNCTIONS = sorted(path.parent for path in (ROOT / "functions").glob("*/app.py"))
ENTRANCES = [
    pytest.param(["-m", "tocsin.connector"], ROOT / "tests", id="connector"),
    *(pytest.param(["-c", "import app"], function, id=function.name) for function in FUNCTIONS),
]


def start(library: Path, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder`, with the layer's `library` before everything that is installed."""
    environment = clean_environment(PYTHONPATH=str(library), PATH=os.environ["PATH"])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer that was built for another runtime."""
    folder = tmp_path_factory.mktemp("wrong")
    return build_layer(folder, TOCSIN_RUNTIME=OTHER_RUNTIME, TOCSIN_ARCHITECTURE=ARCHITECTURE)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "folder"), ENTRANCES)
def test_a_wrong_layer_is_refused_wherever_it_is_entered(
    wrong: Path, arguments: list[str], folder: Path
) -> None:
    ended = start(wrong, arguments, folder)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert f"built for {OTHER_RUNTIME} {ARCHITECTURE}, but runs on {RUNTIME} {ARCHITECTURE}: " in last
    assert last.endswith(
        f": TOCSIN_RUNTIME={RUNTIME} TOCSIN_ARCHITECTURE={ARCHITECTURE} sam build && sam deploy"
    )


@pytest.mark.slow
def test_so_is_one_for_another_processor(tmp_path: Path) -> None:
    library = build_layer(tmp_path, TOCSIN_RUNTIME=RUNTIME, TOCSIN_ARCHITECTURE=OTHER_ARCHITECTURE)
    with pytest.raises(WrongLayer) as refused:
        refuse_wrong_layer(str(library / "tocsin" / "TARGET"))
    assert refused.value.built == f"{RUNTIME} {OTHER_ARCHITECTURE}"


@pytest.mark.parametrize(
    "variables",
    [
        {"TOCSIN_RUNTIME": RUNTIME, "TOCSIN_ARCHITECTURE": ARCHITECTURE},
        # For the local emulator: the wheels are this machine's, whatever else is said.
        {"TOCSIN_LAYER_PLATFORM": "host"},
    ],
    ids=["named", "host"],
)
@pytest.mark.slow
def test_the_right_one_starts(tmp_path: Path, variables: dict[str, str]) -> None:
    library = build_layer(tmp_path, **variables)
    ended = start(library, ["-c", "import tocsin; print(tocsin.__file__)"], tmp_path)
    assert ended.stdout.strip() == str(library / "tocsin" / "__init__.py"), ended.stderr


def test_a_source_tree_has_no_target_and_runs_anywhere() -> None:
    refuse_wrong_layer()
    assert not (ROOT / "layers/core/tocsin/TARGET").exists()


def test_knowing_it_imports_nothing_that_a_start_does_not_have_anyway() -> None:
    look = "import sys, __future__; had = {*sys.modules}; import tocsin; print(*sorted({*sys.modules} - had))"
    seen = start(ROOT / "layers/core", ["-c", look], ROOT / "tests")
    assert seen.stdout.split() == ["tocsin", "tocsin.target"], seen.stderr
