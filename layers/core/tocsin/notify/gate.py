"""What of ours keeps a notification from being sent now: the sandbox, a pause, quiet hours, and a budget that
is known to be used up.

The connector holds to pause and budgets in any case; asking here first spares a message its keys. What the
connector refuses is remembered for as long as it said, in this container.
"""

from __future__ import annotations

from tocsin.notify.content import Text
from tocsin.notify.failure import Permanent, Wait
from tocsin.notify.judgements import is_answer
from tocsin.notify.notification import SELF_TEST, TICKET_DIGEST, Notification, Problem
from tocsin.notify.store.stores import Stores
from tocsin.pace.causes import (
    ACCOUNT_PACE,
    DIGEST,
    HURRIED,
    PAUSED,
    QUIET_HOURS,
    RECIPIENT_PACE,
    SANDBOX,
    WORDS,
)
from tocsin.pace.rules import MIN_DIGEST, is_paused, rules_of
from tocsin.people.person import Person
from tocsin.settings.declared import QUIET_HOURS as HOURS
from tocsin.settings.declared import SANDBOX as IS_SANDBOX
from tocsin.settings.declared import SANDBOX_ALLOWS, TIME_ZONE
from tocsin.settings.values import Settings
from tocsin.tables.names import is_lid, recipient_of, user_of
from tocsin.timestamps import from_seconds, iso

KEPT_IN_SANDBOX = Problem(
    SANDBOX, Permanent.kind, "would have been sent: the sandbox doesn't name the recipient"
)

BEHIND = "behind"
"""Code of a `Wait` for an earlier one to the same person."""

MAY_HURRY = HURRIED | {BEHIND}

PAUSE_MS = 10_000
"""For so long a pause that only the connector knows of is believed. The settings tell of it by then."""


MAX_FULL_MS = 2 * 86_400_000


class Gate:
    """One per container, for several threads at a time: what it remembers may be a moment old."""

    def __init__(self) -> None:
        self._full: dict[str, tuple[int, int]] = {}
        self._paused: dict[tuple[str, str], int] = {}

    def judge(
        self, notification: Notification, person: Person, settings: Settings, now: int, *, resumed: bool
    ) -> Wait | Problem | None:
        """Return what it must wait for, why it is never sent, or None if it may go. `now`: ms."""
        account, audience = notification.account, notification.audience
        if settings.value(IS_SANDBOX, account=account) and not _is_allowed(notification, person, settings):
            return KEPT_IN_SANDBOX
        told_until = self._paused.get((account, audience), 0)
        if is_paused(settings, account, audience) or now < told_until <= now + PAUSE_MS:
            return Wait(PAUSED, WORDS[PAUSED])
        if passes(notification):
            return None
        quiet = quiet_end(account, audience, number_of(notification.recipient, person), settings, now)
        if quiet is not None:
            return Wait(QUIET_HOURS, f"{WORDS[QUIET_HOURS]}, until {iso(quiet)}", due_at=quiet)
        full, version = self._full.get(account, (0, 0))
        # Under other settings there may be room; and no budget is full for longer, by a clock that is right.
        if now < full <= now + MAX_FULL_MS and version == settings.version and not resumed:
            return Wait(ACCOUNT_PACE, f"{WORDS[ACCOUNT_PACE]}, until {iso(full)}", due_at=full)
        return None

    def remember(self, notification: Notification, failure: Wait, settings: Settings, now: int) -> None:
        """Heed what the connector said, for those who come after. `settings`: in force then. `now`: ms."""
        if failure.code == PAUSED:
            self._paused[notification.account, notification.audience] = now + PAUSE_MS
        elif failure.code == ACCOUNT_PACE and failure.due_at is not None:
            self._full[notification.account] = failure.due_at, settings.version


def passes(notification: Notification) -> bool:
    """Return whether it waits for no quiet hours: it is urgent, or before something urgent, or answers
    somebody who is awake."""
    return (
        notification.urgent
        or notification.hurried
        or is_answer(notification)
        or (notification.event_type == SELF_TEST)
    )


def is_digestible(notification: Notification) -> bool:
    """Return whether a digest may say it. What stayed alone in one isn't collected again."""
    return (
        isinstance(notification.content, Text)
        and notification.event_type.startswith("Ticket")
        and notification.event_type != TICKET_DIGEST
        and not (notification.urgent or was_collected(notification))
    )


def was_collected(notification: Notification) -> bool:
    """Return whether it ever waited for a digest, as the first one of it. After that it may have waited for
    something else, such as the digest itself."""
    waited = notification.last_error is not None and notification.last_error.code == DIGEST
    return waited or any(attempt.cause == DIGEST for attempt in notification.attempts)


def hurry_before(urgent: Notification, person: Person, stores: Stores, now: int) -> None:
    """Let what an urgent one would have to overtake go before it, with the next sweep, where that is held up
    by ourselves. `now`: ms."""
    for turn in sorted(turn for turn in person.parked if turn < urgent.turn):
        earlier = stores.notifications.get(turn.partition("#")[2])
        if earlier is None or earlier.last_error is None or earlier.hurried:
            continue
        is_ours = earlier.last_error.code in MAY_HURRY
        if is_ours and stores.notifications.hurry(earlier.id):
            stores.parking.hurry(urgent.account, turn, now)


def is_over_by(cause: str, settings: Settings, account: str, audience: str, parked_at: int, now: int) -> bool:
    """Whether a space or a digest's window that began at `parked_at` at the latest is over by the settings as
    they are now, whatever they were then. In ms."""
    rules = rules_of(settings, account, audience)
    if cause == RECIPIENT_PACE:
        return now >= parked_at + from_seconds(rules.spacing)
    return rules.digest_size < MIN_DIGEST or now >= parked_at + from_seconds(rules.digest_window)


def number_of(recipient: str, person: Person) -> str:
    """Return the number by which somebody's place is known, as a recipient is spelt: that of a LID, if one is
    known; else the recipient."""
    numbers = person.numbers if is_lid(recipient) else ()
    return recipient_of(numbers[0]) if numbers else recipient


def quiet_end(account: str, audience: str, recipient: str, settings: Settings, now: int) -> int | None:
    """Return when the quiet hours end that hold for a recipient now; None: they don't. Times in ms."""
    hours = settings.value(HOURS, account=account, audience=audience)
    if not hours:
        return None
    from tocsin.pace.quiet import quiet_until, zone_for

    zone = zone_for(recipient, settings.value(TIME_ZONE, account=account, audience=audience))
    end = quiet_until(now / 1000, hours, zone)
    return None if end is None else from_seconds(end)


def _is_allowed(notification: Notification, person: Person, settings: Settings) -> bool:
    """Whether the sandbox names the recipient, by any spelling of a number of theirs. Our own chat needs no
    leave."""
    if notification.event_type == SELF_TEST:
        return True
    allowed = settings.value(SANDBOX_ALLOWS, account=notification.account)
    if notification.group is not None:
        return notification.recipient in allowed
    from tocsin.people.numbers import same_person_key

    keys = {same_person_key(one) for one in allowed if "@" not in one}
    numbers = person.numbers if is_lid(notification.recipient) else (user_of(notification.recipient),)
    return any(same_person_key(recipient_of(number)) in keys for number in numbers)
