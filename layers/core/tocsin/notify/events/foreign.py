"""Events that are no ticket events yet: those of partners and of other programs on the bus, and webhooks that
were refused and are tried again.

What translates them lies above (`door/desks/foreign.py`) and is given to the planner; here is only what they
look like and what may become of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

SOURCE: Final = "tocsin-source"
"""The rule of a source of kind `bus` hands on `{"tocsin-source": NAME, "event": …}`."""

OUTCOMES_SOURCE: Final = "tocsin"
"""The "source" of Tocsin's own outcomes."""

WEBHOOK_REFUSED: Final = "WebhookRefused"
"""The detail-type of a webhook that was kept (`door/desks/kept.py`)."""


class Untranslatable(NamedTuple):
    """No ticket event can be made of it: it is refused. `violations`: each with its path."""

    violations: tuple[str, ...]
    reason: str


class Untold(NamedTuple):
    """Nobody is told of it, as its mapping wants. `source`: its name."""

    source: str
    reason: str


Translate = Callable[[str], str | Untranslatable | Untold]
"""The body of an event as it came → the body of the ticket event that it is."""


def is_foreign(body: str) -> bool:
    """Whether a body may be of a foreign event. A ticket event in which somebody wrote these words is looked
    at once more by `Translate`, and stays what it is."""
    return f'"{SOURCE}"' in body or f'"{WEBHOOK_REFUSED}"' in body


def unchanged(body: str) -> str:
    """A `Translate` for where there are no sources."""
    return body
