"""`tocsin people forget`: erase a person, and say what is erased, what is kept, and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tocsin.keys.forgetting import KeysHeld
from tocsin.notify.forgetting import Erased, Forgetting
from tocsin.notify.notification import State
from tocsin.notify.store.belongings import Held, OptedOutMeanwhile
from tocsin.notify.store.texts import TextWithheld
from tocsin.people.person import Person
from tocsin.timestamps import from_seconds
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, counted
from tocsin_console.people import Found, People, message_ids, needs_texts

KEPT = (
    "of each notification its ticket, event and state, so that a doubled event tells nobody once more",
    "dead letters in their queue, with the number: 14 days at most",
    "events and stanzas in queues, 14 days at most, and what was told on the bus: your own targets hold it",
    "deliveries of outcome webhooks, sealed, 14 days at most; who listens there holds what it was told",
    "logs, without numbers, and changes of identity of other people who have had the number",
    "in groups: that they are a member, their receipts and their sender keys",
    "point-in-time recovery and backups: both tables as they were, 35 days",
)
"""What forgetting doesn't reach."""


def forget_person(
    people: People,
    wanted: str,
    *,
    dry_run: bool,
    output: Output,
    yes: bool,
    clock: Callable[[], float] = time.time,
) -> None:
    """Erase a person. Whoever was cut off does it again. Raises NotFound if nothing is stored, Usage."""
    found, at = people.find(wanted), from_seconds(clock())
    if not found.whose.names.isdisjoint(people.own_names):
        raise Usage("that is the account itself: 'tocsin unpair' ends its link")
    held = people.held(found, at, output)
    keys = people.keys_held(found, held)
    counts = {**held.counts(), **keys._asdict()}
    is_stored = found.person != Person.unknown(found.person.id)
    if not any(counts.values()) and not is_stored:
        raise NotFound(f"nothing is stored of {found.shown(found.asked[0])}, or it was erased before")
    if dry_run:
        _tell(found, held, counts, output, erased=None)
        return
    confirm(lambda: _loss(found, held, keys), yes=yes, output=output)
    forgetting = Forgetting(people.deployment.stores)
    try:
        erased = forgetting.forget(found.whose, found.person, held, at)
    except TextWithheld as refusal:
        raise needs_texts(refusal) from None
    people.keys.upkeep.forget(found.whose.present, message_ids(held))
    try:
        forgetting.forget_names(found.whose, erased)
    except OptedOutMeanwhile:
        raise ConsoleError("they opted out in this very moment: run it again, so that this is kept") from None
    finally:
        # Their words are gone, whatever came of their names.
        note(people.deployment, "erased a person", clock=clock)
    _tell(found, held, counts, output, erased=erased)


def _loss(found: Found, held: Held, keys: KeysHeld) -> str:
    waiting = f"; {len(held.unended)} that still wait are never sent" if held.unended else ""
    return (
        f"{found.shown(found.person.id)} will be erased for good: the words and addresses of "
        f"{counted(len(held.notifications), 'notifications')}, {counted(len(held.replies), 'replies')}, "
        f"{counted(len(held.threads), 'threads')}, "
        f"{counted(keys.sessions, 'sessions')}{waiting}"
    )


def _tell(found: Found, held: Held, counts: dict[str, int], output: Output, *, erased: Erased | None) -> None:
    done: dict[str, Any] = {"person": found.shown(found.person.id), "erased": erased is not None, **counts}
    if erased is not None:
        done |= {"opt_out_hashes": erased.hashes, "ended": erased.ended}
        done |= {"in_flight": erased.in_flight, "left": erased.left}
    failed = Held([item for item in held.notifications if item.get("state") == State.FAILED]).ids
    output.record({**done, "failed": failed, "unreadable": len(held.unreadable), "kept": list(KEPT)})
    said = "erased" if erased is not None else "would erase"
    output.say(f"{found.shown(found.person.id)}: {said}")
    for kind, count in counts.items():
        output.say(f"  {counted(count, kind.replace('_', ' '))}")
    if found.person.opted_out_at is not None:
        output.say("kept: the opt-out, as a keyed hash of each name: no ticket reaches them")
    for reason in KEPT:
        output.say(f"kept: {reason}")
    for notification in failed:
        output.say(f"a dead letter may lie there: tocsin dead-letters drop {notification}")
    if held.unreadable:
        output.say(f"of an unknown form: {counted(len(held.unreadable), 'records')}; nobody can tell whose")
    if erased is not None and erased.left:
        output.say(f"left as they are, in no known state: {counted(erased.left, 'notifications')}")
    if erased is not None and erased.in_flight:
        lay = counted(erased.in_flight, "notifications")
        output.say(
            f"in the queue lay {lay}. A send that had begun may add to their record: "
            f"run 'tocsin people forget {found.person.id}' again in some minutes"
        )
