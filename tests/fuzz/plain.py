"""One target under our own engine, in a process of its own.

python -m tests.fuzz.plain "node decoder" <executions> <seed>
"""

import logging
import sys

from tests.fuzz.engine import Fuzzed, fuzz, resident_megabytes
from tests.fuzz.targets import targets


def main() -> int:
    name, executions, seed = sys.argv[1:]
    [target] = [target for target in targets() if target.name == name]
    logging.disable(logging.CRITICAL)
    try:
        found = fuzz(target, seed=int(seed), executions=int(executions))
    except Fuzzed as error:
        print(error)
        return 1
    print(found.executions, found.seconds, found.slowest, round(resident_megabytes()), len(found.outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
