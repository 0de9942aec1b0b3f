"""Messages and records that Tocsin may not have written, read so that a malformed one fails alone."""

from __future__ import annotations

import json
import math
import operator
from typing import Any

from tocsin.nesting import nested_too_deep
from tocsin.notify.events.checks import MAX_NESTED
from tocsin.notify.notification import Notification
from tocsin.notify.store.codec import MALFORMED as MALFORMED
from tocsin.notify.store.notifications import Notifications


class UnreadableRecord(Exception):
    """A notification's record does not have the form that Tocsin writes."""

    def __init__(self, notification: str) -> None:
        super().__init__(notification)
        self.notification = notification

    def __str__(self) -> str:
        return f"the record of notification {self.notification} can't be read"


def read_json(text: str) -> Any:
    """Return the JSON value in `text`. Raises ValueError, also if it is nested too deep to be walked through.

    Numbers that JSON can't hold (NaN, 1e999) are returned as text, so that they can be written again.
    """
    try:
        value = json.loads(text, parse_constant=str, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if nested_too_deep(value, MAX_NESTED):
        raise ValueError("nested too deep")
    return value


def read_record(store: Notifications, notification: str) -> Notification | None:
    """Return a notification's record, or None if there is none. Raises UnreadableRecord."""
    try:
        found = store.get(notification)
        if found is not None:
            # Records are sorted by it, and all their other times are compared with it.
            operator.index(found.created_at)
            if found.id != notification or not isinstance(found.text, str):
                raise ValueError("the record of another notification, or one without a text")
        return found
    except MALFORMED as error:
        raise UnreadableRecord(notification) from error


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text
