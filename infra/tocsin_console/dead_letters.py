"""Dead letters: which notifications could not be delivered and why, and the way back.

The letters are read from their queue, what became of them meanwhile from the notifications table.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from tocsin.notify.events.phone import mask_phone
from tocsin.notify.notification import Notification, State, mismatch
from tocsin.notify.queues import NotificationsQueue
from tocsin.timestamps import iso
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import NotFound
from tocsin_console.foreign import MALFORMED, UnreadableRecord, read_json, read_record
from tocsin_console.look import Look, depth
from tocsin_console.output import Output, iso_moment, moment

CRASHED = "crashed"
"""Reason of a letter that SQS moved by itself: its function never got as far as a verdict."""

UNREADABLE = "unreadable"
"""Reason of a message that nothing of Tocsin wrote."""

UNREADABLE_RECORD = "its record can't be read"
UNREACHABLE = (
    "it has nowhere to go: correct the number or group in the ticketing system and let that send the event "
    "again, then drop this letter"
)
"""Why a letter of a recipient without a usable number is not redriven."""

_ARRIVED = frozenset({State.SENT, State.DELIVERED, State.READ})
_READERS = 8
_ID = re.compile(r"[0-9a-f]{18}")


@dataclass(frozen=True)
class Letter:
    """One dead letter as it lies in the queue. `message_id`: SQS's own."""

    notification: str
    account: str
    recipient: str
    audience: str
    reason: str
    class_: str
    detail: str
    failed_at: str
    attempts: tuple[dict[str, Any], ...]
    message_id: str = field(default="", repr=False)

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> Letter:
        try:
            body = read_json(message["Body"])
            return cls(
                notification=_id(body["notification"]),
                account=str(body["account"]),
                recipient=str(body["recipient"]),
                audience=str(body["audience"]),
                reason=str(body.get("reason", CRASHED)),
                class_=str(body.get("class", "bug")),
                detail=str(body.get("detail", "send_notification crashed on it ten times; its log says why")),
                failed_at=str(body.get("failed_at", "-")),
                attempts=tuple(_attempt(one) for one in body.get("attempts", ())),
                message_id=message["MessageId"],
            )
        except MALFORMED:
            return cls(
                notification=message["MessageId"],
                account="-",
                recipient="-",
                audience="-",
                reason=UNREADABLE,
                class_="bug",
                detail="not a letter of Tocsin's: it can only be dropped",
                failed_at="-",
                attempts=(),
                message_id=message["MessageId"],
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "notification": self.notification,
            "account": self.account,
            "recipient": mask_phone(self.recipient) if self.recipient else None,
            "audience": self.audience,
            "reason": self.reason,
            "class": self.class_,
            "detail": self.detail,
            "failed_at": self.failed_at,
            "attempts": [_masked(attempt) for attempt in self.attempts],
        }


@dataclass(frozen=True)
class Selection:
    """Which letters are meant. Empty fields mean "any"."""

    notification: str | None = None
    reason: str | None = None

    @property
    def what(self) -> str:
        """For people; empty where one letter is named."""
        if self.notification:
            return ""
        return f"all dead letters with the reason {self.reason}" if self.reason else "all dead letters"

    def matches(self, letter: Letter) -> bool:
        return (self.notification in (None, letter.notification)) and (self.reason in (None, letter.reason))


@dataclass(frozen=True)
class Done:
    """What was done with one letter: `redriven`, `dropped` (for good) or `kept`, and why."""

    letter: Letter
    result: str
    why: str = ""


