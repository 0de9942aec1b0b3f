"""What machines have in store for the set-up: settings of pip, full disks, kills, closed pipes."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tocsin_local import bootstrap
from tocsin_local.bootstrap import Environment, SetupError, check_room
from tocsin_local.paths import ROOT
from tocsin_local.processes import clean_environment

LAYER_MAKEFILE = ROOT / "layers/core/Makefile"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything is made in a folder of the test."""
    for name in ("ROOT", "RUNS", "TOOLS"):
        monkeypatch.setattr(bootstrap, name, tmp_path)
    return tmp_path


class TestSettingsOfPip:
    @pytest.fixture
    def empty(self, tmp_path: Path) -> Path:
        """Requirements that need no network."""
        file = tmp_path / "requirements.txt"
        file.touch()
        return file

    @pytest.fixture(params=["[install]\nuser = true\n", "[global]\nrequire-virtualenv = true\n"])
    def settings(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        file = tmp_path / "pip.conf"
        file.write_text(request.param)
        return file

    @pytest.mark.slow
    def test_do_not_lead_the_set_up_astray(
        self, settings: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
        command = bootstrap.pip(Path(sys.prefix), "--no-index", "--requirement", str(empty))
        done = subprocess.run(
            command, env=bootstrap.quiet_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    @pytest.mark.slow
    def test_do_not_lead_the_build_of_the_layer_astray(
        self, settings: Path, empty: Path, tmp_path: Path
    ) -> None:
        # Not that of a virtual environment: `sam build` takes the machine's.
        python = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
        if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
            pytest.skip(f"{python} has no pip")
        shutil.copy(LAYER_MAKEFILE, tmp_path)
        (tmp_path / "tocsin").mkdir()
        command = ["make", "build-CoreLayer", f"PYTHON={python}", f"ARTIFACTS_DIR={tmp_path / 'built'}"]
        done = subprocess.run(
            [*command, "TOCSIN_LAYER_PLATFORM=host"],
            cwd=tmp_path,
            env=clean_environment(PIP_CONFIG_FILE=str(settings)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_that_say_where_packages_come_from_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIP_CONFIG_FILE", "/etc/mirror.conf")
        monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
        kept = bootstrap.quiet_environment()
        assert kept["PIP_CONFIG_FILE"] == "/etc/mirror.conf"
        assert kept["PIP_INDEX_URL"] == "https://mirror.example/simple"


class TestAKilledSetUp:
    PROGRAM = """
import sys, threading
from pathlib import Path
from tocsin_local import bootstrap
bootstrap.TOOLS = Path(sys.argv[1])
pip = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
with bootstrap.one_at_a_time():
    bootstrap.run_stoppable([sys.executable, "-c", pip], Path("."), sys.stdout, threading.Event())
"""

    @pytest.fixture
    def left_behind(self, root: Path) -> Iterator[int]:
        """The process id of a command whose set-up was killed."""
        command = [sys.executable, "-c", self.PROGRAM, str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
            assert killed.stdout is not None
            pid = int(killed.stdout.readline())
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        yield pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def test_keeps_the_next_one_out_as_long_as_what_it_left_behind_lives(
        self, root: Path, left_behind: int
    ) -> None:
        with (root / ".lock").open() as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.kill(left_behind, signal.SIGKILL)
            fcntl.flock(lock, fcntl.LOCK_EX)


class TestDisk:
    def free(self, monkeypatch: pytest.MonkeyPatch, megabytes: int) -> None:
        usage = SimpleNamespace(free=megabytes * 1_000_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)

    def test_without_room_is_told_how_much_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.free(monkeypatch, 349)
        with pytest.raises(SetupError, match="350 MB are needed and 349 MB are free"):
            check_room([Environment("sam", tmp_path / "sam", "sam.txt")])

    def test_with_just_enough_room_will_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free(monkeypatch, 350)
        check_room([Environment("sam", tmp_path / "sam", "sam.txt")])

    def test_what_is_replaced_makes_room_for_its_heir(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.free(monkeypatch, 0)
        older = Environment("sam", tmp_path / "sam", "sam.txt")
        older.folder.mkdir()
        older.set_stamp()
        check_room([older])

    def test_the_demo_takes_what_the_readme_says(self) -> None:
        assert sum(part.megabytes for part in bootstrap.parts_of("demo")) == 600


class TestSomebodysOwnEnvironment:
    @pytest.fixture
    def environment(self, tmp_path: Path) -> Environment:
        return Environment("tocsin", tmp_path / ".venv", "run.txt")

    def test_is_refused_and_stays(self, environment: Environment) -> None:
        environment.folder.mkdir()
        theirs = environment.folder / "pyvenv.cfg"
        theirs.touch()
        with pytest.raises(SetupError, match="Move it away or remove it"):
            environment.check_owner()
        assert theirs.exists()

    def test_an_unfinished_one_of_ours_is_made_anew(self, environment: Environment) -> None:
        environment.begin()
        (environment.folder / "lib").mkdir()
        environment.check_owner()
        environment.clear()
        assert [entry.name for entry in environment.folder.iterdir()] == [bootstrap.STAMP]

    def test_a_folder_with_nothing_in_it_is_taken(self, environment: Environment) -> None:
        environment.folder.mkdir()
        environment.check_owner()

    def test_is_noticed_before_anything_is_installed(
        self, root: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (environment.folder / "lib").mkdir(parents=True)
        monkeypatch.setattr(bootstrap, "parts_of", lambda profile: [environment])
        monkeypatch.setattr(bootstrap, "make_all", lambda *_: pytest.fail("something was installed"))
        with pytest.raises(SetupError, match="not made by this set-up"):
            bootstrap.set_up("demo")


def test_an_environment_whose_own_interpreter_runs_the_set_up_is_made_by_the_one_behind_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment("tocsin", root / ".venv", "run.txt")
    python = environment.folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    commands: list[list[str]] = []
    environment.make(commands.append, None)
    assert not python.exists()
    assert Path(commands[0][0]).exists()


def test_goes_on_when_nobody_listens_any_more() -> None:
    program = """
from tocsin_local.setup_progress import Progress
import sys
for _ in range(3):
    Progress().say("installing")
print("went on", file=sys.stderr)
"""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "went on\n")
