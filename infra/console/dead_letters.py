"""Dead letters: what could not be delivered and why, and the way back.

Letters are read from the queue itself. SQS has no way to look without taking: each letter read is hidden for
`HIDDEN_SECONDS` and given back at once when the look is over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from infra.console.deployment import Deployment
from infra.console.errors import NotFound
from infra.console.output import Output, moment
from tocsin.notify.notification import Notification, State
from tocsin.notify.phone import mask_phone
from tocsin.notify.queues import NotificationsQueue

HIDDEN_SECONDS = 60
_BATCH = 10
_EXPIRY_SECONDS = 24 * 3600

CRASHED = "crashed"
"""Reason of a letter that SQS moved by itself: its function never got as far as a verdict."""


@dataclass(frozen=True)
class Letter:
    """One dead letter as it lies in the queue. `receipt` is SQS's handle for this look at it."""

    notification: str
    account: str
    recipient: str
    audience: str
    reason: str
    class_: str
    detail: str
    failed_at: str
    attempts: tuple[dict[str, Any], ...]
    receipt: str = field(repr=False)

    @classmethod
    def parse(cls, message: dict[str, Any]) -> Letter:
        body = json.loads(message["Body"])
        return cls(
            notification=body["notification"],
            account=body["account"],
            recipient=body["recipient"],
            audience=body["audience"],
            reason=body.get("reason", CRASHED),
            class_=body.get("class", "bug"),
            detail=body.get("detail", "the function crashed on it until the queue gave up; see its log"),
            failed_at=body.get("failed_at", "-"),
            attempts=tuple(body.get("attempts", ())),
            receipt=message["ReceiptHandle"],
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "notification": self.notification,
            "account": self.account,
            "recipient": mask_phone(self.recipient),
            "audience": self.audience,
            "reason": self.reason,
            "class": self.class_,
            "detail": self.detail,
            "failed_at": self.failed_at,
            "attempts": list(self.attempts),
        }


@dataclass(frozen=True)
class Selection:
    """Which letters are meant. Empty fields mean "any"."""

    notification: str | None = None
    reason: str | None = None

    def matches(self, letter: Letter) -> bool:
        return (self.notification in (None, letter.notification)) and (self.reason in (None, letter.reason))


@dataclass(frozen=True)
class Redriven:
    """What a redrive did with one letter: `redriven`, `kept` (dry run) or `dropped`, and why."""

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
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def read(self) -> list[Letter]:
        """Those that can be looked at now, oldest first of each recipient. Nothing is taken away."""
        with self._taken() as letters:
            return list(letters)

    def redrive(self, selection: Selection, *, dry_run: bool = False) -> Iterator[Redriven]:
        """Put the selected ones back to be sent, under new deduplication ids and with their retries unspent.

        A letter whose message meanwhile arrived (a late receipt) is dropped, not sent: nobody is told twice.
        The letter is deleted last, so a crash in between repeats a redrive that is then found done.
        """
        queue = NotificationsQueue(self._sqs, self._deployment["NotificationsQueueUrl"])
        seen: set[str] = set()
        while True:
            with self._taken() as letters:
                # a letter deleted makes room: those of the same recipient that stood behind it come next
                chosen = [
                    item for item in letters if selection.matches(item) and item.notification not in seen
                ]
                for letter in chosen:
                    seen.add(letter.notification)
                    yield self._redrive(letter, queue, dry_run)
            if dry_run or not chosen:
                return

    def _redrive(self, letter: Letter, queue: NotificationsQueue, dry_run: bool) -> Redriven:
        if dry_run:
            return Redriven(letter, "kept", "dry run")
        now = self._clock()
        store = self._deployment.notifications
        if store.get(letter.notification) is None:
            self._delete(letter)
            return Redriven(letter, "dropped", "its record is gone (older than its time to live)")
        step = store.reset_for_redrive(
            letter.notification, at=int(now * 1000), expires_at=int(now) + _EXPIRY_SECONDS
        )
        if not step.applied:
            self._delete(letter)
            return Redriven(letter, "dropped", _why_not(step.notification))
        queue.send(step.notification)
        self._delete(letter)
        return Redriven(letter, "redriven")

    @contextmanager
    def _taken(self) -> Iterator[list[Letter]]:
        """Take all that can be had, and give back what is not deleted meanwhile."""
        letters: list[Letter] = []
        try:
            while batch := self._receive():
                letters += [Letter.parse(message) for message in batch]
            yield letters
        finally:
            for letter in letters:
                self._give_back(letter)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=0,
        )
        return list(answer.get("Messages", ()))

    def _delete(self, letter: Letter) -> None:
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

    def _give_back(self, letter: Letter) -> None:
        try:
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
            )
        except self._sqs.exceptions.ClientError:
            return  # deleted meanwhile, which is what a redrive does


