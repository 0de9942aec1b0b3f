"""How long a broken session takes to heal, on the whole local stack.

From the moment the WhatsApp server gets the retry receipt until the phone shows the message: through the
connector, its queue, the receiving function, a new session from a fresh bundle, and back. The server's own
clock times both ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.measure import Sheet, percentile
from tests.bench.surroundings import ConnectorContext, tell
from tests.support.stack import DeployedStack, Notice, Person
from tocsin.notify.notification import State

# What the first system waited, blindly, before it sent again.
FIRST_SYSTEM_SECONDS = 3.0
AIM_SECONDS = 0.5

CROWD = 12
# Of each kind for each person: nobody is healed more than 30 times an hour.
ROUNDS = 3
# What the phone loses → what it is called in the report.
FAULTS = {
    "corrupt-session": "bad MAC, one at a time",
    "forget-session": "no session, one at a time",
    "reinstall": "reinstalled, one at a time",
}


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    deployed = bench.deployed
    tell("healing broken sessions")
    people = [deployed.person() for _ in range(CROWD * 8 if bench.thorough else CROWD)]
    deployed.all_until([deployed.tell(person) for person in people], State.READ)
    sheet = Sheet("Time to heal, from retry receipt to the phone", ("p50", "p99", "of 3 s", "healed"))
    for fault, name in FAULTS.items():
        times = [time for person in people * ROUNDS for time in heal(deployed, fault, [person])]
        if not times:
            sheet.notes.append(f"{name}: no message had to heal, a new session was made in time")
            continue
        sheet.add(
            name, *cells(times), aim=f"p50 < {AIM_SECONDS:g} s", met=percentile(times, 50) < AIM_SECONDS
        )
    crowds = [people[start : start + CROWD] for start in range(0, len(people), CROWD)] * ROUNDS
    times = [time for crowd in crowds for time in heal(deployed, "corrupt-session", crowd)]
    sheet.add(f"bad MAC, {CROWD} recipients at once", *cells(times))
    yield sheet


def cells(times: list[float]) -> tuple[str, ...]:
    p50, p99 = percentile(times, 50), percentile(times, 99)
    return (
        f"{p50 * 1000:.0f} ms",
        f"{p99 * 1000:.0f} ms",
        f"1/{FIRST_SYSTEM_SECONDS / p50:.0f}",
        str(len(times)),
    )


def heal(deployed: DeployedStack, fault: str, people: list[Person]) -> list[float]:
    """Break the sessions of these, notify them all; the seconds that each took to heal that had to."""
    for person in people:
        deployed.phones.break_phone(person.number, fault)
    _, last = deployed.phones.events()
    notices = [deployed.tell(person) for person in people]
    deployed.all_until(notices, State.READ)
    events, _ = deployed.phones.events(last)
    begun = {notice: asked(events, notice) for notice in notices}
    return [shown(events, notice) - at for notice, at in begun.items() if at is not None]


def asked(events: list[dict[str, object]], notice: Notice) -> float | None:
    """When the phone first asked for the message again, if it did."""
    return next(
        (
            float(str(event["at"]))
            for event in events
            if event["kind"] == "receipt"
            and event["type"] == "retry"
            and notice.message_id in str(event["ids"])
        ),
        None,
    )


def shown(events: list[dict[str, object]], notice: Notice) -> float:
    return next(
        float(str(event["at"]))
        for event in events
        if event["kind"] == "phone-message"
        and event["id"] == notice.message_id
        and event["phone"] == notice.person.number
    )
