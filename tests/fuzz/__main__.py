"""`make fuzz`: every target for a while, and what came of it."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.fuzz.engine import Fuzzed, fuzz, resident_megabytes
from tests.fuzz.targets import CORPUS, corpus_file, targets

MOST_MEGABYTES = 600
MOST_BYTES = 400
"""Of an input that is kept."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default 60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="to repeat a run exactly")
    parser.add_argument("--only", help="targets whose name holds this")
    parser.add_argument("--keep", action="store_true", help="add what was new, and small, to the corpus")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"seed {options.seed}, {options.seconds:g} s each")
    print(f"{'target':22}{'executions':>12}{'a second':>10}{'outcomes':>10}{'slowest':>10}{'memory':>9}")
    total, failed = 0, 0
    for target in targets():
        if options.only and options.only not in target.name:
            continue
        try:
            found = fuzz(target, seed=options.seed, seconds=options.seconds)
        except Fuzzed as finding:
            failed += 1
            print(f"{target.name:22}{finding}")
            continue
        total += found.executions
        if options.keep:
            _keep(target.name, found.new)
        rate, memory = found.executions / found.seconds, resident_megabytes()
        print(
            f"{target.name:22}{found.executions:12,}{rate:10,.0f}{len(found.outcomes):10}"
            f"{found.slowest * 1000:7.0f} ms{memory:6.0f} MB",
            flush=True,
        )
    memory = resident_megabytes()
    print(f"{total:,} executions, {failed} findings, at most {memory:.0f} MB")
    return 1 if failed or memory > MOST_MEGABYTES else 0


def _keep(target: str, inputs: list[bytes]) -> None:
    small = [data.hex() + "\n" for data in inputs if 0 < len(data) <= MOST_BYTES]
    if small:
        CORPUS.mkdir(exist_ok=True)
        with corpus_file(target).open("a") as file:
            file.writelines(small)


if __name__ == "__main__":
    sys.exit(main())
