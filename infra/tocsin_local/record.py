"""How a running stack is found: `.run/NAME.json` tells tools where everything is, while it runs.

The process holds `.run/NAME.lock` until it ends, for whatever reason. So the lock of a killed one is
free, even if another process has its id by then.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tocsin_local.paths import RUNS

STOP_SECONDS = 60.0
POLL_SECONDS = 0.1


class RecordError(Exception):
    """A stack can't be started or stopped under its name. The text says why and what to do about it."""


def record_file(name: str) -> Path:
    """Where tools look for the stack of that name."""
    return RUNS / f"{name}.json"


@contextlib.contextmanager
def claimed(name: str) -> Iterator[None]:
    """Reserve `name` while the block lasts. Raises `RecordError` if another stack has it."""
    RUNS.mkdir(exist_ok=True)
    with _lock_file(name).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(name) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        record_file(name).unlink(missing_ok=True)  # of one that was killed
        yield


def check_free(name: str) -> None:
    """Raises `RecordError` if a stack of that name runs."""
    if owner(name) is not None:
        raise _taken(name)


@contextlib.contextmanager
def published(name: str, content: Mapping[str, Any]) -> Iterator[None]:
    """The record of `name` is there, complete, while the block lasts. `content` is JSON."""
    record = record_file(name)
    unfinished = record.with_suffix(".json.new")
    unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(record)
    try:
        yield
    finally:
        record.unlink(missing_ok=True)


def owner(name: str) -> int | None:
    """The process id of the stack of that name, ready or still starting; None if there is none."""
    with contextlib.suppress(FileNotFoundError), _lock_file(name).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read())
    return None


def stop(name: str) -> None:
    """End the stack of that name; return when it has ended. Raises `RecordError`."""
    pid = owner(name)
    if pid is None:
        raise RecordError(f"no stack named '{name}' runs in this folder")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + STOP_SECONDS
    while owner(name) == pid:
        if time.monotonic() > give_up:
            raise RecordError(f"the stack '{name}' (process {pid}) still runs after {STOP_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _taken(name: str) -> RecordError:
    return RecordError(
        f"a stack named '{name}' runs already: stop it with make local-stop, or give this one another name: "
        'make local ARGS="--name another"'
    )


def _lock_file(name: str) -> Path:
    return RUNS / f"{name}.lock"
