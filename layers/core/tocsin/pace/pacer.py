"""Whether a message may go out of an account now. One object per account, where all its messages pass.

    admit ──▶ Go(delay)            counted; wait that long, a few seconds at most, then send it
       └────▶ Hold(cause, until)   not counted; not before `until`

Urgent messages wait for nobody but their budget, of which a tenth is theirs alone. Once something was held
back for a budget, what comes fresh waits behind it; what was parked is let through oldest first. Whoever has
had a first message of the account is a first contact no more, whether it arrived or not.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tocsin.pace.causes import ACCOUNT_PACE, DIGEST, FIRST_CONTACT_PACE, RECIPIENT_PACE
from tocsin.pace.ledger import Ledger
from tocsin.pace.rules import MIN_DIGEST, Rules
from tocsin.pace.warm_up import grown, part_of
from tocsin.pace.window import DAY, Window

MAX_DELAY = 5.0
"""Seconds for which a message is kept waiting on its way. What must wait longer is parked."""

IN_ONE_GO = 20.0
"""Seconds after a message to the same person within which the next one is typed, not thrown."""

BEHIND_SECONDS = 75.0
"""For so long after a budget was met fresh messages wait behind what is parked: until the next sweep has put
that back."""

MAX_BEHIND = 2 * DAY.seconds
"""Seconds within which each budget has room again. What lies further ahead, a clock noted that was wrong."""

URGENT_PART = 0.1
MINUTE_BUDGET = "minute"
MAX_RECIPIENTS = 20_000
MAX_KEPT = 100
"""Times of messages that are remembered of a recipient: as many as a digest may take."""


class Message(NamedTuple):
    """What is known of a message on its way. `recipient`: whatever names them the same each time. `resumed`:
    it was parked. `digestible`: it may be said in a digest."""

    recipient: str
    urgent: bool = False
    first_contact: bool = False
    resumed: bool = False
    digestible: bool = False


class Go(NamedTuple):
    """`delay`: seconds to wait before it is sent."""

    delay: float = 0.0


class Hold(NamedTuple):
    """`until`: Unix seconds."""

    cause: str
    until: float


class Room(NamedTuple):
    """A budget as it stands. `used` of `limit`; `free_at`: when one more fits."""

    name: str
    used: int
    limit: int
    free_at: float


class _Behind(NamedTuple):
    """Until when fresh messages wait behind parked ones, and the rules by which that came about."""

    until: float = 0.0
    rules: Rules | None = None


@dataclass
class _Recipient:
    """`sent`: times of the last messages; `collecting`: until when a digest is gathered; `greeted`: they were
    counted as a first contact."""

    sent: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    collecting: float = 0.0
    greeted: bool = False

    def forget_future(self, rules: Rules, now: float) -> None:
        """Forget what only a clock noted that was wrong then: it would hold until that time is there."""
        while self.sent and self.sent[-1] > now + MAX_DELAY:
            self.sent.pop()
        if self.collecting > now + rules.digest_window:
            self.collecting = 0.0


class Pacer:
    """Holds one account's messages to its rules. `uniform(low, high)`: a random number between."""

    def __init__(self, uniform: Callable[[float, float], float], ledger: Ledger | None = None) -> None:
        self._uniform = uniform
        self.ledger = ledger or Ledger()
        self._recipients: OrderedDict[str, _Recipient] = OrderedDict()
        self._behind: dict[str, _Behind] = {}

    def admit(self, message: Message, rules: Rules, now: float) -> Go | Hold:
        """Decide, and count it if it goes. `now`: Unix seconds."""
        recipient = self._recipient(message.recipient)
        recipient.forget_future(rules, now)
        if recipient.greeted:
            message = message._replace(first_contact=False)
        held = self._held(message, recipient, rules, now)
        if held is not None:
            return held
        delay = self._delay(message, recipient, rules, now)
        if delay > MAX_DELAY:
            return Hold(RECIPIENT_PACE, now + delay)
        self.ledger.sent(now + delay, first_contact=message.first_contact)
        recipient.sent.append(now + delay)
        recipient.greeted = recipient.greeted or message.first_contact
        return Go(delay)

    def answered(self, now: float) -> None:
        """Somebody wrote to the account."""
        self.ledger.answered(now)

    # -- what parks --------------------------------------------------------------------------------------

    def _held(self, message: Message, recipient: _Recipient, rules: Rules, now: float) -> Hold | None:
        digest = self._digest(message, recipient, rules, now)
        if digest is not None:
            return digest
        for name, window, limit in _budgets(self.ledger, rules, now, first_contact=message.first_contact):
            usable = limit if message.urgent else _usable(limit)
            free = window.free_at(now, usable)
            if free > now:
                cause = FIRST_CONTACT_PACE if name.startswith("first") else ACCOUNT_PACE
                self._behind[cause] = _Behind(free + BEHIND_SECONDS, rules)
                return Hold(cause, free)
        if message.urgent or message.resumed:
            return None
        for cause in (ACCOUNT_PACE, FIRST_CONTACT_PACE) if message.first_contact else (ACCOUNT_PACE,):
            behind = self._behind.get(cause, _Behind())
            # Under other rules there may be room for all at once. A budget has room again within two days.
            if behind.rules == rules and now < behind.until <= now + MAX_BEHIND:
                return Hold(cause, behind.until)
        return None

    def _digest(self, message: Message, recipient: _Recipient, rules: Rules, now: float) -> Hold | None:
        if message.urgent or not message.digestible or rules.digest_size < MIN_DIGEST:
            return None
        if now < recipient.collecting:
            return Hold(DIGEST, recipient.collecting)
        recent = sum(at > now - rules.digest_window for at in recipient.sent)
        if recent < rules.digest_size:
            return None
        recipient.collecting = now + rules.digest_window
        return Hold(DIGEST, recipient.collecting)

    # -- what waits on its way ---------------------------------------------------------------------------

    def _delay(self, message: Message, recipient: _Recipient, rules: Rules, now: float) -> float:
        """Seconds until the next message to this recipient should go."""
        if message.urgent or not recipient.sent:
            return 0.0
        last = recipient.sent[-1]
        spaced = max(last + rules.spacing - now, 0.0)
        if rules.jitter <= 0 or now - last > IN_ONE_GO:
            return spaced
        typed = last + self._uniform(rules.jitter / 3, rules.jitter) - now
        return max(spaced, typed, 0.0)

    def _recipient(self, name: str) -> _Recipient:
        """What is remembered of a recipient. Who was written to longest ago is forgotten first."""
        found = self._recipients.pop(name, None) or _Recipient()
        self._recipients[name] = found
        if len(self._recipients) > MAX_RECIPIENTS:
            self._recipients.popitem(last=False)
        return found


