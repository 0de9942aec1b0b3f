"""`python -m tests.bench` runs every benchmark, `python -m tests.bench crypto` only those named.

A benchmark is a module beside this one with a `main()` that prints. Nothing here passes or fails; the tables
say which aims are met on this machine, now.
"""

import sys
from importlib import import_module
from pathlib import Path

HELPERS = {"__init__", "__main__", "measure", "floor", "node_scripts", "pyaileys_devices"}


def benchmarks() -> list[str]:
    return sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - HELPERS)


def main(names: list[str]) -> None:
    unknown = set(names) - set(benchmarks())
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))} (there are: {', '.join(benchmarks())})")
    for name in names or benchmarks():
        import_module(f"tests.bench.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