class DeadLetters:
    """The dead letters of a deployment. `clock` in seconds."""

    def __init__(self, deployment: Deployment, clock: Callable[[], float] = time.time) -> None:
        self._deployment = deployment
        self._sqs = deployment.sqs
        self._url = deployment["DeadLettersQueueUrl"]
        self._clock = clock

    def count(self) -> int:
        """How many there are, by SQS's own (approximate) count: visible ones and those being looked at."""
        return sum(depth(self._sqs, self._url).values())

    def read(self) -> list[Letter]:
        """Those that can be looked at now, oldest first of each recipient. Nothing is taken away."""
        with Look(self._sqs, self._url) as look:
            return [Letter.parse(message) for message in look.messages()]

    def find(self, notification_id: str) -> Letter | None:
        """The letter of one notification; None if no look can see it."""
        with Look(self._sqs, self._url) as look:
            letters = (Letter.parse(message) for message in look.messages())
            return next((letter for letter in letters if letter.notification == notification_id), None)

    def redrive(self, selection: Selection, *, dry_run: bool = False) -> Generator[Done, None, None]:
        """Put the selected ones back to be sent, under new deduplication ids and with their retries unspent.

        A letter whose message meanwhile arrived (a late receipt) is dropped, not sent: nobody is told twice.
        The letter is deleted last, so a crash in between repeats a redrive that is then found done. A letter
        named by its notification that no look can see, because more than ten of its recipient lie before it,
        is redriven from the table; it stays in the queue and is dropped by a later redrive.
        """
        found = False
        for letter, look in self._selected(selection):
            found = True
            done = self._rehearse(letter) if dry_run else self._redrive(letter)
            if done.result != "kept":
                look.remove(letter.message_id)
            yield done
        if selection.notification and not found:
            yield from self._redrive_hidden(selection.notification, dry_run)

    def drop(self, selection: Selection, *, dry_run: bool = False) -> Generator[Done, None, None]:
        """Delete the selected ones. Their notifications stay failed, and are forgotten with their time."""
        for letter, look in self._selected(selection):
            if dry_run:
                yield Done(letter, "kept", "would be dropped")
                continue
            look.remove(letter.message_id)
            yield Done(letter, "dropped")

    def _selected(self, selection: Selection) -> Iterator[tuple[Letter, Look]]:
        """Each notification once: a redriven one may fail and lie there anew while we still look."""
        handled: set[str] = set()
        with Look(self._sqs, self._url) as look:
            for message in look.messages():
                letter = Letter.parse(message)
                if selection.matches(letter) and letter.notification not in handled:
                    handled.add(letter.notification)
                    yield letter, look

    def _rehearse(self, letter: Letter) -> Done:
        """What a redrive would do, without doing it."""
        if letter.reason == UNREADABLE:
            return Done(letter, "kept", letter.detail)
        try:
            record = read_record(self._deployment.stores, letter.notification)
        except UnreadableRecord:
            return Done(letter, "kept", UNREADABLE_RECORD)
        if record is not None and not record.recipient:
            return Done(letter, "kept", UNREACHABLE)
        verdict = _no_redrive(letter, record)
        return Done(letter, "kept", f"would be dropped: {verdict}" if verdict else "would be sent again")

    def _redrive(self, letter: Letter) -> Done:
        if letter.reason == UNREADABLE:
            return Done(letter, "kept", letter.detail)
        stores = self._deployment.stores
        try:
            record = read_record(stores, letter.notification)
        except UnreadableRecord:
            return Done(letter, "kept", UNREADABLE_RECORD)
        if record is not None and not record.recipient:
            return Done(letter, "kept", UNREACHABLE)
        verdict = _no_redrive(letter, record)
        if verdict:
            return Done(letter, "dropped", verdict)
        now = self._clock()
        step = stores.notifications.reset_for_redrive(
            letter.notification,
            at=int(now * 1000),
            expires_at=int(now) + self._deployment.expiry_seconds,
        )
        if not step.applied:
            return Done(letter, "dropped", _fate(step.notification))
        NotificationsQueue(self._sqs, self._deployment["NotificationsQueueUrl"]).send(step.notification)
        return Done(letter, "redriven")

    def _redrive_hidden(self, notification_id: str, dry_run: bool) -> Iterator[Done]:
        notification = read_record(self._deployment.stores, notification_id)
        if notification is None or notification.state is not State.FAILED:
            return
        letter = letter_of(notification)
        yield self._rehearse(letter) if dry_run else self._redrive(letter)


def letter_of(notification: Notification) -> Letter:
    """The letter of a failed notification, from its record."""
    problem = notification.last_error
    return Letter(
        notification=notification.id,
        account=notification.account,
        recipient=notification.recipient,
        audience=notification.audience,
        reason=problem.code if problem else CRASHED,
        class_=problem.class_ if problem else "bug",
        detail=problem.detail if problem else "",
        failed_at=iso(notification.failed_at) if notification.failed_at else "-",
        attempts=tuple(attempt.to_json() for attempt in notification.attempts),
    )


