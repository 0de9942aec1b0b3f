"""Ticket events that the planner refused: what was wrong with each, so that the sender can be mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from infra.console.deployment import Deployment
from infra.console.output import Output

HIDDEN_SECONDS = 30
_BATCH = 10


@dataclass(frozen=True)
class RefusedEvent:
    """One refused event. `event` as it came: the parsed JSON, or the text if it is none."""

    event: Any
    violations: tuple[str, ...]
    refused_at: str

    @classmethod
    def parse(cls, body: str) -> RefusedEvent:
        letter = json.loads(body)
        if "violations" not in letter:
            return cls(letter, ("the planner crashed on it until the queue gave up; see its log",), "-")
        return cls(_parsed(letter.get("event")), tuple(letter["violations"]), letter.get("refused_at", "-"))

    @property
    def title(self) -> str:
        """Event type and ticket id, as far as the event has them."""
        event = self.event if isinstance(self.event, dict) else {}
        detail = event.get("detail")
        ticket = detail.get("ticket") if isinstance(detail, dict) else None
        ticket_id = ticket.get("id", "?") if isinstance(ticket, dict) else "?"
        return f"{event.get('detail-type', 'not an event')}  ticket {ticket_id}"


def list_refused(deployment: Deployment, output: Output) -> None:
    """Print all that can be looked at now; nothing is taken away."""
    with _taken(deployment) as refused:
        for item in refused:
            output.record(asdict(item))
            output.say(f"{item.title}  {item.refused_at}")
            for violation in item.violations:
                output.say(f"    {violation}")
        if not refused:
            output.say("no refused events")


@contextmanager
def _taken(deployment: Deployment) -> Iterator[list[RefusedEvent]]:
    """SQS has no way to look without taking: hide them for the look, then give them back."""
    sqs, url = deployment.sqs, deployment["TicketEventsDeadQueueUrl"]
    messages: list[dict[str, Any]] = []
    try:
        while batch := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=HIDDEN_SECONDS
        ).get("Messages"):
            messages += batch
        yield [RefusedEvent.parse(message["Body"]) for message in messages]
    finally:
        for message in messages:
            receipt = message["ReceiptHandle"]
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)


def _parsed(event: object) -> Any:
    if not isinstance(event, str):
        return event
    try:
        return json.loads(event)
    except ValueError:
        return event
