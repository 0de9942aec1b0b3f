"""How the local deployment is asked for, and when a build is made again."""

import sys
from pathlib import Path

import pytest

from tocsin_local import stack
from tocsin_local.emulator import run_folder


def parameters(*arguments: str) -> dict[str, str]:
    assert arguments[0] == "--parameter-overrides"
    return dict(pair.split("=", 1) for pair in arguments[1:])


class TestParameters:
    def test_samconfig_then_the_machine_then_the_caller(self) -> None:
        asked = parameters(
            *stack._overrides("deploy", {"SendConcurrency": "2", "LogLevel": "DEBUG"}, stack.ROOT)
        )
        assert asked["ConnectorMode"] == "external"
        assert asked["PythonRuntime"] == f"python{sys.version_info.major}.{sys.version_info.minor}"
        assert asked["SendConcurrency"] == "2"

    def test_build_and_deploy_agree_on_the_runtime(self) -> None:
        built, deployed = (
            parameters(*stack._overrides(command, {}, stack.ROOT)) for command in ("build", "deploy")
        )
        for name in ("PythonRuntime", "Architecture"):
            assert built[name] == deployed[name]


class TestFingerprint:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name in ("template.yaml", "infra/network.yaml"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("Resources: {}\n")
        for name in stack.SOURCE_FOLDERS:
            (tmp_path / name).mkdir(parents=True)
        return tmp_path

    def test_a_changed_source_is_another_build(self, root: Path) -> None:
        before = stack._fingerprint(root)
        (root / "layers/core/tocsin.py").write_text("x = 1\n")
        assert stack._fingerprint(root) != before

    @pytest.mark.parametrize("name", ["template.yaml", "infra/network.yaml", "infra/door.yaml"])
    def test_so_is_a_template_that_changed_or_came_anew(self, root: Path, name: str) -> None:
        before = stack._fingerprint(root)
        (root / name).write_text("Resources: {Bus: {}}\n")
        assert stack._fingerprint(root) != before

    def test_so_is_a_renamed_one(self, root: Path) -> None:
        file = root / "functions/app.py"
        file.write_text("x = 1\n")
        before = stack._fingerprint(root)
        file.rename(file.with_name("main.py"))
        assert stack._fingerprint(root) != before

    def test_compiled_files_count_for_nothing(self, root: Path) -> None:
        before = stack._fingerprint(root)
        (root / "functions/__pycache__").mkdir()
        (root / "functions/__pycache__/app.pyc").write_bytes(b"compiled")
        assert stack._fingerprint(root) == before


class TestRunFolder:
    @pytest.fixture(autouse=True)
    def runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("tocsin_local.emulator.RUNS", tmp_path)
        return tmp_path

    def test_leftovers_of_the_dead_go(self, runs: Path) -> None:
        # No kernel gives out so high a process id.
        (runs / "demo-999999999").mkdir()
        with run_folder("demo"):
            assert not (runs / "demo-999999999").exists()

    def test_those_of_the_living_and_of_others_stay(self, runs: Path) -> None:
        (runs / "demo-1").mkdir()
        (runs / "test-999999999").mkdir()
        with run_folder("demo"):
            assert (runs / "demo-1").exists()
            assert (runs / "test-999999999").exists()
