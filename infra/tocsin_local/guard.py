"""Run a command until it ends or standard input closes; then end all that it started. Exits with its code.

    python guard.py SECONDS COMMAND …    SECONDS: how long it may take to end by itself

The program that starts us holds the other end of standard input and never writes to it. When that program
ends, for whatever reason, the pipe closes. Standard library only, so that each guard starts in 20 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import FrameType

PR_SET_PDEATHSIG = 1


def main(grace_seconds: float, command: Sequence[str]) -> int:
    """Run `command` in a process group of its own. Returns its exit code."""
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_the_guard
    )

    def when_asked(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=end, args=(child, grace_seconds), daemon=True).start()

    signal.signal(signal.SIGTERM, when_asked)
    signal.signal(signal.SIGINT, when_asked)
    threading.Thread(target=end_when_abandoned, args=(child, grace_seconds), daemon=True).start()
    code = child.wait()
    end_group(child.pid)
    return code if code >= 0 else 128 - code


def end_when_abandoned(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Wait for the end of standard input, then end the child."""
    while os.read(0, 1024):
        pass
    end(child, grace_seconds)


def end(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """End the child by SIGTERM, and after a while by SIGKILL."""
    child.terminate()
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        child.kill()


def end_group(leader: int) -> None:
    """End what the child started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def die_with_the_guard() -> None:
    """On Linux, have the kernel end the child if the guard itself is killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
