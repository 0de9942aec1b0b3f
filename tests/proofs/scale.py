"""How much is tried. The default runs in a minute and is the same each time; for a night:

    TOCSIN_PROOFS=50 pytest tests/proofs        fifty times as many examples, fresh ones each time

`make proofs` is eight times as many.

Hypothesis prints a failing example, shrunk; what works from seeds names the seed and how to replay it.
"""

import os

from hypothesis import HealthCheck, settings

FACTOR = float(os.environ.get("TOCSIN_PROOFS", "1"))


def scaled(count: int) -> int:
    return max(int(count * FACTOR), 1)


def examples(count: int, *, steps: int = 50) -> settings:
    """Settings for `count` examples (of so many steps, for a state machine) at the default scale."""
    return settings(
        max_examples=scaled(count),
        stateful_step_count=steps,
        deadline=None,
        derandomize=FACTOR <= 1,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
