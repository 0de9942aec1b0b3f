"""`python -m tests.bench` measures everything, `python -m tests.bench crypto nodes` only what is named.

A benchmark is a module beside this one whose `measure(bench)` yields the sections of its report. Nothing here
passes or fails: the report says which aims are met on this machine, now.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Mapping
from importlib import import_module

from tests.bench.measure import Verdict, heading
from tests.bench.surroundings import ConnectorContext, machine
from tocsin_local.processes import exit_on_sigterm

# In this order: what starts processes of its own first, then what needs the whole stack, then the processor.
# What fills the stack's table comes last.
BENCHMARKS = (
    "start",
    "requests",
    "memory",
    "login",
    "healing",
    "accounts",
    "messages",
    "receiving",
    "door",
    "hooks",
    "conflicts",
    "crypto",
    "nodes",
    "feed",
)


def main() -> int:
    arguments = parse()
    exit_on_sigterm()
    began, failed = time.monotonic(), 0
    verdicts: list[Verdict] = []
    spent: dict[str, float] = {}
    print(machine(), end="\n\n", flush=True)
    with ConnectorContext(thorough=arguments.long) as bench:
        for name in arguments.names or BENCHMARKS:
            started = time.monotonic()
            try:
                for section in import_module(f"tests.bench.{name}").measure(bench):
                    print(section, flush=True)
                    verdicts += section.verdicts()
            except Exception:  # noqa: BLE001  the other figures are worth having all the same
                failed += 1
                print(f"{name}: could not be measured\n", flush=True)
                traceback.print_exc()
            spent[name] = time.monotonic() - started
    print(summary(verdicts, spent, time.monotonic() - began))
    return 1 if failed else 0


def summary(verdicts: list[Verdict], spent: Mapping[str, float], seconds: float) -> str:
    missed = [verdict for verdict in verdicts if not verdict.met]
    lines = heading(f"{len(verdicts) - len(missed)} of {len(verdicts)} aims met, in {seconds:.0f} s")
    lines.append(", ".join(f"{name} {took:.0f} s" for name, took in spent.items()))
    return "\n".join(lines + [f"missed: {verdict.what}: {verdict.aim}" for verdict in missed])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--long", action="store_true", help="more rounds, and up to 100,000 sessions")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
