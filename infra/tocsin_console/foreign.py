"""What others wrote into queues and tables, read so that one odd record fails alone."""

from __future__ import annotations

import json
import math
import operator
from typing import Any

from tocsin.notify.events.schema import nested_too_deep
from tocsin.notify.notification import Notification
from tocsin.notify.store.stores import Stores
from tocsin_console.errors import ConsoleError

MALFORMED = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)
"""How code ends that walks through a record of another form than the one it knows."""


class UnreadableRecord(ConsoleError):
    """A notification's record isn't of the form that Tocsin writes."""

    def __init__(self, notification: str) -> None:
        super().__init__(f"the record of notification {notification} can't be read")
        self.notification = notification


def read_json(text: str) -> Any:
    """The JSON value in `text`. Raises ValueError, also for what is nested too deep to be walked through.

    Numbers that JSON can't hold (NaN, 1e999) come as text, so that they can be written again.
    """
    try:
        value = json.loads(text, parse_constant=str, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if nested_too_deep(value):
        raise ValueError("nested too deep")
    return value


def read_record(stores: Stores, notification: str) -> Notification | None:
    """A notification's record; None if there is none. Raises UnreadableRecord."""
    try:
        found = stores.notifications.get(notification)
        if found is not None:
            # What records are put in order by, and what all their other times are held against.
            operator.index(found.created_at)
        return found
    except MALFORMED as error:
        raise UnreadableRecord(notification) from error


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text
