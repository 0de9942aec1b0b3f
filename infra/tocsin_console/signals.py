"""What ends a command from outside: it ends as with Ctrl-C, so that what must be taken back is."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Final

ENDING: Final = ("SIGTERM", "SIGHUP")
"""Somebody ends the process, or closes its terminal. Windows knows no SIGHUP."""


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Meanwhile each of `ENDING` raises KeyboardInterrupt, in the main thread. In another one nothing
    changes: signals don't reach it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
