"""Why we ourselves hold a message back, as it is stored, counted and shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PAUSED: Final = "paused"
QUIET_HOURS: Final = "quiet-hours"
ACCOUNT_PACE: Final = "account-pace"
FIRST_CONTACT_PACE: Final = "first-contact-pace"
RECIPIENT_PACE: Final = "recipient-pace"
DIGEST: Final = "digest"

OWN_HOLDS: Final = frozenset({PAUSED, QUIET_HOURS, ACCOUNT_PACE, FIRST_CONTACT_PACE, RECIPIENT_PACE, DIGEST})
"""Codes of a `Wait`. None of these uses up a notification's expiry."""

HURRIED: Final = OWN_HOLDS - {PAUSED}
"""What an urgent message behind it ends: it would have to overtake otherwise."""

BY_CONNECTOR: Final = OWN_HOLDS - {QUIET_HOURS}
"""Holds that the connector tells, as the `limit` of its refusal."""

RELEASED_BY_BUDGET: Final = frozenset({ACCOUNT_PACE, FIRST_CONTACT_PACE})
"""Holds whose end lets only as many go as the budget has room for."""

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        PAUSED: "sending is paused: tocsin resume",
        QUIET_HOURS: "it is night where the recipient is",
        ACCOUNT_PACE: "the account has sent what its budget allows",
        FIRST_CONTACT_PACE: "the account has written to as many new people as its budget allows",
        RECIPIENT_PACE: "the recipient got a message just now",
        DIGEST: "collected for a digest",
    }
)
"""For operators."""

SANDBOX: Final = "sandbox"
"""Code of what the sandbox kept from being sent."""

DIGESTED: Final = "digested"
"""Code of what a digest says in its place."""
