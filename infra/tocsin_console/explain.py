"""`tocsin explain`: the history of a notification, from the event to the last receipt.

Everything stands in the notifications table: the notification with its attempts and receipts,
recoveries, replies, changes of identity. What is told of keys are numbers and indexes, never a key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from tocsin.notify.content import Edit, File, Quote, Reaction, Text, Withheld
from tocsin.notify.events.schema import DETAIL_TYPES
from tocsin.notify.letters import UNREADABLE
from tocsin.notify.malformed import MALFORMED, UnreadableRecord, read_record
from tocsin.notify.notification import Notification, State, request_name
from tocsin.notify.redrive import UNREADABLE_RECORD
from tocsin.notify.refused_events import RefusedEvent
from tocsin.notify.store.audit import LETTERS_DROPPED, MAX_IDS
from tocsin.notify.waiting import WaitingList
from tocsin.tables.names import id_of_message
from tocsin.tables.notifications import SOURCES
from tocsin.timestamps import from_seconds
from tocsin_console import masking
from tocsin_console.arrived import tell_arrived
from tocsin_console.connection import look
from tocsin_console.dead_letters import (
    shown_recipient,
    shown_refused,
    shown_text,
    text_json,
    withheld,
)
from tocsin_console.deployment import NO_RIGHT, Deployment
from tocsin_console.errors import ConsoleError, NeedsAttention, NotFound, Usage
from tocsin_console.lately import is_person, tell_last
from tocsin_console.life import Life, Moment, conclusion, timeline
from tocsin_console.output import Output, moment
from tocsin_console.refused_events import event_json

MAX_LIVES = 100
"""How many notifications of one ticket are printed: the last ones."""

_MAX_ID = 1024

MAX_AUDITED = 1000
"""How many of the audit's last lines are searched for who dropped a dead letter."""

_ID_LENGTH = 18
_NO_INDEX = frozenset({"ValidationException", "ResourceNotFoundException"})


def explain(
    deployment: Deployment,
    wanted: str,
    *,
    output: Output,
    text: bool = False,
    clock: Callable[[], float] = time.time,
) -> None:
    """Print the life of a notification, by its own id or its message's, or of all of a ticket; of a person,
    by their number, the last ones; of an event, by EventBridge's id, what became of it.

    `text`: also what the recipient was to read. Raises NotFound, Usage, and at the end NeedsAttention if some
    of it can't be read.
    """
    wanted = wanted.strip()
    if not wanted or not wanted.isprintable():
        raise Usage("explain needs the id of a notification, of a message (3EB0…) or of a ticket")
    stories, odd = _stories(deployment, wanted, text=text, clock=clock)
    refused = [] if (stories or odd) and is_one(wanted) else _refused(deployment, wanted, output)
    if not (stories or odd or refused):
        _tell_otherwise(deployment, wanted, output, clock)
        return
    _tell_stories(stories, odd, output)
    for event in refused:
        _tell_refused(event, output)
    if not is_one(wanted):
        tell_arrived(deployment, wanted, output, clock, untold=True)
    if odd:
        raise NeedsAttention(f"can't be read: the record of {', '.join(odd)}")


def _stories(
    deployment: Deployment, wanted: str, *, text: bool, clock: Callable[[], float]
) -> tuple[list[Story], list[str]]:
    """Those of what is meant, and the ids of those whose record can't be read."""
    planned, odd = planned_for(deployment, wanted)
    stories = []
    for notification in planned:
        try:
            life = life_of(deployment, notification, clock)
            stories.append(_story(life, text=text, now=from_seconds(clock())))
        except MALFORMED:
            odd.append(notification.id)
    return stories, odd


def _tell_otherwise(deployment: Deployment, wanted: str, output: Output, clock: Callable[[], float]) -> None:
    """What has no notification: a person, or an event that told nobody. Raises NotFound."""
    # Whoever looks for an id of digits finds a ticket before a number.
    if is_person(deployment, wanted):
        tell_last(deployment, wanted, output)
    elif is_one(wanted) or not tell_arrived(deployment, wanted, output, clock):
        raise NotFound(_unknown(wanted, deployment))


def is_one(wanted: str) -> bool:
    """Whether an id has the form of a notification's, or of one of our messages'."""
    return (
        len(wanted) == _ID_LENGTH and all(digit in "0123456789abcdef" for digit in wanted.lower())
    ) or id_of_message(wanted.upper()) is not None


# -- reading -----------------------------------------------------------------------------------------------


