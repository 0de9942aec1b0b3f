"""`make cost`: count on the emulator, record, compute, and write the page.

`python -m tests.cost page` computes from what was recorded last.
"""

from __future__ import annotations

import json
import sys

from tests.cost import page, report
from tests.cost.facts import facts
from tests.cost.measure import measured
from tests.cost.reduce import reduced


def main() -> int:
    if sys.argv[1:] != ["page"]:
        counted = measured()
        report.write(report.MEASURED, reduced(counted), facts())
    else:
        counted = json.loads(report.MEASURED.read_text())
        counted.pop("facts")
        report.write(report.MEASURED, counted, facts())
    text = page.page()
    page.PAGE.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
