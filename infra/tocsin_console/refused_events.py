"""Ticket events that told nobody: what was wrong with each, so that the sender can be mended; the way back.

Three kinds lie in their queue: events that the planner refused, with every violation; events on which it
crashed until the queue gave up; and events that EventBridge could not hand over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.notify.events.phone import mask_phone
from tocsin.notify.malformed import read_json
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import NotFound
from tocsin_console.look import Look
from tocsin_console.output import Output, iso_moment

CRASHED = "crashed"
NOT_HANDED_OVER = "not-handed-over"

_LONG_NUMBER = re.compile(r"\+?\d(?:[\s().-]?\d){7,}")


@dataclass(frozen=True)
class RefusedEvent:
    """One event as it lies in the queue. `body`: the event as it came, as text; it holds what people wrote
    and whole phone numbers. `event`: the same parsed, {} if it is no JSON object. `id`: EventBridge's, or
    SQS's for what isn't an event."""

    id: str
    reason: str
    violations: tuple[str, ...]
    refused_at: str
    body: str = field(repr=False)
    event: Mapping[str, Any] = field(repr=False)
    message_id: str = field(default="", repr=False)

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> RefusedEvent:
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
            violations = ("plan_notifications crashed on it five times; its log says why",)
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
        detail = self.event.get("detail")
        ticket = detail.get("ticket") if isinstance(detail, dict) else None
        return str(ticket.get("id", "?")) if isinstance(ticket, dict) else "?"

    def concerns(self, ticket: str) -> bool:
        """Whether it is about this ticket; of what is no event, whether it names it."""
        return self.ticket == ticket if self.event else f'"{ticket}"' in self.body

    @property
    def title(self) -> str:
        return f"{self.id}  {self.detail_type}  ticket {self.ticket}"

    def to_json(self, *, content: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "event": self.id,
            "detail_type": self.detail_type,
            "ticket": self.ticket,
            "reason": self.reason,
            "violations": list(self.violations),
            "refused_at": self.refused_at,
        }
        return shown | ({"content": self.content()} if content else {})

    def content(self) -> Any:
        """The event as it came, its phone numbers masked."""
        return _without_phones(self.event) if self.event else _LONG_NUMBER.sub(_mask_match, self.body)


@dataclass(frozen=True)
class Selection:
    """Which events are meant. Empty fields mean "any"."""

    id: str | None = None
    reason: str | None = None

    @property
    def what(self) -> str:
        """For people; empty where one event is named."""
        if self.id:
            return ""
        return f"all refused events with the reason {self.reason}" if self.reason else "all refused events"

    def matches(self, event: RefusedEvent) -> bool:
        return (self.id in (None, event.id)) and (self.reason in (None, event.reason))


def list_refused(deployment: Deployment, output: Output) -> None:
    """All that can be looked at now, without what people wrote in them; nothing is taken away."""
    with _look(deployment) as look:
        refused = [RefusedEvent.parse(message) for message in look.messages()]
    for item in refused:
        output.record(item.to_json())
        output.say(f"{item.title}  {item.reason}  {iso_moment(item.refused_at)}")
        for violation in item.violations:
            output.say(f"    {violation}")
    if not refused:
        output.say("no refused events")
        return
    output.say()
    output.say("the event itself:  tocsin dead-letters show ID --queue events --text")
    output.say("plan it again:     tocsin dead-letters redrive ID | --all --queue events")
    output.say("give it up:        tocsin dead-letters drop ID | --all --queue events")


def show_refused(deployment: Deployment, event_id: str, *, text: bool, output: Output) -> None:
    """One event with its violations; with `text`, also the event as it came. Raises NotFound."""
    with _look(deployment) as look:
        found = next(_selected(look, Selection(event_id)), None)
    if found is None:
        raise NotFound(_no_such_event(event_id))
    output.record(found.to_json(content=text))
    output.say(f"event       {found.id}")
    output.say(f"what        {found.detail_type}, ticket {found.ticket}")
    output.say(f"refused     {iso_moment(found.refused_at)} UTC")
    output.say(f"reason      {found.reason}")
    for violation in found.violations:
        output.say(f"  {violation}")
    if text:
        content = found.content()
        shown = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
        output.say()
        for line in shown.split("\n"):
            output.say(line)


def redrive_refused(deployment: Deployment, selection: Selection, *, dry_run: bool, output: Output) -> None:
    """Give the selected ones to the planner again, as they came. Raises NotFound if one was named and isn't
    there. An event planned twice tells nobody twice."""
    queue = deployment["TicketEventsQueueUrl"]

    def plan_again(item: RefusedEvent) -> None:
        deployment.sqs.send_message(QueueUrl=queue, MessageBody=item.body)

    _carry_out(deployment, selection, "redriven", plan_again, dry_run=dry_run, output=output)


def drop_refused(
    deployment: Deployment, selection: Selection, *, dry_run: bool, output: Output, yes: bool
) -> None:
    """Delete the selected ones for good. Raises NotFound if one was named and isn't there. `yes`: more than
    one without a question."""
    if selection.what and not dry_run:
        confirm(lambda: _loss(deployment, selection), yes=yes, output=output)
    _carry_out(deployment, selection, "dropped", lambda item: None, dry_run=dry_run, output=output)


def _loss(deployment: Deployment, selection: Selection) -> str:
    with _look(deployment) as look:
        chosen = sum(1 for _ in _selected(look, selection))
    if not chosen:
        return ""
    return f"{selection.what} of the stack '{deployment.stack}' will be deleted for good: {chosen}"


def _carry_out(
    deployment: Deployment,
    selection: Selection,
    result: str,
    act: Callable[[RefusedEvent], None],
    *,
    dry_run: bool,
    output: Output,
) -> None:
    done = 0
    with _look(deployment) as look:
        for item in _selected(look, selection):
            if not dry_run:
                act(item)
                look.remove(item.message_id)
            done += 1
            said = "kept" if dry_run else result
            why = f"would be {result}" if dry_run else None
            output.record({"event": item.id, "result": said, "why": why})
            output.say(f"{item.title}  {said}{': ' + why if why else ''}")
    if selection.id and not done:
        raise NotFound(_no_such_event(selection.id))
    output.say(f"{0 if dry_run else done} {result}, {done if dry_run else 0} kept")


def _selected(look: Look, selection: Selection) -> Iterator[RefusedEvent]:
    """Each event once: one that is planned again may be refused again while we still look."""
    handled: set[str] = set()
    for message in look.messages():
        item = RefusedEvent.parse(message)
        if selection.matches(item) and item.body not in handled:
            handled.add(item.body)
            yield item


def _look(deployment: Deployment) -> Look:
    return Look(deployment.sqs, deployment["TicketEventsDeadQueueUrl"])


def _no_such_event(event_id: str) -> str:
    return f"no refused event {event_id}: see 'tocsin dead-letters list --queue events'"


def _object(text: str) -> dict[str, Any]:
    """The JSON object in `text`; empty if there is none that can be read."""
    try:
        value = read_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _without_phones(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: mask_phone(inner) if name == "phone" and isinstance(inner, str) else _without_phones(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_phones(inner) for inner in value]
    return value


def _mask_match(found: re.Match[str]) -> str:
    return mask_phone(found.group())
