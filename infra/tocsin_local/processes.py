"""Child processes that end with us, even after an exception, Ctrl-C, SIGTERM or SIGKILL.

Each runs behind a small guard (`guard.py`) that holds one end of a pipe. When the other end closes, because
we stopped the child or because we are gone, the guard ends the child and all that it started. So we
need not do anything when we end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from urllib.request import urlopen

from tocsin_local.paths import ROOT

# The variables of our environment that a program needs. All others are left out: a stray AWS_PROFILE, proxy
# or PYTHONPATH would make machines behave differently.
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ", "SYSTEMROOT")

GUARD = Path(__file__).with_name("guard.py")

GRACE_SECONDS = 10.0
"""What a child has to end by itself, before the guard kills it."""

PATIENCE_SECONDS = 5.0
"""What the guard has beyond that."""

READY_SECONDS = 60.0


class ProcessFailed(Exception):
    """A child ended, or didn't get ready in time. `log` is its output, whose end is part of the text."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        super().__init__(name, what, log)
        self.name = name
        self.what = what
        self.log = log

    def __str__(self) -> str:
        return f"{self.name} {self.what}. The end of {self.log}:\n{tail(self.log)}"


class Child:
    """A running child process. Make it with `running`."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        log: Path,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._grace_seconds = grace_seconds

    @property
    def pid(self) -> int:
        """Its number; it leads a process group of its own."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raises `ProcessFailed` if the child ended."""
        if not self.alive():
            raise ProcessFailed(self.name, f"ended with code {self._process.returncode}", self.log)

    def wait_until(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Return when `ready` says so. Raises `ProcessFailed` if the child ends or `seconds` pass first."""
        give_up = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > give_up:
                raise ProcessFailed(self.name, f"was not ready after {seconds:.0f} s", self.log)
            time.sleep(0.05)

    def stop(self) -> None:
        """End the child and everything it started, first by SIGTERM, then by SIGKILL."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(self._grace_seconds + PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    folder: Path = ROOT,
    grace_seconds: float = GRACE_SECONDS,
) -> Iterator[Child]:
    """Run `command` with exactly `environment` while the block lasts; its output goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), str(grace_seconds), *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    child = Child(name, process, log, grace_seconds)
    try:
        yield child
    finally:
        child.stop()


def clean_environment(**more: str) -> dict[str, str]:
    """The variables that any program may have of our environment, and `more`."""
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | more


def free_port(wanted: int | None = None) -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago: the one that is `wanted`, if it was."""
    with socket.socket() as probe:
        # As those who listen do: a port whose last connections just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except (OSError, OverflowError):
            return free_port()
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Does a GET of `url` (on this machine) succeed?"""
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310  # our own child's address
            return bool(answer.status == 200)
    except OSError:
        return False


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented; says so if there are none."""
    with contextlib.suppress(OSError):
        text = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if text:
            return "\n".join("  " + line for line in text[-lines:])
    return "  (it said nothing)"


def exit_on_sigterm() -> None:
    """Make SIGTERM leave through the `finally` blocks, as Ctrl-C does. For programs that start children."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
