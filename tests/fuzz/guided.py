"""One target under atheris, in a process of its own.

    python -m tests.fuzz.guided "node decoder" <options of libFuzzer>

Tocsin's code is instrumented: an input that reaches what none before it reached is kept and built upon. A
crash, an execution of more than `-timeout` seconds or more than `-rss_limit_mb` ends the process; the input
is in the output.
"""

from __future__ import annotations

import logging
import sys
import time

import atheris

with atheris.instrument_imports(include=["tocsin"]):
    from tests.fuzz.targets import targets

TOLD_SECONDS = 0.01
"""Slower executions are told, if each is slower than all before it."""


def main() -> None:
    name, *options = sys.argv[1:]
    [run] = [target.run for target in targets() if target.name == name]
    logging.disable(logging.CRITICAL)
    slowest = TOLD_SECONDS

    def execute(data: bytes) -> None:
        nonlocal slowest
        began = time.perf_counter()
        run(data)
        took = time.perf_counter() - began
        if took > slowest:
            slowest = took
            print(f"slowest: {took:.3f}", flush=True)

    atheris.Setup([sys.argv[0], *options], execute)
    atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
