"""How long limits on the account hold a notification: WhatsApp's, or those that we set ourselves
(`tocsin.pace`). That time doesn't use up its expiry.

    parked ──── the limit holds ────▶ its end ──── any other wait ────▶ expired
      └── is added to the expiry ──────┘ └── uses up what is left, at least a grace

A limit holds every message alike, whatever a message could do about it; and a guessed one may last as long as
a message is kept. Any other wait (no connector, no connection, a recipient's refusal) counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.pace.causes import OWN_HOLDS, RELEASED_BY_BUDGET

FIRST_CONTACT_CODES = frozenset({"first-contact-restricted", "first-contact-quota"})
"""Codes of a `Wait` for whom the account may not write to first."""

ACCOUNT_LIMITS = FIRST_CONTACT_CODES | {"rate-limited", "resource-limit", "locked", "restricted"}
"""Codes of a `Wait` that a limit of WhatsApp's on the whole account brought about."""

HELD_TOO_LONG = "held-too-long"
"""Code of a `Permanent` for what a limit holds beyond the time in which it could still go out."""

HOLDS = ACCOUNT_LIMITS | OWN_HOLDS
"""Codes of a `Wait` that uses up nobody's expiry."""

NUMBER_MOVED = "number-moved"
"""Code of a `Wait` for an operator, who must say whether a number that went to somebody else may be written
to. It holds what is for that number, and nothing else."""

GRACE_SECONDS = 3600
"""What a held one has left at least when its limit ends: time to connect and to be sent."""

MAX_LIFE_SECONDS = 28 * 86400
"""However long limits hold it, a notification is given up this long after its planning. Parking it prolongs
the life of its record by as much as it may have to wait."""


@dataclass(frozen=True)
class Hold:
    """Times in ms. `since`: when it was parked; `until`: when the limit ends."""

    since: int
    until: int


def held_until(cause: str, due_at: int | None, at: int = 0) -> int | None:
    """Return when the limit `cause` ends (ms, its due time); `None` for any other wait, and for a limit whose
    end nobody knows: that one is tried each minute. A pause, which began `at` (ms) at the latest, holds for
    as long as the operator wants; and a budget until upkeep puts it back, for at its due time only as many go
    as there is room for."""
    if cause in RELEASED_BY_BUDGET or (cause in OWN_HOLDS and due_at is None):
        return at + MAX_LIFE_SECONDS * 1000
    return due_at if cause in HOLDS else None


def expiry(expires_at: int, planned_at: int, hold: Hold | None, now: int) -> int:
    """Return the moment from which a notification is given up, as it stands at `now`. All in ms.

    `expires_at` is its expiry without `hold`. While a limit holds it, the expiry moves along.
    """
    if hold is None:
        return expires_at
    end = min(now, hold.until)
    held = max(0, end - hold.since)
    extended = max(expires_at + held, end + GRACE_SECONDS * 1000)
    return max(expires_at, min(extended, planned_at + MAX_LIFE_SECONDS * 1000))


def is_hopeless(expires_at: int, planned_at: int, hold: Hold) -> bool:
    """Whether it would be given up before the limit that holds it ends: then that is said at once. All in
    ms."""
    return expiry(expires_at, planned_at, hold, hold.until) <= hold.until