def shown_recipient(recipient: str) -> str:
    """Whom a notification is for, masked."""
    return mask_phone(recipient) if recipient else "without a usable address"


def records(deployment: Deployment, letters: Iterable[Letter]) -> dict[str, Notification | UnreadableRecord]:
    """The notifications of these letters, as far as they are still there, by id."""
    ids = list(dict.fromkeys(letter.notification for letter in letters if letter.reason != UNREADABLE))

    def read(identity: str) -> Notification | UnreadableRecord | None:
        try:
            return read_record(deployment.stores, identity)
        except UnreadableRecord as odd:
            return odd

    with ThreadPoolExecutor(_READERS) as readers:
        found = zip(ids, readers.map(read, ids), strict=True)
        return {identity: record for identity, record in found if record is not None}


def _id(value: object) -> str:
    """Raises ValueError for what can't be a notification's id."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("no id of a notification")
    return value


def _attempt(value: Any) -> dict[str, Any]:
    """One entry of a letter's history; an odd one is only called so."""
    if not isinstance(value, dict) or not isinstance(value.get("numbers", {}), dict):
        return {"cause": UNREADABLE}
    return value


def _fate(notification: Notification | None) -> str:
    """Why a letter needs no redrive any more; empty if it does."""
    if notification is None:
        return "its record is gone (older than its time to live)"
    if notification.state in _ARRIVED:
        return f"it has arrived meanwhile ({notification.state})"
    if notification.state in (State.WAITING, State.SUPPRESSED):
        return f"it is {notification.state}"
    return ""


def _no_redrive(letter: Letter, record: Notification | None) -> str:
    """Why a letter can't be redriven, or needn't be; empty if it shall be. The record decides to whom."""
    if record is not None and (differs := mismatch(letter, record)):
        return f"it names another {differs} than its notification"
    return _fate(record)


# -- commands ----------------------------------------------------------------------------------------------


def list_letters(deployment: Deployment, output: Output) -> None:
    """All that can be seen, with what became of them meanwhile."""
    letters = DeadLetters(deployment)
    found = letters.read()
    behind = letters.count() - len(found)
    known = records(deployment, found)
    rows = []
    for letter in found:
        record = known.get(letter.notification)
        odd = isinstance(record, UnreadableRecord)
        notification = None if isinstance(record, UnreadableRecord) else record
        ticket = f"{notification.ticket_id} {notification.event_type}" if notification else "-"
        meanwhile = UNREADABLE_RECORD if odd else _fate(notification)
        output.record(
            letter.to_json()
            | {
                "ticket": notification.ticket_id if notification else None,
                "ticket_event": notification.event_type if notification else None,
                "state": UNREADABLE if odd else str(notification.state) if notification else None,
            }
        )
        rows.append(
            (
                letter.notification,
                ticket,
                f"{letter.audience} {shown_recipient(letter.recipient)}",
                f"{letter.reason}{' (' + meanwhile + ')' if meanwhile else ''}",
                iso_moment(letter.failed_at),
            )
        )
    if not found:
        output.say("no dead letters" if behind <= 0 else "no dead letter can be seen now; see below")
    else:
        output.table(["NOTIFICATION", "TICKET", "TO", "REASON", "FAILED AT (UTC)"], rows)
    if behind > 0:
        output.say(
            f"and about {behind} more: SQS shows at most ten of each recipient, and none that somebody else "
            "is looking at; they come when those before them are redriven or dropped"
        )
    if found:
        output.say()
        output.say("why:         tocsin dead-letters show ID")
        output.say("send again:  tocsin dead-letters redrive ID | --reason CODE | --all")
        output.say("give up:     tocsin dead-letters drop ID | --reason CODE | --all")


