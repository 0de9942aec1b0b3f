"""What benchmarks run in: the whole of Tocsin on this machine, started when the first of them asks for it."""

from __future__ import annotations

import os
import platform
import ssl
import subprocess
import sys
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local import stack
from infra.local.emulator import run_folder
from infra.local.world import world
from tests.bench import node_scripts
from tests.e2e.stage import Stage


class Surroundings:
    """Everything ends with the block. `thorough`: whoever asked for it has time."""

    def __init__(self, *, thorough: bool = False) -> None:
        self.thorough = thorough
        self._stack = ExitStack()

    @cached_property
    def stage(self) -> Stage:
        """Emulator, deployed template, WhatsApp server, and a connector whose account is linked."""
        built = self._stack.enter_context(world("bench", progress=tell))
        tell("linking the account")
        self._stack.enter_context(built.connector())
        stage = Stage(built)
        stage.link()
        return stage

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
    node = node_scripts.version() or "none"
    return (
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, Node {node}, {os.cpu_count()} processors, "
        f"{platform.system()} {platform.machine()}. Medians; in brackets, how many times ours."
    )


def resident_megabytes(pid: int) -> float:
    """The memory that a process has in RAM, shared pages included."""
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(answer.stdout) * 1024 / 1e6
