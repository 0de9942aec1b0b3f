"""`tocsin dead-letters --queue events`: the ticket events that told nobody, and what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from typing import Any, Literal

from tocsin.notify.events.message_request import is_sensitive
from tocsin.notify.notification import MESSAGE_REQUESTED
from tocsin.notify.refused_events import EventSelection, RefusedEvent
from tocsin_console import masking
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.dead_letters import ASKS_ABOVE, demand_known
from tocsin_console.deployment import Deployment
from tocsin_console.errors import NotFound
from tocsin_console.output import Output, counted, iso_moment, json_iso_moment
from tocsin_console.reasons import REASONS_OF_EVENTS, REFUSED_AGAIN

_LONG_NUMBER = re.compile(r"\+?\d(?:[\s().-]?\d){7,}")


def list_refused(deployment: Deployment, output: Output) -> None:
    """Print all that can be read now, without what people wrote in them."""
    with output.progress("reading refused events"):
        refused = deployment.refused_events.read()
    for event in refused:
        output.record(event_json(event))
        output.say(f"{_title(event)}  {event.reason}  {iso_moment(event.refused_at)}")
        for violation in event.violations:
            output.say(f"    {violation}")
    if not refused:
        output.say("no refused events")
        return
    output.say()
    output.say("the event itself:  tocsin dead-letters show ID --queue events --text")
    output.say("plan it again:     tocsin dead-letters redrive ID | --all --queue events")
    output.say("give it up:        tocsin dead-letters drop ID | --all --queue events")


def show_refused(deployment: Deployment, event_id: str, *, text: bool, output: Output) -> None:
    """Print one event with its violations; with `text`, also the event as it came. Raises NotFound."""
    event = next(iter(deployment.refused_events.read(EventSelection(event_id))), None)
    if event is None:
        raise NotFound(_no_such_event(event_id))
    content = masked_content(event, deployment.is_phone) if text else ""
    output.record(event_json(event) | ({"content": content} if text else {}))
    output.say(f"event       {event.id}")
    output.say(f"what        {event.detail_type}, ticket {event.ticket}")
    if event.source:
        output.say(f"source      {event.source}")
    output.say(f"refused     {iso_moment(event.refused_at)}")
    output.say(f"reason      {event.reason}")
    if event.reason in REASONS_OF_EVENTS:
        output.say(f"means       {REASONS_OF_EVENTS[event.reason].means}")
        output.say(f"remedy      {REASONS_OF_EVENTS[event.reason].mend}")
    for violation in event.violations:
        output.say(f"  {violation}")
    if text:
        shown = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
        output.say()
        for line in shown.split("\n"):
            output.say(line)


def redrive_refused(
    deployment: Deployment, selection: EventSelection, *, dry_run: bool, output: Output, yes: bool = False
) -> None:
    """Plan the selected ones again. Asks before more than twenty, unless `yes`. Raises NotFound if one was
    named and isn't there, Usage for a reason that no event has."""
    _demand_reason(deployment, selection)
    if not selection.id and not dry_run and not yes:
        count = len({event.body for event in deployment.refused_events.read(selection)})
        if count > ASKS_ABOVE:
            confirm(
                lambda: f"{counted(count, 'refused events')} will be planned again", yes=False, output=output
            )
    redriven = deployment.refused_events.redrive(selection, dry_run=dry_run)
    _report(redriven, "redriven", deployment, selection, dry_run=dry_run, output=output)


def drop_refused(
    deployment: Deployment, selection: EventSelection, *, dry_run: bool, output: Output, yes: bool
) -> None:
    """Delete the selected ones for good. Raises NotFound if one was named and isn't there, Usage for a reason
    that no event has. `yes`: do not ask before deleting more than one."""
    _demand_reason(deployment, selection)
    if not selection.id and not dry_run:
        confirm(lambda: _loss(deployment, selection), yes=yes, output=output)
    dropped = deployment.refused_events.drop(selection, dry_run=dry_run)
    _report(dropped, "dropped", deployment, selection, dry_run=dry_run, output=output)


