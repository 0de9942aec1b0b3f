"""The set-up of a machine: what is made, when it is made again, and what it says when it can't be."""

import ast
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tocsin_local import bootstrap, node_runtime, paths, setup_progress
from tocsin_local.bootstrap import Part, Project, SetupError, make_all, parts_of
from tocsin_local.setup_progress import Progress


class Counted(Part):
    """A part that counts how often it is made."""

    def __init__(self, folder: Path, wants: str = "one", command: list[str] | None = None) -> None:
        super().__init__("counted", folder)
        self.wants = wants
        self.command = command or [sys.executable, "-c", "pass"]
        self.made = 0

    def inputs(self) -> dict[str, str]:
        return {"wants": self.wants}

    def make(self, run: bootstrap.Run, before: bootstrap.Inputs | None) -> None:
        self.folder.mkdir(exist_ok=True)
        run(self.command)
        self.made += 1


def fake_python(folder: Path, code: int, *, name: str = "python3.99") -> Path:
    """A folder with an interpreter that ends with this code, whatever it is asked."""
    folder.mkdir(parents=True)
    (folder / name).write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs go to a folder of the test."""
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "RUNS", tmp_path)


class TestStamp:
    def test_what_was_made_is_not_made_again(self, tmp_path: Path) -> None:
        part = Counted(tmp_path / "part")
        assert not part.is_current()
        make_all([part], Progress())
        assert part.is_current()

    def test_another_input_makes_it_stale(self, tmp_path: Path) -> None:
        make_all([Counted(tmp_path / "part")], Progress())
        assert not Counted(tmp_path / "part", wants="another").is_current()

    def test_one_that_failed_is_stale_although_it_was_made_before(self, tmp_path: Path) -> None:
        make_all([Counted(tmp_path / "part")], Progress())
        failing = Counted(tmp_path / "part", command=[sys.executable, "-c", "raise SystemExit('no network')"])
        with pytest.raises(SetupError, match="no network"):
            make_all([failing], Progress())
        assert not failing.is_current()

    def test_a_torn_one_counts_as_none(self, tmp_path: Path) -> None:
        part = Counted(tmp_path / "part")
        make_all([part], Progress())
        (part.folder / bootstrap.STAMP).write_text('{"wants": "o')
        assert not part.is_current()


class TestEnvironment:
    @pytest.mark.parametrize("kind", ["own", "deployed"])
    def test_one_that_was_cut_off_is_made_anew_by_itself(self, tmp_path: Path, kind: str) -> None:
        environment = (
            bootstrap.Environment("own", tmp_path / "made", "sam.txt")
            if kind == "own"
            else bootstrap.DeployedRuntime(sys.executable)
        )
        environment.folder = tmp_path / "made"
        environment.begin()

        def cut_off(command: Sequence[str], folder: Path = tmp_path) -> None:
            if "venv" not in command:
                raise KeyboardInterrupt
            subprocess.run([*command, "--without-pip"], check=True)

        with pytest.raises(KeyboardInterrupt):
            environment.make(cut_off, None)
        assert (environment.folder / "pyvenv.cfg").exists()
        environment.check_owner()
        assert environment.stamp() is None

    def test_one_of_somebody_else_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "theirs").write_text("")
        with pytest.raises(SetupError, match="not made by this set-up"):
            bootstrap.Environment("own", tmp_path, "sam.txt").check_owner()


class TestFailure:
    def test_stops_what_is_still_being_made(self, tmp_path: Path) -> None:
        slow = Counted(tmp_path / "slow", command=[sys.executable, "-c", "import time; time.sleep(600)"])
        failing = Counted(tmp_path / "failing", command=[sys.executable, "-c", "raise SystemExit(1)"])
        slow.name, failing.name = "slow", "failing"
        before = threading.active_count()
        with pytest.raises(SetupError, match="failing could not be installed"):
            make_all([slow, failing], Progress())
        assert slow.made == 0
        assert threading.active_count() <= before

    def test_names_the_log(self, tmp_path: Path) -> None:
        failing = Counted(tmp_path / "part", command=[sys.executable, "-c", "raise SystemExit(1)"])
        with pytest.raises(SetupError, match=r"setup-counted\.log"):
            make_all([failing], Progress())

    @pytest.mark.parametrize(
        ("wrote", "hinted"),
        [
            ("ERROR: Could not find a version that satisfies … (from versions: none)", True),
            ("urllib3.exceptions.NewConnectionError: … [Errno 101] Network is unreachable", True),
            ("npm error network request to … failed", True),
            ("ERROR: Could not find a version that satisfies … (from versions: 1.0, 1.1)", False),
            ("error: no space left on device", False),
        ],
    )
    def test_asks_for_the_network_where_a_registry_was_not_reached(
        self, tmp_path: Path, wrote: str, hinted: bool
    ) -> None:
        command = [sys.executable, "-c", f"print({wrote!r}); raise SystemExit(1)"]
        with pytest.raises(SetupError) as raised:
            make_all([Counted(tmp_path / "part", command=command)], Progress())
        assert ("Does this machine reach PyPI" in str(raised.value)) is hinted


class TestProfiles:
    def test_the_demo_needs_no_node(self) -> None:
        assert "clients" not in [part.name for part in parts_of("demo")]

    def test_the_deployed_runtime_gets_an_environment_where_an_interpreter_of_it_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there, refuses = fake_python(tmp_path / "there", 0), fake_python(tmp_path / "refuses", 127)
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "no pyenv"))
        monkeypatch.setattr(bootstrap, "DEPLOYED_PYTHON", (3, 99))
        monkeypatch.setenv("PATH", str(refuses))
        assert "deployed" not in [part.name for part in parts_of("test")]
        monkeypatch.setenv("PATH", str(there))
        assert "deployed" in [part.name for part in parts_of("test")]
        assert "deployed" not in [part.name for part in parts_of("demo")]

    def test_where_pyenvs_command_refuses_a_version_that_it_keeps_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bootstrap, "DEPLOYED_PYTHON", (3, 99))
        monkeypatch.setenv("PATH", str(fake_python(tmp_path / "shims", 127)))
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
        kept = fake_python(tmp_path / "versions" / "3.99.1" / "bin", 0, name="python")
        assert bootstrap.find_deployed_python() == str(kept / "python")

    def test_ours_needs_no_second_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bootstrap, "DEPLOYED_PYTHON", sys.version_info[:2])
        assert bootstrap.find_deployed_python() is None

    def test_a_fuller_environment_serves_a_leaner_wish(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bootstrap, "VENV", tmp_path)
        monkeypatch.setattr(bootstrap, "packaging", lambda: "same")
        Project("test").set_stamp()
        assert Project("demo").is_current()
        assert Project("test").is_current()
        assert not Project("bench").is_current()

    def test_an_unknown_one_is_refused_with_the_known_ones(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert bootstrap.main(["all"]) == 2
        assert "demo|test|bench" in capsys.readouterr().err


class TestMachine:
    def test_too_old_a_python_is_told_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "version_info", (3, 10, 4))
        with pytest.raises(SetupError, match=r"3\.11 or newer is needed.*make PYTHON="):
            bootstrap.check_python()

    def test_a_python_without_venv_is_told_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ensurepip", None)
        with pytest.raises(SetupError, match=r"apt-get install python3\.\d+-venv"):
            bootstrap.check_python()

    def test_a_program_that_is_no_node_has_no_version(self) -> None:
        assert node_runtime.node_version(sys.executable) != 20
        assert node_runtime.node_version("/nonexistent/node") == 0

    def test_an_old_interpreter_can_read_it_as_far_as_the_message_that_it_is_too_old(self) -> None:
        for module in (bootstrap, node_runtime, paths, setup_progress):
            ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"), feature_version=(3, 7))

    def test_runs_with_nothing_but_the_standard_library(self) -> None:
        script = Path(bootstrap.__file__)
        ended = subprocess.run(
            [sys.executable, "-I", "-S", str(script), "nonsense"], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert "usage" in ended.stderr