def planned_for(deployment: Deployment, wanted: str) -> tuple[list[Notification], list[str]]:
    """Return what is meant: one notification, or those of a ticket in the order of their planning; and the
    ids of those whose record can't be read."""
    if is_one(wanted):
        planned, odd = _read(deployment, [id_of_message(wanted.upper()) or wanted.lower()])
        if planned or odd:
            return planned, odd
    if len(wanted.encode()) > _MAX_ID:
        return [], []
    names = (wanted, *_names_of_message(deployment, wanted))
    planned, odd = _read(deployment, [one for name in names for one in ids_of_ticket(deployment, name)])
    planned.sort(key=lambda notification: (notification.created_at, notification.id))
    return planned[-MAX_LIVES:], odd


def _names_of_message(deployment: Deployment, wanted: str) -> list[str]:
    """What may stand in the place of a ticket where the HTTP door answered this id: it is one of a source."""
    from tocsin.door.message import ID_PREFIX

    if not wanted.startswith(ID_PREFIX):
        return []
    return [request_name(source, wanted) for _, source in deployment.outside_table.keys(SOURCES)]


def _read(deployment: Deployment, ids: Iterable[str]) -> tuple[list[Notification], list[str]]:
    planned, odd = [], []
    for identity in ids:
        try:
            notification = read_record(deployment.stores.notifications, identity)
        except UnreadableRecord:
            odd.append(identity)
        else:
            planned += [notification] if notification is not None else []
    return planned, odd


