"""The month on the command line: exit code 1 if a check fails."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path

from tests.month.checks import CHECKS
from tests.month.picture import svg
from tests.month.simulation import Provider


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.month", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--picture", type=Path, help="where to draw it, as SVG")
    args = parser.parse_args()
    begun = time.process_time()
    month = Provider(args.seed, args.days).run()
    took = time.process_time() - begun
    digests = sum(bool(month.world.stored(gone.notification).digest_of) for gone in month.gone)
    title = (
        f"{len(month.planned)} notifications, {len(month.gone)} messages, {digests} of them digests, "
        f"{args.days} days in {took:.0f} s of a processor, seed {args.seed}"
    )
    print(title)
    parked = Counter(verdict.cause for _, verdict in month.world.verdicts if verdict.outcome == "parked")
    print("held back:", ", ".join(f"{cause} {number}" for cause, number in parked.most_common()))
    failed = 0
    for name, check in CHECKS.items():
        found = list(islice(check(month), 1000))
        failed += bool(found)
        print(
            f"{'FAILED' if found else 'ok':8} {name}"
            + (f": {len(found)}, such as {found[0]}" if found else "")
        )
    if args.picture:
        args.picture.write_text(svg(month, title), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
