"""`tocsin deploy` with the real SAM CLI, on the emulator: a first deployment, and an update."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tocsin_local.emulator import REGION, ROOT_USER, Emulator
from tocsin_local.paths import ROOT, SAM
from tocsin_local.stack import _architecture, _package_settings, _runtime

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PARTS = ("functions", "infra", "layers", "requirements", "template.yaml", "samconfig.toml")
CONSOLE = Path(sys.executable).with_name("tocsin")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy, for a deployment writes into samconfig.toml."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / part)
    return tmp_path


def tocsin(aws: Emulator, sources: Path, *words: str) -> str:
    path = os.pathsep.join([str(SAM / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {"AWS_ENDPOINT_URL": aws.url, "AWS_DEFAULT_REGION": REGION, **ROOT_USER, **_package_settings()}
    done = subprocess.run(
        [str(CONSOLE), *words],
        cwd=sources,
        env={**settings, "PATH": path, "HOME": str(sources), "TOCSIN_LAYER_PLATFORM": "host"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_a_first_deployment_and_an_update(aws: Emulator, sources: Path) -> None:
    if not (SAM / "bin" / "sam").exists():
        pytest.skip("the SAM CLI isn't installed: make setup")
    given = {"PythonRuntime": _runtime(), "Architecture": _architecture(), "ConnectorMode": "external"}
    given |= {"Timing": "trial", "DefaultRegion": "GB"}
    words = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    said = tocsin(aws, sources, "deploy", "--yes", "--stack", "desk", "--region", REGION, *words)
    assert "$ sam deploy" in said.replace(f"AWS_ENDPOINT_URL={aws.url} ", "")
    config = tomllib.loads((sources / "samconfig.toml").read_text(encoding="utf-8"))["default"]
    assert config["global"]["parameters"]["stack_name"] == "desk"
    assert "DefaultRegion=GB" in config["deploy"]["parameters"]["parameter_overrides"]

    tocsin(aws, sources, "deploy", "--yes", "--set", "DefaultRegion=ID")
    [stack] = aws.client("cloudformation").describe_stacks(StackName="desk")["Stacks"]
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    assert (stack["StackStatus"], parameters["DefaultRegion"]) == ("UPDATE_COMPLETE", "ID")
    assert parameters["Timing"] == "trial"
    assert "DefaultRegion" not in (sources / "samconfig.toml").read_text(encoding="utf-8")
