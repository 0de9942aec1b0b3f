"""The queues by which the functions hand notifications on. Each class wraps one SQS queue; bodies are JSON.

Deduplication ids carry a generation: within five minutes SQS accepts and drops a second message with the same
id, even when the first was consumed long ago, so every re-enqueue needs a new one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.notify.notification import Attempt, Notification, Problem
from tocsin.tables.names import user_of
from tocsin.timestamps import iso

_BATCH = 10
"""Entries SQS takes in one SendMessageBatch."""

_LETTER_BYTES = 256 * 1024
_VIOLATIONS_BYTES = 100_000
_ATTEMPTS_IN_LETTER = 20


class EnqueueFailed(RuntimeError):
    """SQS took only a part of a batch. What it took is folded by its deduplication ids when all is sent
    again."""


@dataclass(frozen=True)
class Order:
    """What a message of the notifications queue asks for: send this notification. `person`, `lane`: as in
    the notification; an order from before people were known has neither."""

    notification: str
    account: str
    recipient: str
    audience: str
    generation: int
    resumed: bool = False
    person: str | None = None
    lane: str | None = None

    @property
    def group(self) -> str:
        """One message group per account and person, so that a person's messages stay in order. Those that
        have no recipient are nobody's: each is a group of its own."""
        return f"{self.account}#{self.lane or self.recipient or self.notification}"

    @property
    def person_name(self) -> str:
        """A name (bare JID) of the person it is for."""
        return self.person or user_of(self.recipient)

    @property
    def deduplication_id(self) -> str:
        return f"{self.notification}.{self.generation}"

    def to_json(self) -> dict[str, Any]:
        return {
            "notification": self.notification,
            "account": self.account,
            "recipient": self.recipient,
            "audience": self.audience,
            "generation": self.generation,
            "resumed": self.resumed,
            **({"person": self.person} if self.person is not None else {}),
            **({"lane": self.lane} if self.lane is not None else {}),
        }

    @classmethod
    def parse(cls, body: str) -> Order:
        """Raises ValueError (malformed JSON, KeyError's sentence) for a body this program didn't write."""
        try:
            value = json.loads(body)
            return cls(
                notification=str(value["notification"]),
                account=str(value["account"]),
                recipient=str(value["recipient"]),
                audience=str(value["audience"]),
                generation=int(value["generation"]),
                resumed=bool(value.get("resumed", False)),
                person=_text(value.get("person")),
                lane=_text(value.get("lane")),
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not an order to send a notification: {exc!r}") from exc

    @classmethod
    def of(cls, notification: Notification, *, resumed: bool = False) -> Order:
        return cls(
            notification.id,
            notification.account,
            notification.recipient,
            notification.audience,
            notification.generation,
            resumed,
            notification.person,
            notification.lane,
        )


class NotificationsQueue:
    """SQS FIFO: one message per notification to be sent."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, notification: Notification, *, resumed: bool = False) -> None:
        order = Order.of(notification, resumed=resumed)
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=_json(order.to_json()),
            MessageGroupId=order.group,
            MessageDeduplicationId=order.deduplication_id,
        )

    def send_all(self, notifications: Iterable[Notification], *, resumed: bool = False) -> None:
        """In the given order. Raises EnqueueFailed if SQS refused any: then send all again."""
        orders = [Order.of(notification, resumed=resumed) for notification in notifications]
        for start in range(0, len(orders), _BATCH):
            answer = self._client.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {
                        "Id": str(number),
                        "MessageBody": _json(order.to_json()),
                        "MessageGroupId": order.group,
                        "MessageDeduplicationId": order.deduplication_id,
                    }
                    for number, order in enumerate(orders[start : start + _BATCH])
                ],
            )
            if failed := answer.get("Failed"):
                raise EnqueueFailed(f"{len(failed)} of {len(orders)} refused: {failed[0].get('Message', '')}")


@dataclass(frozen=True)
class DeadLetter:
    """A notification that used up its retries or can never arrive, with its reason and history."""

    order: Order
    problem: Problem
    attempts: Sequence[Attempt]
    failed_at: int

    def to_json(self) -> dict[str, Any]:
        return {
            **self.order.to_json(),
            "reason": self.problem.code,
            "class": self.problem.class_,
            "detail": self.problem.detail,
            "attempts": [attempt.to_json() for attempt in self.attempts[-_ATTEMPTS_IN_LETTER:]],
            "failed_at": iso(self.failed_at),
        }


class DeadLettersQueue:
    """SQS FIFO: the dead letters, kept 14 days, redriven by an operator."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, notification: Notification, problem: Problem, failed_at: int) -> None:
        """Idempotent for five minutes per generation: a crash before the state is written repeats it
        harmlessly."""
        self.send_letter(DeadLetter(Order.of(notification), problem, notification.attempts, failed_at))

    def send_letter(self, letter: DeadLetter) -> None:
        """As `send`, of a notification whose record can't be read."""
        order = letter.order
        self._send(_json(letter.to_json()), order.group, order.deduplication_id, letter.problem.code)

    def send_malformed(self, body: str, lane: str | None, message_id: str, reason: str) -> None:
        """What is no order, as it came. `message_id`: the queue's name of it."""
        self._send(body, lane or message_id, message_id, reason)

    def _send(self, body: str, group: str, name: str, reason: str) -> None:
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=f"{name}.dead",
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )


class TicketEventsQueue:
    """SQS standard: where ticket events come in, and what the stack itself asks the planner for."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, body: str) -> None:
        self._client.send_message(QueueUrl=self._url, MessageBody=body)


class TicketEventsDeadQueue:
    """SQS standard: ticket events that don't hold what the schema asks for, with every violation."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(
        self, body: str, violations: Sequence[str], refused_at: int, *, reason: str = "invalid-event"
    ) -> None:
        """`body` as it came, as text, so that even what isn't JSON is kept; cut where it would be too
        large."""
        letter = {"reason": reason, "violations": _within(violations), "refused_at": iso(refused_at)}
        room = _LETTER_BYTES - len(_json(letter).encode()) - 1024
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=_json({**letter, "event": _cut_escaped(body, room)}),
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _within(violations: Sequence[str]) -> list[str]:
    """As many violations as fit; the rest is counted, not dropped in silence."""
    kept: list[str] = []
    room = _VIOLATIONS_BYTES
    for violation in violations:
        room -= len(violation.encode()) + 4
        if room < 0:
            return [*kept, f"and {len(violations) - len(kept)} more"]
        kept.append(violation)
    return kept


def _cut_escaped(text: str, room: int) -> str:
    """The longest beginning of `text` whose JSON form has at most `room` bytes. Half a surrogate becomes
    "?"."""
    text = text.encode(errors="replace").decode()
    if len(_json(text).encode()) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(_json(text[:middle]).encode()) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low]