def rooms(ledger: Ledger, rules: Rules, now: float) -> list[Room]:
    """Return an account's budgets as they stand, the whole of them."""
    return [
        Room(name, window.total(now), limit, window.free_at(now, limit))
        for name, window, limit in _budgets(ledger, rules, now, first_contact=True)
    ]


def room_of(ledger: Ledger, rules: Rules, now: float, *, first_contact: bool) -> int:
    """Return how many messages that aren't urgent may go in the minute from `now` on. What went in the last
    one takes no room: it ceases to count as these arrive, one after the other."""
    budgets = _budgets(ledger, rules, now, first_contact=first_contact)
    used = {name: 0 if name == MINUTE_BUDGET else window.total(now) for name, window, _ in budgets}
    return max(min(_usable(limit) - used[name] for name, _, limit in budgets), 0)


def _usable(limit: int) -> int:
    """What isn't kept for urgent messages, one at least."""
    return max(int(limit * (1 - URGENT_PART)), 1)


def _budgets(
    ledger: Ledger, rules: Rules, now: float, *, first_contact: bool
) -> list[tuple[str, Window, int]]:
    part = grown(rules, ledger.age(now), ledger.week_sent.total(now), ledger.week_answered.total(now))
    budgets = [
        ("day", ledger.day, rules.per_day),
        ("hour", ledger.hour, rules.per_hour),
        (MINUTE_BUDGET, ledger.minute, rules.per_minute),
    ]
    if first_contact:
        budgets += [
            ("first-day", ledger.first_day, rules.first_per_day),
            ("first-hour", ledger.first_hour, rules.first_per_hour),
        ]
    return [(name, window, part_of(limit, part)) for name, window, limit in budgets]
