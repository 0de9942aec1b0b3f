"""Set up everything this project needs, on a machine with Python and access to the package registries.

    python3 infra/tocsin_local/bootstrap.py demo     what `make demo` and `make local` need
    python3 infra/tocsin_local/bootstrap.py test     that, and what `make test` and `make lint` need
    python3 infra/tocsin_local/bootstrap.py bench    that, and what `make bench` compares with

It makes three virtual environments, because their pins don't mix: `.venv` (Tocsin itself, editable),
`.tools/sam` (the SAM CLI) and `.tools/emulator` (the AWS emulator, whose functions see what is installed
beside it). For tests it also finds Node, or installs it as a Python package, and installs the real WhatsApp
clients: Baileys, and whatsmeow where there is a build of it (`.tools/whatsmeow`), and with them Chromium
(`.tools/chromium`). Each part has a stamp with the inputs it was made from; a part with current inputs is not
made again.

Standard library only, and no syntax newer than Python 3.7's, so that an old interpreter can print that it is
too old.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, TextIO

if not __package__:
    # Run as a script, before anything is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tocsin_local.chromium import is_unpacked, runs_packaged, unpack
from tocsin_local.node_runtime import (
    OLDEST_NODE,
    find_machine_node,
    find_node,
    is_linux_with_glibc,
    npm,
    offer,
)
from tocsin_local.paths import (
    CLIENTS,
    DEPLOYED,
    DOCS,
    EMULATOR,
    NODE,
    REQUIREMENTS,
    ROOT,
    RUNS,
    SAM,
    TOOLS,
    TOOLS_BIN,
    VENV,
    WHATSMEOW,
)
from tocsin_local.setup_failure import explain
from tocsin_local.setup_progress import Progress

OLDEST_PYTHON = (3, 11)
# `PythonRuntime` of the template, unless somebody chooses another.
DEPLOYED_PYTHON = (3, 13)

# The requirements of `.venv` for each profile. Each includes the one before, and serves its profile too.
PROFILES = {"demo": "run.txt", "test": "dev.txt", "bench": "bench.txt"}

# The disk space of each part, rounded up; `.venv` by its profile.
MEGABYTES = {
    "sam": 350,
    "emulator": 110,
    "demo": 140,
    "test": 330,
    "bench": 400,
    "node": 200,
    "whatsmeow": 140,
    "clients": 390,
    "docs": 170,
}

STAMP = ".made-from.json"

Inputs = Dict[str, str]
Run = Callable[..., None]


class SetupError(Exception):
    """The set-up can't go on. The text says why and what to do about it."""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Set up one profile. Returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    profile = words[0] if words else "test"
    if profile not in PROFILES or len(words) > 1:
        print(f"usage: bootstrap.py [{'|'.join(PROFILES)}]", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        set_up(profile)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: stopped; run it again to go on", file=sys.stderr)
        return 130
    return 0


def set_up(profile: str) -> None:
    """Make or renew each part of `profile` whose inputs changed. Raises `SetupError`."""
    check_python()
    TOOLS.mkdir(exist_ok=True)
    RUNS.mkdir(exist_ok=True)
    with one_at_a_time():
        missing = [part for part in parts_of(profile) if not part.is_current()]
        if not missing:
            return
        check_room(missing)
        for part in missing:
            part.check_owner()
        started = time.monotonic()
        progress = Progress()
        names = ", ".join(part.name for part in missing)
        progress.say(f"installing {names}; this takes a minute or two, once")
        # The clients need Node, and the project must not be built twice at once. All else is independent.
        make_all([part for part in missing if not isinstance(part, AFTERWARDS)], progress)
        make_all([part for part in missing if isinstance(part, AFTERWARDS)], progress)
        progress.say(f"ready after {time.monotonic() - started:.0f} s")


def parts_of(profile: str) -> List[Part]:
    """Everything `profile` needs, the slowest first."""
    parts: List[Part] = [
        Environment("sam", SAM, "sam.txt"),
        Environment("emulator", EMULATOR, "emulator.txt"),
        Project(profile),
    ]
    if profile != "demo" and (CLIENTS / "package.json").exists():
        if find_machine_node() is None:
            parts.append(Environment("node", NODE, "node.txt"))
        if runs_whatsmeow():
            parts.append(Environment("whatsmeow", WHATSMEOW, "whatsmeow.txt"))
        parts.append(Clients())
    if profile != "demo":
        parts.append(Environment("docs", DOCS, "docs.txt"))
    deployed = find_deployed_python() if profile != "demo" else None
    if deployed is not None:
        parts.append(DeployedRuntime(deployed))
    return parts


class Part:
    """Something that is made from inputs and remembers which."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.megabytes = MEGABYTES.get(name, 0)

    def inputs(self) -> Inputs:
        """What it is made from, as JSON. If this changes, the part is made again."""
        raise NotImplementedError

    def make(self, run: Run, before: Optional[Inputs]) -> None:
        """Make it, with `run(command)` for each command. `before`: the inputs of the existing one, if any."""
        raise NotImplementedError

    def check_owner(self) -> None:
        """Raises `SetupError` if the folder was not made by this set-up, which would delete it."""

    def is_current(self) -> bool:
        """Was it made, completely, from these very inputs?"""
        return self.stamp() == self.inputs()

    def stamp(self) -> Optional[Inputs]:
        """The inputs it was made from; None if it wasn't finished."""
        try:
            inputs: Inputs = json.loads((self.folder / STAMP).read_text(encoding="utf-8"))
            return inputs
        except (OSError, ValueError):
            return None

    def set_stamp(self) -> None:
        (self.folder / STAMP).write_text(json.dumps(self.inputs(), indent=1), encoding="utf-8")

    def begin(self) -> None:
        """Mark it as unfinished, and as made by this set-up: by an empty stamp."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / STAMP).write_text("", encoding="utf-8")


class Environment(Part):
    """A virtual environment with exactly the packages of one requirements file."""

    def __init__(self, name: str, folder: Path, requirements: str) -> None:
        super().__init__(name, folder)
        self.requirements = REQUIREMENTS / requirements

    def inputs(self) -> Inputs:
        return dict(interpreter(), place=str(self.folder), requirements=digest(self.requirements))

    def check_owner(self) -> None:
        if (self.folder / STAMP).exists() or not self.folder.exists() or not any(self.folder.iterdir()):
            return
        raise SetupError(
            f"{self.folder} was not made by this set-up, which would wipe it to put its own there. "
            "Move it away or remove it, then run this again"
        )

    def make(self, run: Run, before: Optional[Inputs]) -> None:
        self.clear()
        run([base_interpreter(), "-m", "venv", str(self.folder)])
        # The file names every version and hash, also of dependencies: pip has nothing to resolve.
        run(pip(self.folder, "--require-hashes", "--no-deps", "--requirement", str(self.requirements)))

    def clear(self) -> None:
        """Remove everything except the stamp, which marks an unfinished environment as made by this set-up.

        `venv --clear` would remove the stamp too.
        """
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(str(entry))
            elif entry.name != STAMP:
                entry.unlink()


class Project(Environment):
    """`.venv`: Tocsin as an editable install, with what a profile needs."""

    def __init__(self, profile: str) -> None:
        super().__init__("tocsin", VENV, PROFILES[profile])
        self.profile = profile
        self.megabytes = MEGABYTES[profile]

    def inputs(self) -> Inputs:
        return dict(super().inputs(), profile=self.profile, project=packaging())

    def is_current(self) -> bool:
        fuller = list(PROFILES)[list(PROFILES).index(self.profile) :]
        return any(self.stamp() == Project(profile).inputs() for profile in fuller)

    def make(self, run: Run, before: Optional[Inputs]) -> None:
        if before in [Project(profile).inputs() for profile in PROFILES]:
            # It was made for another profile, so it only lacks packages, and has none in another version.
            run(pip(self.folder, "--require-hashes", "--no-deps", "--requirement", str(self.requirements)))
            return
        super().make(run, before)
        run(pip(self.folder, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)))


class DeployedRuntime(Environment):
    """A second `.venv`, for the interpreter of the deployed runtime, where that is not ours."""

    def __init__(self, python: str) -> None:
        super().__init__("deployed", DEPLOYED, PROFILES["test"])
        self.python = python

    def inputs(self) -> Inputs:
        theirs = {"python": self.python, "executable": os.path.realpath(self.python)}
        return dict(super().inputs(), project=packaging(), **theirs)

    def make(self, run: Run, before: Optional[Inputs]) -> None:
        self.clear()
        run([self.python, "-m", "venv", str(self.folder)])
        run(pip(self.folder, "--require-hashes", "--no-deps", "--requirement", str(self.requirements)))
        run(pip(self.folder, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)))


def find_deployed_python() -> Optional[str]:
    """An interpreter of the deployed runtime, if the machine has one that runs; None if ours is of it.

    pyenv's commands on the PATH may refuse to run, so its installed versions are tried too.
    """
    if sys.version_info[:2] == DEPLOYED_PYTHON:
        return None
    name = ".".join(map(str, DEPLOYED_PYTHON))
    kept = Path(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))) / "versions"
    ask = "import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != %r)" % (DEPLOYED_PYTHON,)
    for python in [shutil.which("python" + name), *map(str, sorted(kept.glob(name + ".*/bin/python")))]:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if (
                python
                and subprocess.run([python, "-c", ask], capture_output=True, timeout=20).returncode == 0
            ):
                return python
    return None


class Clients(Part):
    """What the tests have from npm: the real WhatsApp clients, the Node that runs them, and Chromium."""

    def __init__(self) -> None:
        super().__init__("clients", CLIENTS / "node_modules")

    def inputs(self) -> Inputs:
        node = find_node()
        return {"node": str(node), "lock": digest(CLIENTS / "package-lock.json"), "place": str(self.folder)}

    def is_current(self) -> bool:
        return (TOOLS_BIN / "node").exists() and is_unpacked() and super().is_current()

    def make(self, run: Run, before: Optional[Inputs]) -> None:
        node = find_node()
        if node is None:
            raise SetupError(f"no Node {OLDEST_NODE} or newer was found, and its package brought none")
        offer(node)
        # No package needs its install scripts, and they would run other people's code.
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress")
        run([*npm(node), "ci", *options], folder=CLIENTS)
        if runs_packaged():
            unpack(node, run)


AFTERWARDS = (Clients, DeployedRuntime)


def make_all(parts: Sequence[Part], progress: Progress) -> None:
    """Make `parts`, two at a time, because a small machine has two cores.

    Raises the first `SetupError`, after the others were stopped.
    """
    waiting = list(parts)
    errors: List[SetupError] = []
    stop = threading.Event()
    lock = threading.Lock()

    def work() -> None:
        while not stop.is_set():
            with lock:
                if not waiting:
                    return
                part = waiting.pop(0)
            try:
                make_one(part, progress, stop)
            except (SetupError, OSError) as error:
                errors.append(error if isinstance(error, SetupError) else SetupError(f"{part.name}: {error}"))
                stop.set()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            while worker.is_alive():
                worker.join(0.2)
    except BaseException:
        stop.set()
        for worker in workers:
            worker.join()
        raise
    if errors:
        raise errors[0]


def make_one(part: Part, progress: Progress, stop: threading.Event) -> None:
    """Make one part, report progress, and stamp it when it is complete. Raises `SetupError`."""
    log = RUNS / f"setup-{part.name}.log"
    before = part.stamp()
    part.begin()
    with progress.of(part.name) as done, log.open("w", encoding="utf-8") as output:

        def run(command: Sequence[str], folder: Path = ROOT) -> None:
            output.write(f"$ {' '.join(command)}\n")
            output.flush()
            if run_stoppable(command, folder, output, stop) != 0:
                raise SetupError(explain(part.name, log, ROOT))

        part.make(run, before)
        part.set_stamp()
        done()


def run_stoppable(command: Sequence[str], folder: Path, output: TextIO, stop: threading.Event) -> int:
    """Run `command` in a process group of its own, which ends when `stop` is set. Returns its exit code."""
    process = subprocess.Popen(
        command,
        cwd=str(folder),
        env=quiet_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # The process holds our lock too (`one_at_a_time`). Python makes no other descriptor inheritable.
        close_fds=False,
    )
    while True:
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            if stop.is_set():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise SetupError("stopped") from None


def check_python() -> None:
    """Raises `SetupError` if this interpreter can't be used, with what to install instead."""
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        raise SetupError(
            f"Python {wanted} or newer is needed, and {sys.executable} is {sys.version.split()[0]}. "
            "If there is a newer one, say which: make PYTHON=python3.12 ..."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetupError(
            f"{sys.executable} comes without venv and ensurepip. "
            f"On Debian and Ubuntu: apt-get install {package}"
        ) from None


def check_room(parts: Sequence[Part]) -> None:
    """Raises `SetupError` if the disk has no room for `parts`. A part that is replaced needs no new room."""
    needed = sum(part.megabytes for part in parts if part.stamp() is None)
    free = shutil.disk_usage(str(ROOT)).free // 1_000_000
    if free < needed:
        raise SetupError(
            f"{needed} MB are needed and {free} MB are free on the disk of {ROOT}. "
            "Make room there, then run this again"
        )


def base_interpreter() -> str:
    """The interpreter that makes the environments: ours, or if ours belongs to an environment, its base.

    With `.venv` activated, or with `make PYTHON=.venv/bin/python`, ours may be in the folder to be removed.
    """
    return getattr(sys, "_base_executable", sys.executable)


def interpreter() -> Inputs:
    """The properties of this interpreter that an environment depends on."""
    return {"python": sys.version, "executable": os.path.realpath(sys.executable)}


def packaging() -> str:
    """A hash of those parts of pyproject.toml that an installation depends on."""
    import tomllib  # not in the old interpreters that come only as far as `check_python`

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [settings["build-system"], settings["project"], settings["tool"]["hatch"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def digest(*files: Path) -> str:
    """SHA-256 over the contents of files; a missing one counts as empty."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes() if file.exists() else b"")
    return total.hexdigest()


def pip(environment: Path, *arguments: str) -> List[str]:
    """The command that installs into a virtual environment."""
    return [str(environment / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off", *arguments]


def quiet_environment() -> Dict[str, str]:
    """Our environment variables, without those that would change where an installer installs."""
    astray = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX")
    environment = {name: value for name, value in os.environ.items() if name not in astray}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    # The user's pip.conf may set these. The rest of it, such as the package index, stays in effect.
    environment.update(PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0")
    return environment


def runs_whatsmeow() -> bool:
    """Whether there is a build of whatsmeow for this machine that the tests know how to drive."""
    return is_linux_with_glibc("x86_64", "aarch64")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Have a second set-up wait for the first, because each would remove the other's environments.

    The commands of a set-up hold the lock too, because they go on writing after the set-up was killed.
    """
    import fcntl

    with (TOOLS / ".lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: waiting for another set-up of this folder", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