def _why_not(notification: Notification) -> str:
    if notification.state in (State.SENT, State.DELIVERED, State.READ):
        return f"it has arrived meanwhile ({notification.state})"
    return f"it is {notification.state}"


def list_letters(deployment: Deployment, output: Output) -> None:
    letters = DeadLetters(deployment)
    found = letters.read()
    for letter in found:
        output.record(letter.to_json())
    if not found:
        output.say("no dead letters")
        return
    output.table(
        ["NOTIFICATION", "REASON", "CLASS", "AUDIENCE", "RECIPIENT", "FAILED AT"],
        [
            (
                item.notification,
                item.reason,
                item.class_,
                item.audience,
                mask_phone(item.recipient),
                item.failed_at,
            )
            for item in found
        ],
    )
    hidden = letters.count() - len(found)
    if hidden > 0:
        output.say(f"and about {hidden} more behind these")
    output.say("\nwhy: tocsin dead-letters show ID")
    output.say("send again: tocsin dead-letters redrive ID | --reason CODE | --all")


def show_letter(deployment: Deployment, notification_id: str, output: Output) -> None:
    """One letter with its history. Raises NotFound."""
    letter = next(
        (item for item in DeadLetters(deployment).read() if item.notification == notification_id), None
    )
    if letter is None:
        raise NotFound(f"no dead letter for notification {notification_id}: see 'tocsin dead-letters list'")
    output.record(letter.to_json())
    output.say(f"notification  {letter.notification}  ({letter.audience}, {mask_phone(letter.recipient)})")
    output.say(f"failed        {letter.failed_at}")
    output.say(f"reason        {letter.reason} ({letter.class_})")
    output.say(f"detail        {letter.detail or '-'}")
    output.say(f"attempts      {len(letter.attempts)}")
    for attempt in letter.attempts:
        output.say(f"  {_attempt_line(attempt)}")


def redrive_letters(deployment: Deployment, selection: Selection, *, dry_run: bool, output: Output) -> None:
    """Redrive what is selected. Raises NotFound if one letter was named and isn't there."""
    counts = {"redriven": 0, "kept": 0, "dropped": 0}
    for done in DeadLetters(deployment).redrive(selection, dry_run=dry_run):
        counts[done.result] += 1
        output.record({"notification": done.letter.notification, "result": done.result, "why": done.why})
        output.say(
            f"{done.letter.notification}  {done.letter.reason}  {done.result}{done.why and ': ' + done.why}"
        )
    if selection.notification and not any(counts.values()):
        raise NotFound(
            f"no dead letter for notification {selection.notification}: see 'tocsin dead-letters list'"
        )
    output.say(f"{counts['redriven']} redriven, {counts['dropped']} dropped, {counts['kept']} kept")


def _attempt_line(attempt: dict[str, Any]) -> str:
    """When, what, why, and the reserved number for each user."""
    numbers = (f"{mask_phone(user)} #{number}" for user, number in attempt.get("numbers", {}).items())
    cause = f"{attempt['cause']} ({attempt.get('class', '')})"
    return "  ".join(
        filter(None, (moment(attempt["at"]), cause, attempt.get("detail", ""), ", ".join(numbers)))
    )
