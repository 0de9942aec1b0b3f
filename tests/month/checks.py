"""What must hold of a month. Each check returns sentences, one for each time that it didn't."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

from tests.month.simulation import (
    DAY,
    HOUR,
    MINUTE,
    SETTINGS,
    Month,
)
from tests.support.paced_world import Gone
from tocsin.notify.notification import TICKET_DIGEST, Notification, State
from tocsin.pace.causes import DIGESTED, WORDS
from tocsin.pace.warm_up import part_of
from tocsin_console.life import Life, conclusion

BUDGETS = (
    ("messages-per-minute", MINUTE, False),
    ("messages-per-hour", HOUR, False),
    ("messages-per-day", DAY, False),
    ("first-contacts-per-hour", HOUR, True),
    ("first-contacts-per-day", DAY, True),
)
EXPLAINED = {*WORDS, "behind", "first-contact-restricted", "first-contact-quota"}


def limits(month: Month) -> Iterator[str]:
    """No span of a minute, an hour or a day holds more than the account's budget at its end."""
    for account in month.world.accounts:
        sent = [
            (gone, part)
            for gone, part in zip(month.gone, month.parts, strict=True)
            if gone.account == account
        ]
        for name, seconds, first_only in BUDGETS:
            greeted: dict[str, tuple[float, float]] = {}
            for gone, part in sent:
                if gone.first_contact:
                    greeted.setdefault(gone.recipient, (gone.at, part))
            counted = list(greeted.values()) if first_only else [(gone.at, part) for gone, part in sent]
            times = sorted(at for at, _ in counted)
            for at, part in counted:
                within = bisect_right(times, at) - bisect_right(times, at - seconds)
                if within > part_of(SETTINGS[name], part):
                    yield f"{account}: {within} {name} at {at:.0f}, of {SETTINGS[name]} only {part:.0%}"


def nights(month: Month) -> Iterator[str]:
    """No customer is woken."""
    ahead = {one.number: one.ahead for one in month.customers}
    for gone in month.gone:
        if gone.recipient in ahead:
            hour = (gone.at + ahead[gone.recipient]) % DAY / HOUR
            # What began before the hour may be typed for some seconds into it.
            if hour < 7 or hour > 21 + 10 / HOUR:
                yield f"{gone.notification} went to a customer at {hour:.2f} o'clock"


def spaces(month: Month) -> Iterator[str]:
    """Two messages to one person keep their distance, unless one is urgent."""
    last: dict[tuple[str, str], Gone] = {}
    for gone in month.gone:
        before = last.get((gone.account, gone.recipient))
        gap = gone.at - before.at if before is not None else DAY
        if gap < SETTINGS["recipient-spacing-seconds"] - 0.001 and not gone.urgent:
            yield f"{gone.notification} followed after {gap:.1f} s"
        last[gone.account, gone.recipient] = gone


def order(month: Month) -> Iterator[str]:
    """To each person everything went in the order in which it was planned, digests included."""
    ended = _ended(month)
    place = {one.id: number for number, one in enumerate(month.planned)}
    reached: dict[tuple[str, str], int] = defaultdict(lambda: -1)
    for gone in month.gone:
        one = ended.get(gone.notification) or month.world.stored(gone.notification)
        said = [place[identity] for identity, _ in one.digest_of] or [place[one.id]]
        lane = (gone.account, gone.recipient)
        if said != sorted(said) or said[0] <= reached[lane]:
            yield f"{gone.notification} overtook something of its lane"
        reached[lane] = max(reached[lane], said[-1])


def losses(month: Month) -> Iterator[str]:
    """Everything that was planned arrived once, by itself or in a digest that names its ticket."""
    times = Counter(gone.notification for gone in month.gone)
    yield from (f"{name} went out {number} times" for name, number in times.items() if number > 1)
    digests: dict[str, Notification] = {}
    for name in times:
        one = month.world.stored(name)
        if one.event_type == TICKET_DIGEST:
            digests.update(dict.fromkeys((identity for identity, _ in one.digest_of), one))
    for one in _ended(month).values():
        why = one.last_error.code if one.last_error is not None else ""
        if one.state is State.DELIVERED and times[one.id] == 1 and one.id not in digests:
            continue
        digest = digests.get(one.id)
        if one.state is State.SUPPRESSED and why == DIGESTED and digest is not None and one.id not in times:
            if f"*{one.ticket_id}*" not in digest.text:
                yield f"the digest {digest.id} does not name {one.ticket_id}"
            continue
        yield f"{one.id} ({one.event_type}) ended as {one.state} {why}"


def locks(month: Month) -> Iterator[str]:
    """While WhatsApp allows none, no first contact is tried."""
    for account, begun, until in month.locked:
        for gone in month.gone:
            if gone.account == account and gone.first_contact and begun <= gone.at < until:
                yield f"{account}: a first contact during the lock, at {gone.at:.0f}"


def holds(month: Month) -> Iterator[str]:
    """Whatever waits says for what and until when, in the console's words."""
    for name, verdict in month.world.verdicts:
        if verdict.outcome == "parked" and verdict.cause not in EXPLAINED:
            yield f"{name} was parked for {verdict.cause!r}"
    for one in month.midnights:
        said = conclusion(Life(one, "", "connected"), one.created_at)
        problem = one.last_error
        if problem is None or problem.code not in said or "given up at" not in said:
            yield f"{one.id}: {said}"


CHECKS: Mapping[str, Callable[[Month], Iterator[str]]] = {
    "no limit broken": limits,
    "nobody woken": nights,
    "no two messages too close": spaces,
    "no lane out of order": order,
    "nothing lost, nothing twice": losses,
    "no first contact during a lock": locks,
    "every hold explained": holds,
}


def _ended(month: Month) -> dict[str, Notification]:
    return month.world.stores.notifications.get_many([one.id for one in month.planned])
