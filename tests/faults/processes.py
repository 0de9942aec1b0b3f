"""Which of a world's processes is which, so that a test can kill exactly that one. Linux only (/proc)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A running process. `output`: the file its standard output goes to, where it is one."""

    pid: int
    command: tuple[str, ...]
    output: Path | None

    def kill(self) -> None:
        """SIGKILL: it gets no last word."""
        self.send(signal.SIGKILL)

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still while the block lasts."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def alive(self) -> bool:
        """Is it still running? One that ended and waits to be collected is not."""
        try:
            state = (PROC / str(self.pid) / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in ("Z", "X")


def with_output(log: Path, module: str) -> Process | None:
    """The process that runs `python -m module` and writes to `log`, once there is one."""
    return next(
        (
            process
            for process in processes()
            if process.output == log and process.command[1:3] == ("-m", module)
        ),
        None,
    )


def workers(temporary: Path, function: str) -> list[Process]:
    """The emulator's processes that run a function; each lies in a folder of its own below `temporary`."""
    place = str(temporary / f"ministack-lambda-{function}-")
    return [process for process in processes() if any(part.startswith(place) for part in process.command)]


def processes() -> Iterator[Process]:
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if len(command) > 1:
                output = os.readlink(folder / "fd" / "1")
                yield Process(int(folder.name), tuple(command[:-1]), Path(output))
