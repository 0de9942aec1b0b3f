"""The last notifications to one person, by their number: for `tocsin explain`.

No index leads from a person to their notifications, so the newest are looked through by time, a bounded
number of them, and what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final, NamedTuple

from tocsin.tables.notifications import notification_key
from tocsin.timestamps import iso
from tocsin_console.deployment import Deployment
from tocsin_console.errors import NotFound
from tocsin_console.feed.history import History
from tocsin_console.feed.line import Line
from tocsin_console.output import Output, moment
from tocsin_console.people import recipients

MOST_SHOWN: Final = 10
MOST_LOOKED_AT: Final = 5_000
_PAGE: Final = 200
_READERS: Final = 4


class Lately(NamedTuple):
    """`lines`: the newest first; `looked_at`: how many were looked through; `all_seen`: whether that was
    everything."""

    lines: list[Line]
    looked_at: int
    all_seen: bool


def is_person(deployment: Deployment, wanted: str) -> bool:
    """Whether it is a phone number, or the JID of a person."""
    return wanted.endswith(("@lid", "@s.whatsapp.net")) or deployment.is_phone(wanted)


def last_of(
    deployment: Deployment,
    whom: Collection[str],
    *,
    most: int = MOST_LOOKED_AT,
    seen: Callable[[int], None] = lambda count: None,
) -> Lately:
    """The last ones to any of these recipients, by the index of time and by what waits. `seen`: hears how
    many were looked through."""
    found: dict[str, Line] = {}
    looked_at = 0
    with ThreadPoolExecutor(_READERS) as readers:
        accounts = deployment.accounts
        history = History(deployment.glance_table, deployment.stores, lambda: accounts, readers)
        for account in accounts:
            rows = islice(deployment.stores.parking.waiting(account), most)
            keys = [notification_key(row.notification) for row in rows if row.recipient in whom]
            found |= {line.id: line for line in history.read(keys)}
        places = history.sources()
        while places and looked_at < most and len(found) < MOST_SHOWN:
            lines, places = history.step(places, _PAGE)
            looked_at += len(lines)
            seen(looked_at)
            found |= {line.id: line for line in lines if line.digits in whom}
    newest = sorted(found.values(), key=lambda line: line.place, reverse=True)
    return Lately(newest[:MOST_SHOWN], looked_at, not places)


def tell_last(deployment: Deployment, wanted: str, output: Output) -> None:
    """Print the last notifications to a person. Raises NotFound if there is none, Usage."""
    whom = recipients(deployment, wanted)
    with output.progress("notifications looked at") as progress:
        lately = last_of(deployment, whom, seen=progress.at)
    if not lately.lines:
        seen = "of all that are kept" if lately.all_seen else f"among the last {lately.looked_at}"
        raise NotFound(
            f"no notification {seen} is for this person (what is still queued can't be looked through): "
            "'tocsin people show' shows what is stored of them"
        )
    for line in lately.lines:
        output.record(
            {
                "notification": line.id,
                "ticket": line.ticket,
                "ticket_event": line.event,
                "recipient": line.whom,
                "account": line.account,
                "state": str(line.state),
                "created_at": iso(line.created_at),
            }
        )
    output.say(f"the last notifications to {lately.lines[0].whom}")
    output.say()
    output.table(
        ["PLANNED", "TICKET", "EVENT", "NOW", "NOTIFICATION"],
        [
            (moment(line.created_at), line.ticket, line.event, list(line.stages)[-1].word, line.id)
            for line in lately.lines
        ],
    )
    output.say()
    output.say("the whole history of one:  tocsin explain NOTIFICATION")
