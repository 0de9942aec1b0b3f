"""What benchmarks run in: the whole of Tocsin on this machine, started when the first of them asks for it."""

from __future__ import annotations

import math
import os
import platform
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench import node_scripts
from tests.support.stack import DeployedStack
from tocsin_local import stack
from tocsin_local.emulator import Emulator, run_folder
from tocsin_local.processes import GUARD
from tocsin_local.world import world


class ConnectorContext:
    """Everything ends with the block. `thorough`: whoever asked for it has time."""

    def __init__(self, *, thorough: bool = False) -> None:
        self.thorough = thorough
        self._stack = ExitStack()

    @cached_property
    def deployed(self) -> DeployedStack:
        """Emulator, deployed template, WhatsApp server, and a connector whose account is linked."""
        deployed = DeployedStack(self._stack.enter_context(world("bench", progress=tell)))
        self._connector = self._stack.enter_context(ExitStack())
        self._connector.enter_context(deployed.world.connector())
        tell("linking the account")
        deployed.link()
        return deployed

    @property
    def emulator(self) -> Emulator:
        return self.deployed.stack.aws

    def restart_connector(self) -> None:
        """Another connector process in place of the one that runs; returns when it is connected."""
        self.stop_connector()
        self.start_connector()

    def stop_connector(self) -> None:
        self.deployed  # noqa: B018  it starts one
        self._connector.close()

    def start_connector(self) -> None:
        """Returns when it is connected."""
        before = self.deployed.lease().epoch
        self._connector.enter_context(self.deployed.world.connector())
        self.deployed.wait_for_account("connected", epoch=before + 1)

    @cached_property
    def folder(self) -> Path:
        """A place for files; it stays until the next run."""
        return self._stack.enter_context(run_folder("bench-files"))

    @cached_property
    def built(self) -> Path:
        """The template as `sam build` leaves it."""
        tell("building the template")
        return stack.build(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def tell(text: str) -> None:
    """Progress goes beside the report."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def machine() -> str:
    """What the figures hold for."""
    parts = (
        f"Python {platform.python_version()}",
        ssl.OPENSSL_VERSION,
        f"Node {node_scripts.version() or 'none'}",
        f"{os.cpu_count()} processors",
        f"{platform.system()} {platform.machine()}",
    )
    return ", ".join(parts) + ". Medians, where nothing else is said."


@dataclass(frozen=True)
class Process:
    """`megabytes`: resident, shared pages included. `seconds`: of processor time so far; nan if not told."""

    pid: int
    parent: int
    megabytes: float
    seconds: float
    command: str


def processes() -> list[Process]:
    """All that run here."""
    if not Path("/proc/self/statm").exists():
        return [_from_ps(line) for line in _output("ps", "-axo", "pid=,ppid=,rss=,args=").splitlines()]
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):  # it has ended meanwhile
                found.append(_from_proc(folder))
    return found


def descendant(command: str) -> Process:
    """The one process with this in its command line that we started, the guards beside them aside."""
    running = processes()
    parents = {process.pid: process.parent for process in running}
    [found] = [
        process
        for process in running
        if command in process.command
        and str(GUARD) not in process.command
        and os.getpid() in _ancestors(process.pid, parents)
    ]
    return found


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while pid := parents.get(pid, 0):
        yield pid


def _from_proc(folder: Path) -> Process:
    # The name of the program, in brackets, may hold anything.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    pages = int((folder / "statm").read_text().split()[1])
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Process(int(folder.name), int(fields[1]), megabytes, seconds, command)


def _from_ps(line: str) -> Process:
    pid, parent, kilobytes, command = line.split(None, 3)
    return Process(int(pid), int(parent), int(kilobytes) * 1024 / 1e6, math.nan, command)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
