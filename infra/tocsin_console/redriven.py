"""What became of notifications that were sent again: watched for a while, told one by one, and summed up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from tocsin.notify.malformed import UnreadableRecord, read_record
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.notifications import Notifications
from tocsin_console.errors import NeedsAttention
from tocsin_console.output import Output

POLL_SECONDS: Final = 1.0

QUEUED: Final = "still in the queue"
BECAME: Final[Mapping[State, str]] = {
    State.SENT: "sent",
    State.DELIVERED: "delivered",
    State.READ: "read",
    State.WAITING: "waiting",
    State.FAILED: "failed again",
    State.SUPPRESSED: "not sent",
}


class Became(NamedTuple):
    """`what`: one of `BECAME`, or `QUEUED`; `why`: the code of what stopped it, empty if nothing did."""

    notification: str
    what: str
    why: str = ""


def tell_what_became(
    store: Notifications,
    ids: Iterable[str],
    output: Output,
    *,
    wait_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Counter[str]:
    """Print what becomes of each within so many seconds, then the sum, which is returned. Raises
    NeedsAttention at the end if one failed again."""
    left = list(dict.fromkeys(ids))
    sums: Counter[str] = Counter()
    if not left or wait_seconds <= 0:
        return sums
    give_up = clock() + wait_seconds
    with output.progress("what becomes of them", len(left)) as progress:
        while True:
            for one in _ended(store, left):
                left.remove(one.notification)
                sums[one.what] += 1
                _tell(one, output)
                progress.step()
            if not left or clock() >= give_up:
                break
            sleep(POLL_SECONDS)
    for identity in left:
        sums[QUEUED] += 1
        _tell(Became(identity, QUEUED), output)
    output.say(", ".join(f"{count} {what}" for what, count in sums.items()))
    if again := sums[BECAME[State.FAILED]]:
        raise NeedsAttention(f"{again} of {sums.total()} failed again: tocsin dead-letters list")
    return sums


def became(notification: Notification) -> Became | None:
    """None of one that is still on its way."""
    what = BECAME.get(notification.state)
    if what is None:
        return None
    stopped = notification.state in (State.WAITING, State.FAILED, State.SUPPRESSED)
    problem = notification.last_error
    return Became(notification.id, what, problem.code if stopped and problem else "")


def _ended(store: Notifications, ids: Iterable[str]) -> Iterator[Became]:
    for identity in list(ids):
        try:
            record = read_record(store, identity)
        except UnreadableRecord:
            continue
        if record is not None and (one := became(record)) is not None:
            yield one


def _tell(one: Became, output: Output) -> None:
    output.record({"notification": one.notification, "became": one.what, "why": one.why or None})
    output.say(f"{one.notification}  {one.what}{one.why and ': ' + one.why}")
