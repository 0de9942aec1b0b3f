"""What to do while others hold an item, or the table throttles us: wait for a moment, and ask again.

DynamoDB refuses a write while a transaction on the item is in flight, and boto3 does not repeat it. A
transaction takes some milliseconds, so the first pauses are short; after a second the caller's queue does the
waiting.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tocsin.dynamo.errors import Contention, TableError

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.005
MAX_PAUSE_SECONDS = 0.080
PATIENCE_SECONDS = 1.0


def pauses(random: Callable[[int], bytes]) -> Iterator[float]:
    """Seconds to wait after each failure: 5 ms doubling to 80 ms, full jitter, one second in all."""
    ceiling, waited = FIRST_PAUSE_SECONDS, 0.0
    while waited < PATIENCE_SECONDS:
        # Full jitter, but never nothing: a zero would only ask the same question again.
        pause = ceiling * (1 + int.from_bytes(random(2), "big")) / 65536
        yield pause
        waited += pause
        ceiling = min(2 * ceiling, MAX_PAUSE_SECONDS)


def repeated(
    operation: Callable[[], T],
    *,
    causes: type[TableError] | tuple[type[TableError], ...] = Contention,
    random: Callable[[int], bytes] = os.urandom,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Repeat `operation` as it is while it fails by one of `causes`. Raises the last one after a second."""
    refusal: TableError = Contention()
    for pause in pauses(random):
        try:
            return operation()
        except causes as error:
            refusal = error
            sleep(pause)
    raise refusal
