"""A storm of messages to one person becomes one message that names each ticket.

    collected (parked, cause digest) ── the window is over ──▶ the first of them gathers those behind it
        ──▶ the digest is put and sent in its place ──▶ the others are suppressed, reason `digested`

The digest's id is made of the first one's, so a crash on the way finds it again. Only what follows the first
one without a gap is gathered: a file, or something urgent, ends the row, and stays where it is in the line.
The first one is suppressed last: as long as it isn't, whoever takes its order again finishes the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tocsin.notify.content import Text
from tocsin.notify.failure import Permanent
from tocsin.notify.notification import TICKET_DIGEST, Notification, Problem, State
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.notify.texts.digest import digest_text
from tocsin.pace.causes import DIGEST, DIGESTED
from tocsin.people.person import Person

MAX_GATHERED = 50
"""Messages in one digest. What is left over makes the next one."""

UNENDED = (State.PLANNED, State.WAITING)


def digest_for(first: Notification, person: Person, stores: Stores, now: int) -> Notification | None:
    """Return the digest that `first` begins, written now or before a crash; None if it stayed alone. `now`:
    ms."""
    known = stores.notifications.get(first.sibling_id(DIGEST))
    if known is not None:
        return known
    row = gathered(first, person, stores, now)
    return put_digest(row, stores) if len(row) > 1 else None


def gathered(first: Notification, person: Person, stores: Stores, now: int) -> list[Notification]:
    """Return `first` and those that follow it in the line and fit into one digest with it. `now`: ms."""
    turns = sorted(turn for turn in person.parked if turn > first.turn)[: MAX_GATHERED - 1]
    ids = [turn.partition("#")[2] for turn in turns]
    found = stores.notifications.get_many(ids) if ids else {}
    row = [first]
    for identity in ids:
        one = found.get(identity)
        if one is None or one.state not in UNENDED or one.expired(now):
            continue
        if not _fits(one, first):
            break
        row.append(one)
    return row


def put_digest(row: Sequence[Notification], stores: Stores) -> Notification:
    """Write the digest of these, or find the one that was written meanwhile."""
    first = row[0]
    text, _ = digest_text(first.language, [(one.ticket_id, one.text) for one in row])
    digest = replace(
        first,
        id=first.sibling_id(DIGEST),
        event_type=TICKET_DIGEST,
        content=Text(text),
        expires_at=max(one.expires_at for one in row),
        digest_of=tuple((one.id, one.ticket_id) for one in row),
        attempts=(),
        last_error=None,
        retries_used=0,
        generation=0,
        tries=0,
        parkings=0,
        requeued_at=None,
        waiting_since=None,
        due_at=None,
        held_until=None,
        text_id=None,
    )
    return stores.notifications.put_new(digest) or digest


def end_gathered(digest: Notification, person: Person, stores: Stores, at: int) -> None:
    """End those that the digest says, the first one last. Repeating it changes nothing. `at`: ms."""
    said = stores.notifications.get_many([identity for identity, _ in digest.digest_of])
    for identity, _ in reversed(digest.digest_of):
        one = said.get(identity)
        if one is None or one.state not in UNENDED:
            continue
        stores.threads.say_in(one, digest.id)
        problem = Problem(DIGESTED, Permanent.kind, f"said in the digest {digest.id}")
        try:
            stores.notifications.suppress(one.id, problem, at)
        except NotificationMissing:
            continue
        stores.people.leave_line(one.account, person.id, one.turn)


def _fits(one: Notification, first: Notification) -> bool:
    return (
        isinstance(one.content, Text)
        and one.event_type.startswith("Ticket")
        and one.event_type != TICKET_DIGEST
        and not one.urgent
        and (one.recipient, one.audience) == (first.recipient, first.audience)
    )
