"""Serves the door as Lambda would with so many copies of the function: `python -m tests.bench.door_copies
COUNT`.

Prints its URL, and ends with its standard input. Each copy has a door of its own, and works on one request at
a time."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Mapping
from typing import Any

from tests.support.handlers import Context, load
from tocsin_local.door import open_door

OWN_MS = "x-own-ms"
"""A header: milliseconds of the processor that the handler took for the request."""

PROCESS_MS = "x-process-ms"
"""A header: milliseconds of the processor that the process took since it began."""


def main() -> None:
    copies: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(int(sys.argv[1])):
        copy = load("receive_webhook")
        copy.door()
        copies.put(copy)

    def answer(event: dict[str, Any]) -> Mapping[str, Any]:
        copy = copies.get()
        try:
            before = time.thread_time()
            told: dict[str, Any] = copy.lambda_handler(event, Context())
            told["headers"][OWN_MS] = f"{(time.thread_time() - before) * 1000:.2f}"
            told["headers"][PROCESS_MS] = f"{time.process_time() * 1000:.2f}"
            return told
        finally:
            copies.put(copy)

    with open_door(answer) as url:
        # What the copies log goes to standard output as well, so the URL stands alone on the first line.
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