def ids_of_ticket(deployment: Deployment, ticket: str) -> list[str]:
    """Raises ConsoleError where the table has no index by ticket (yet)."""
    try:
        return deployment.stores.notifications.of_ticket(ticket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NO_INDEX:
            raise
        raise ConsoleError(
            "this deployment can't find notifications by their ticket: it is an older version, or its "
            "index is still being built; deploy it again, or name a notification ('tocsin dead-letters list')"
        ) from error


def life_of(deployment: Deployment, notification: Notification, clock: Callable[[], float]) -> Life:
    stores, account = deployment.stores, notification.account
    if not notification.recipient:
        state = look(deployment.keys_table, account).state
        return Life(notification, "", state, named=deployment.names.of(account))
    person = stores.people.find(account, notification.recipient_lid or notification.person_name)
    buried = notification.state is State.FAILED and deployment.redriver().find(notification.id) is not None
    moments = [notification.created_at, *(attempt.at for attempt in notification.attempts)]
    moments += [recovery.since or recovery.at for recovery in notification.recoveries.values()]
    names = dict.fromkeys((*person.ids, *person.names))
    return Life(
        notification,
        person.id,
        look(deployment.keys_table, account, clock).state,
        buried=buried,
        dropped=_dropped(deployment, notification) if notification.failed_at and not buried else "",
        opted_out=person.opted_out_at is not None,
        episodes=tuple(stores.recoveries.of_notification(account, notification.id, moments)),
        replies=tuple(stores.replies.about(account, names, notification.id)),
        identities=tuple(change for name in names for change in stores.identity_changes.of(account, name)),
        in_front=(
            WaitingList(stores, clock=clock).in_front_of(notification, person)
            if notification.state is State.WAITING
            else None
        ),
        named=deployment.names.of(account),
    )


def _dropped(deployment: Deployment, notification: Notification) -> str:
    """What the audit knows of the drop of its dead letter: who did it, or that so many were dropped at once
    that not all are named. Empty if nothing is known, or the audit may not be read."""
    try:
        lines = islice(deployment.stores.audit.lines(since=notification.failed_at or 0), MAX_AUDITED)
        drops = [line for line in lines if line.kind == LETTERS_DROPPED]
    except ClientError as error:
        if error.response["Error"]["Code"] not in NO_RIGHT:
            raise
        return ""
    for line in drops:
        if notification.id in line.ids:
            return f"{line.by or 'an operator'} dropped its dead letter at {moment(line.at)}"
    if not any(len(line.ids) >= MAX_IDS for line in drops):
        return ""
    return (
        "its dead letter can't be seen; many were dropped since it failed: tocsin audit --what 'dead letters'"
    )


def _refused(deployment: Deployment, ticket: str, output: Output) -> list[RefusedEvent]:
    """The events about a ticket, or with this id, that told nobody. Whoever may not read them is told so:
    they hold texts, so a viewer may not."""
    try:
        found = deployment.refused_events.read()
        return [event for event in found if event.concerns(ticket) or event.id == ticket]
    except ClientError as error:
        if error.response["Error"]["Code"] not in NO_RIGHT:
            raise
        output.say("events that were refused are not looked at: your AWS permissions don't allow it")
        return []


def _unknown(wanted: str, deployment: Deployment) -> str:
    days = deployment.retention_days
    if is_one(wanted):
        return (
            f"there is no notification {wanted}: it never existed, or is older than {days} days. Try the "
            "ticket's id, or 'tocsin dead-letters list'"
        )
    return (
        f"nothing is known of '{wanted}': no ticket or event of the last {days} days has this id, and it is "
        "no phone number. A notification's id has 18 hex digits, a message's id 3EB0 and 18 hex digits. "
        f"{_heard(deployment)}"
    )


def _heard(deployment: Deployment) -> str:
    """What the rule lets through: of all else on the bus Tocsin never learns."""
    bus, source = (deployment.outputs.get(name, "?") for name in ("EventBusName", "EventSource"))
    return (
        f"Did the ticketing system put it on the bus '{bus}' with the source '{source}', and as one of "
        f"{', '.join(DETAIL_TYPES)}? What has another source or detail-type, the rule doesn't "
        "hand on, and nobody learns of it: 'tocsin check event.json' says what is wrong with it"
    )


# -- telling -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """A life as it is told: to a program, and to people line by line."""

    record: Mapping[str, Any]
    lines: tuple[str, ...]


def _tell_stories(stories: Iterable[Story], odd: Iterable[str], output: Output) -> None:
    for number, story in enumerate(stories):
        if number:
            output.say()
        output.record(story.record)
        for line in story.lines:
            output.say(line)
    for identity in odd:
        output.record({"notification": identity, "state": UNREADABLE})
        output.say(f"notification  {identity}  {UNREADABLE_RECORD}: nothing more is known of it")


def _tell_refused(event: RefusedEvent, output: Output) -> None:
    output.record(event_json(event))
    output.say(f"event {event.id} ({event.detail_type}) told nobody: {event.reason}")
    for violation in event.violations:
        output.say(f"    {violation}")
    output.say(f"    plan it again: tocsin dead-letters redrive {event.id} --queue events")


def _story(life: Life, *, text: bool, now: int) -> Story:
    """Made as a whole before any of it is told: a record that is odd in some place isn't told by half."""
    notification = life.notification
    why, moments = conclusion(life, now), timeline(life)
    record = {
        "notification": notification.id,
        "message": notification.message_id,
        "ticket": notification.ticket_id,
        "ticket_event": notification.event_type,
        "revision": notification.revision,
        "source": notification.came_from or None,
        "audience": notification.audience,
        "recipient": masking.phone(notification.recipient) if notification.recipient else None,
        "refused_address": shown_refused(notification),
        "account": notification.account,
        **life.named.about(),
        "account_state": life.account,
        "state": str(notification.state),
        "in_front": life.in_front.id if life.in_front is not None else None,
        "conclusion": why,
        **dict(says(notification)),
        **(text_json(notification) if text else {}),
        "timeline": [one.to_json() for one in moments],
    }
    return Story(record, tuple(_lines(life, why, moments, text=text)))


def _lines(life: Life, why: str, moments: list[Moment], *, text: bool) -> Iterator[str]:
    notification = life.notification
    whom = f"{notification.audience}, {shown_recipient(notification.recipient)}"
    ticket = f"{notification.ticket_id}, {notification.event_type}, revision {notification.revision}"
    yield f"notification  {notification.id}  ({whom})"
    yield f"message       {notification.message_id}"
    yield f"ticket        {ticket}"
    if notification.came_from:
        yield f"source        {notification.came_from}"
    for name, what in says(notification):
        yield f"{name:<12}  {what}"
    if notification.refused_address:
        yield f"refused       {shown_refused(notification)!r}"
    yield f"account       {life.named.label}, {life.account}"
    yield f"state         {notification.state}"
    yield f"in short      {why}"
    yield ""
    width = max(len(one.what) for one in moments)
    for one in moments:
        at = moment(one.at, timespec="milliseconds")
        yield f"{at}  {one.what.ljust(width)}  {one.text}"
        for line in one.more:
            yield f"{' ' * len(at)}  {' ' * width}    {line}"
    if text:
        yield ""
        yield from shown_text(notification)


def says(notification: Notification) -> Iterator[tuple[str, str]]:
    """What a message is besides a text: the name of it, and of what."""
    match notification.content:
        case File(file):
            yield "file", f"{file.file_name}, {file.media_type}, from {file.key}"
        case Edit(message_id):
            yield "edit", f"of {message_id}"
        case Reaction(message_id, emoji):
            yield "reaction", f"{emoji} on {message_id}"
        case Text(_, Quote(message_id)):
            yield "quotes", message_id
        case Withheld(why):
            yield "words", withheld(why)
