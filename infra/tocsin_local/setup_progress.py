"""What the set-up says while it works. No syntax newer than Python 3.7's (`bootstrap`)."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Callable, Iterator

STILL_WORKING_SECONDS = 15


class Progress:
    """Prints progress, line by line; for a part that takes long, repeatedly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        with self._lock:
            try:
                print(f"setup: {text}", flush=True)
            except BrokenPipeError:
                # The output was closed (`| head`). Go on without it.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[Callable[[], None]]:
        """Repeatedly print that the block still runs. Call the yielded function when it is done."""
        started = time.monotonic()
        finished = threading.Event()

        def still_working() -> None:
            while not finished.wait(STILL_WORKING_SECONDS):
                self.say(f"{name}: still installing, {time.monotonic() - started:.0f} s")

        def done() -> None:
            self.say(f"{name}: installed in {time.monotonic() - started:.0f} s")

        watcher = threading.Thread(target=still_working, daemon=True)
        watcher.start()
        try:
            yield done
        finally:
            finished.set()
            watcher.join()
