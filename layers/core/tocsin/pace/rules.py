"""The settings that say how an account writes, gathered for one audience."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.settings.declared import (
    DIGEST_SIZE,
    DIGEST_WINDOW_SECONDS,
    FIRST_CONTACTS_PER_DAY,
    FIRST_CONTACTS_PER_HOUR,
    MESSAGES_PER_DAY,
    MESSAGES_PER_HOUR,
    MESSAGES_PER_MINUTE,
    RECIPIENT_SPACING_SECONDS,
    SENDING,
    TYPING_JITTER_MILLISECONDS,
    WARM_UP_DAYS,
    WARM_UP_FROM_PERCENT,
)
from tocsin.settings.values import Settings

PAUSED_VALUE = "paused"

MIN_DIGEST = 2
"""Below that the setting `digest-size` means none."""


class Rules(NamedTuple):
    """Budgets are those of a grown account; `percent_at_first` of them is what a new one has. `spacing`,
    `digest_window`: seconds. `jitter`: seconds, at most this much. `digest_size` below 2: no digests."""

    per_minute: int = 1200
    per_hour: int = 12_000
    per_day: int = 60_000
    first_per_hour: int = 500
    first_per_day: int = 2000
    warm_up_days: int = 14
    percent_at_first: int = 50
    spacing: float = 0.0
    jitter: float = 0.0
    digest_size: int = 0
    digest_window: float = 300.0


LOST_PART = 100
LOST_OF_MINUTE = 10
"""Of each budget one part in so many may be used before that is stored."""


def storable(rules: Rules) -> tuple[int, int]:
    """Return how many messages, and how many first contacts, may be sent before the counts must be stored: so
    many at most are forgotten with a process that is killed."""
    messages = min(
        rules.per_minute // LOST_OF_MINUTE, rules.per_hour // LOST_PART, rules.per_day // LOST_PART
    )
    first_contacts = min(rules.first_per_hour, rules.first_per_day) // LOST_PART
    return max(messages, 1), max(first_contacts, 1)


def rules_of(settings: Settings, account: str, audience: str | None) -> Rules:
    """Return the rules for an audience of an account; None: for what is for nobody in particular."""
    about = {"account": account, "audience": audience}
    return Rules(
        per_minute=settings.value(MESSAGES_PER_MINUTE, account=account),
        per_hour=settings.value(MESSAGES_PER_HOUR, account=account),
        per_day=settings.value(MESSAGES_PER_DAY, account=account),
        first_per_hour=settings.value(FIRST_CONTACTS_PER_HOUR, account=account),
        first_per_day=settings.value(FIRST_CONTACTS_PER_DAY, account=account),
        warm_up_days=settings.value(WARM_UP_DAYS, account=account),
        percent_at_first=settings.value(WARM_UP_FROM_PERCENT, account=account),
        spacing=settings.value(RECIPIENT_SPACING_SECONDS, **about),
        jitter=settings.value(TYPING_JITTER_MILLISECONDS, **about) / 1000,
        digest_size=settings.value(DIGEST_SIZE, **about),
        digest_window=settings.value(DIGEST_WINDOW_SECONDS, **about),
    )


def is_paused(settings: Settings, account: str, audience: str | None) -> bool:
    """Return whether sending is paused for an audience of an account; None: for the whole account."""
    return settings.value(SENDING, account=account, audience=audience) == PAUSED_VALUE
