"""Ticket events that told nobody: what is wrong with each, and the way back to the planner.

Their queue holds three kinds: events that the planner refused, with every violation; events on which it
crashed until SQS gave up; and events that EventBridge could not hand over.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.notify.dead_letters import CRASHED
from tocsin.notify.events.foreign import WEBHOOK_REFUSED
from tocsin.notify.letters import is_within
from tocsin.notify.malformed import read_json
from tocsin.notify.redrive import Look, ReadableQueue, selected

NOT_HANDED_OVER = "not-handed-over"
"""The reason of an event that EventBridge could not put into the planner's queue."""


@dataclass(frozen=True)
class RefusedEvent:
    """One event of the queue. `body`: the event as it came, as text; it holds what people wrote and whole
    phone numbers. `event`: the same parsed, {} if it is no JSON object. `id`: EventBridge's, or SQS's if it
    has none. `refused_at`: ISO 8601, "-" if unknown."""

    id: str
    reason: str
    violations: tuple[str, ...]
    refused_at: str
    body: str = field(repr=False)
    event: Mapping[str, Any] = field(repr=False)
    message_id: str = field(default="", repr=False)

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> RefusedEvent:
        """Read a message as SQS returns it, whatever it holds."""
        told = _object(message["Body"])
        attributes = {
            name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
        }
        if isinstance(told.get("violations"), list) and isinstance(told.get("event"), str):
            body, reason = told["event"], str(told.get("reason", "invalid-event"))
            violations = tuple(str(one) for one in told["violations"])
        elif "ERROR_CODE" in attributes:
            body, reason = message["Body"], NOT_HANDED_OVER
            violations = (f"EventBridge: {attributes['ERROR_CODE']}: {attributes.get('ERROR_MESSAGE', '')}",)
        else:
            body, reason = message["Body"], CRASHED
            violations = ("plan_notifications crashed on it again and again; its log says why",)
        event = _object(body)
        return cls(
            id=str(event.get("id") or message["MessageId"]),
            reason=reason,
            violations=violations,
            refused_at=str(told.get("refused_at", "-")),
            body=body,
            event=event,
            message_id=message["MessageId"],
        )

    @property
    def detail_type(self) -> str:
        return str(self.event.get("detail-type", "not an event"))

    @property
    def ticket(self) -> str:
        """The ticket's id; "?" if the event names none."""
        detail = self.event.get("detail")
        ticket = detail.get("ticket") if isinstance(detail, dict) else None
        return str(ticket.get("id", "?")) if isinstance(ticket, dict) else "?"

    @property
    def source(self) -> str:
        """The source of the door or the bus that it came by; empty if it names none."""
        detail = self.event.get("detail")
        webhook = detail.get("webhook") if isinstance(detail, dict) else None
        told = webhook if self.detail_type == WEBHOOK_REFUSED else self.event.get("tocsin-source")
        return told if isinstance(told, str) else ""

    def concerns(self, ticket: str) -> bool:
        """Whether it is about this ticket. If it is no event: whether it names the ticket."""
        return self.ticket == ticket if self.event else f'"{ticket}"' in self.body


@dataclass(frozen=True)
class EventSelection:
    """Which events are meant. None means "any". `since`, `until`: refused in this time, as `Selection` has
    it."""

    id: str | None = None
    reason: str | None = None
    ticket: str | None = None
    since: int | None = None
    until: int | None = None

    def matches(self, event: RefusedEvent) -> bool:
        return (
            self.id in (None, event.id)
            and self.reason in (None, event.reason)
            and (self.ticket is None or event.concerns(self.ticket))
            and is_within(event.refused_at, self.since, self.until)
        )


class RefusedEvents:
    """Reads the refused events, plans them again and drops them.

    `plan`: puts an event, as it came, into the planner's queue.
    """

    def __init__(self, queue: ReadableQueue, plan: Callable[[str], object]) -> None:
        self._queue = queue
        self._plan = plan

    def read(self, selection: EventSelection | None = None) -> list[RefusedEvent]:
        """Return the selected ones that can be read now. All stay."""
        wanted = selection or EventSelection()
        with self._queue.look() as look:
            events = (RefusedEvent.parse(message) for message in look.messages())
            return [event for event in events if wanted.matches(event)]

    def redrive(
        self, selection: EventSelection, *, dry_run: bool = False
    ) -> Generator[RefusedEvent, None, None]:
        """Give the selected ones to the planner again, as they came. An event that is planned twice tells
        nobody twice. With `dry_run`, yield them and do nothing."""
        for event, look in self._selected(selection):
            if not dry_run:
                self._plan(event.body)
                look.remove(event.message_id)
            yield event

    def drop(
        self, selection: EventSelection, *, dry_run: bool = False
    ) -> Generator[RefusedEvent, None, None]:
        """Delete the selected ones. With `dry_run`, yield them and do nothing."""
        for event, look in self._selected(selection):
            if not dry_run:
                look.remove(event.message_id)
            yield event

    def _selected(self, selection: EventSelection) -> Iterator[tuple[RefusedEvent, Look]]:
        """Each event once: one that is planned again may be refused again while we still look."""
        return selected(self._queue, RefusedEvent.parse, selection.matches, lambda event: event.body)


def _object(text: str) -> dict[str, Any]:
    """The JSON object in `text`; {} if it is none or can't be read."""
    try:
        value = read_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