def _demand_reason(deployment: Deployment, selection: EventSelection) -> None:
    if selection.reason is not None and selection.reason not in REASONS_OF_EVENTS:
        there = (event.reason for event in deployment.refused_events.read())
        demand_known(selection.reason, REASONS_OF_EVENTS, there)


def event_json(event: RefusedEvent) -> dict[str, Any]:
    """An event for programs, without what people wrote in it."""
    return {
        "event": event.id,
        "detail_type": event.detail_type,
        "ticket": event.ticket,
        "source": event.source or None,
        "reason": event.reason,
        "violations": list(event.violations),
        "refused_at": json_iso_moment(event.refused_at),
    }


def masked_content(event: RefusedEvent, is_phone: Callable[[str], bool]) -> Any:
    """The event as it came, its phone numbers masked: a JSON object, or text if it is none. What stands in a
    field `phone` and is none is shown, for somebody must correct it."""
    if not event.event:
        return _LONG_NUMBER.sub(_mask_match, event.body)
    return _without_phones(_without_words(event.event), is_phone)


def _without_words(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event without the words of a sensitive request, which nobody is shown, and without the bytes of
    files."""
    detail = event.get("detail")
    if event.get("detail-type") != MESSAGE_REQUESTED or not isinstance(detail, dict):
        return event
    hidden = ("text", "sealed_text", "caption") if is_sensitive(event) else ()
    shown = {name: "(sensitive)" if name in hidden else value for name, value in detail.items()}
    if isinstance(shown.get("files"), list):
        shown["files"] = [_without_bytes(one, hidden) for one in shown["files"]]
    return {**event, "detail": shown}


def _without_bytes(file: Any, hidden: Collection[str]) -> Any:
    if not isinstance(file, dict):
        return file
    kept = {name: "(sensitive)" if name in hidden else value for name, value in file.items()}
    return kept | ({"content": f"({len(str(kept['content']))} characters)"} if "content" in kept else {})


def _title(event: RefusedEvent) -> str:
    source = f"  source {event.source}" if event.source else ""
    return f"{event.id}  {event.detail_type}{source}  ticket {event.ticket}"


def _loss(deployment: Deployment, selection: EventSelection) -> str:
    chosen = {event.body for event in deployment.refused_events.read(selection)}
    if not chosen:
        return ""
    which = f" with the reason {selection.reason}" if selection.reason else ""
    return (
        f"all refused events{which} of the stack '{deployment.stack}' will be deleted for good: {len(chosen)}"
    )


def _report(
    events: Generator[RefusedEvent, None, None],
    result: Literal["redriven", "dropped"],
    deployment: Deployment,
    selection: EventSelection,
    *,
    dry_run: bool,
    output: Output,
) -> None:
    done = 0
    reasons: set[str] = set()
    told, why = ("kept", f"would be {result}") if dry_run else (result, None)
    would = {"would": result} if dry_run else {}
    try:
        with closing(events), output.progress("refused events") as progress:
            for event in progress.over(events):
                done += 1
                reasons.add(event.reason)
                output.record({"event": event.id, "result": told, "why": why} | would)
                output.say(f"{_title(event)}  {why or told}")
    finally:
        # What was done is written down, however it ended.
        if done and not dry_run:
            note(deployment, f"refused events: {done} {result}", count=done)
    if selection.id and not done:
        raise NotFound(_no_such_event(selection.id))
    if result == "redriven":
        for said in sorted({REFUSED_AGAIN[reason] for reason in reasons if reason in REFUSED_AGAIN}):
            output.say(said)
    output.say(f"{'would be: ' if dry_run else ''}{done} {result}")


def _no_such_event(event_id: str) -> str:
    return f"no refused event {event_id}: see 'tocsin dead-letters list --queue events'"


def _without_phones(value: Any, is_phone: Callable[[str], bool]) -> Any:
    if isinstance(value, dict):
        return {
            name: masking.phone(inner)
            if name == "phone" and isinstance(inner, str) and is_phone(inner)
            else _without_phones(inner, is_phone)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_phones(inner, is_phone) for inner in value]
    return value


def _mask_match(found: re.Match[str]) -> str:
    return masking.phone(found.group())