def show_letter(deployment: Deployment, notification_id: str, *, text: bool, output: Output) -> None:
    """One letter with its history; with `text`, also what the recipient would have read. Raises NotFound."""
    letter = DeadLetters(deployment).find(notification_id)
    odd, record = "", None
    try:
        record = read_record(deployment.stores, notification_id)
    except UnreadableRecord:
        odd = UNREADABLE_RECORD
    if letter is None and record is not None and record.state is State.FAILED:
        letter = letter_of(record)
    if letter is None:
        raise NotFound(_no_such_letter(notification_id, record))
    output.record(_shown(letter, record, text=text))
    ticket = f"{record.ticket_id}, {record.event_type}, revision {record.revision}" if record else "-"
    output.say(
        f"notification  {letter.notification}  ({letter.audience}, {shown_recipient(letter.recipient)})"
    )
    output.say(f"ticket        {ticket}")
    output.say(f"failed        {iso_moment(letter.failed_at)} UTC")
    output.say(f"reason        {letter.reason} ({letter.class_})")
    output.say(f"detail        {letter.detail or '-'}")
    if record is not None and record.refused_address:
        output.say(f"refused       {record.refused_address!r}")
    if meanwhile := odd or _fate(record):
        output.say(f"meanwhile     {meanwhile}")
    output.say(f"attempts      {len(letter.attempts)}")
    for attempt in letter.attempts:
        output.say(f"  {_attempt_line(attempt)}")
    if text and record is not None:
        output.say()
        for line in record.text.split("\n"):
            output.say(f"  | {line}")


def redrive_letters(deployment: Deployment, selection: Selection, *, dry_run: bool, output: Output) -> None:
    """Redrive what is selected. Raises NotFound if one letter was named and isn't there."""
    _report(DeadLetters(deployment).redrive(selection, dry_run=dry_run), deployment, selection, output)


def drop_letters(
    deployment: Deployment, selection: Selection, *, dry_run: bool, output: Output, yes: bool
) -> None:
    """Delete what is selected. Raises NotFound if one letter was named and isn't there. `yes`: more than one
    without a question."""
    letters = DeadLetters(deployment)
    if selection.what and not dry_run:
        confirm(lambda: _loss(letters, selection), yes=yes, output=output)
    _report(letters.drop(selection, dry_run=dry_run), deployment, selection, output)


def _loss(letters: DeadLetters, selection: Selection) -> str:
    seen = letters.read()
    chosen = [letter for letter in seen if selection.matches(letter)]
    if not chosen:
        return ""
    accounts = ", ".join(sorted({letter.account for letter in chosen}))
    behind = letters.count() - len(seen)
    more = f"; about {behind} more can't be seen yet, and go as well where they match" if behind > 0 else ""
    return (
        f"{selection.what} will be deleted for good: {len(chosen)} that can be seen now (account "
        f"{accounts}){more}"
    )


def _report(
    all_done: Generator[Done, None, None], deployment: Deployment, selection: Selection, output: Output
) -> None:
    counts = {"redriven": 0, "dropped": 0, "kept": 0}
    with closing(all_done):
        for done in all_done:
            counts[done.result] += 1
            name = done.letter.notification
            output.record({"notification": name, "result": done.result, "why": done.why or None})
            output.say(f"{name}  {done.letter.reason}  {done.result}{done.why and ': ' + done.why}")
    if selection.notification and not any(counts.values()):
        record = read_record(deployment.stores, selection.notification)
        raise NotFound(_no_such_letter(selection.notification, record))
    output.say(", ".join(f"{number} {what}" for what, number in counts.items()))


def _no_such_letter(notification_id: str, record: Notification | None) -> str:
    state = f" (it is {record.state})" if record is not None else ""
    return f"no dead letter for notification {notification_id}{state}: see 'tocsin dead-letters list'"


def _shown(letter: Letter, record: Notification | None, *, text: bool) -> dict[str, Any]:
    shown = letter.to_json()
    if record is not None:
        shown |= {
            "ticket": record.ticket_id,
            "ticket_event": record.event_type,
            "revision": record.revision,
            "state": str(record.state),
            "refused_address": record.refused_address,
        }
        if text:
            shown["text"] = record.text
    return shown


def _attempt_line(attempt: Mapping[str, Any]) -> str:
    """When, what, why, and the reserved number for each user."""
    numbers = (f"{mask_phone(user)} #{number}" for user, number in attempt.get("numbers", {}).items())
    cause = f"{attempt.get('cause', '?')} ({attempt.get('class', '')})"
    return "  ".join(
        filter(None, (moment(attempt.get("at")), cause, str(attempt.get("detail", "")), ", ".join(numbers)))
    )


def _masked(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt as shown: the users it was encrypted for are phone numbers, too."""
    numbers = {mask_phone(user): number for user, number in attempt.get("numbers", {}).items()}
    return {**attempt, "numbers": numbers}
