"""`tocsin check`: whom an event would tell, and what. No stack is asked, and nothing is sent.

A file is read as what its writer had in hand: an event as EventBridge delivers it, the entries of
`aws events put-events --entries`, or a detail alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin.notify.events.audience import Recipient, recipients, unreachable
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.events.message_request import MessageRequest, parse_request
from tocsin.notify.events.schema import InvalidEvent, parse_event
from tocsin.notify.malformed import read_json
from tocsin.notify.texts.template import TemplateFailed, Templates
from tocsin.timestamps import from_seconds, iso
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output

MAX_BYTES = 1 << 20
"""EventBridge takes 256 KiB; whoever has more has another file in hand."""

_STDIN = "-"


@dataclass(frozen=True)
class StackFacts:
    """What a stack would know: its parameters. `texts`: a folder of own texts, None for the built-in ones."""

    default_region: str = "ID"
    default_area: str = ""
    default_language: str = "id"
    accounts: tuple[str, ...] = ("default",)
    texts: Path | None = None


def check(
    file: Path,
    detail_type: str,
    facts: StackFacts,
    output: Output,
    *,
    clock: Callable[[], float] = time.time,
) -> None:
    """Print what each event of a file would do. Raises Usage for a file that holds none, ConsoleError if one
    would be refused."""
    now = iso(from_seconds(clock()))
    refused = 0
    events = list(_events(_read(file), detail_type, now))
    if not events:
        raise Usage(f"{file} holds no event")
    for number, event in enumerate(events):
        if number:
            output.say()
        refused += not _checked(event, facts, output)
    if refused:
        raise ConsoleError("it would be refused" if refused == 1 else f"{refused} would be refused")


# -- reading -----------------------------------------------------------------------------------------------


def _read(file: Path) -> Any:
    """Raises Usage."""
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if str(file) == _STDIN else _bytes_of(file)
    except OSError as error:
        raise Usage(f"{file} can't be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise Usage(f"{file} is larger than any event: EventBridge takes 256 KiB")
    try:
        return read_json(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Usage(f"{file} is no JSON: {error}") from None


def _bytes_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _events(found: Any, detail_type: str, now: str) -> Iterator[dict[str, Any]]:
    """As EventBridge would deliver them. Raises Usage."""
    if isinstance(found, dict) and isinstance(found.get("Entries"), list):
        found = found["Entries"]
    for one in found if isinstance(found, list) else [found]:
        if not isinstance(one, dict):
            raise Usage("an event is a JSON object; see the README's example")
        yield {"id": "00000000-0000-0000-0000-000000000000", "time": now, **_delivered(one, detail_type)}


def _delivered(one: Mapping[str, Any], detail_type: str) -> dict[str, Any]:
    """Raises Usage."""
    if "detail-type" in one or "detail" in one:
        return dict(one)
    if "DetailType" not in one and "Detail" not in one:
        return {"detail-type": detail_type, "source": "ticketing", "detail": dict(one)}
    detail = one.get("Detail")
    if not isinstance(detail, str):
        raise Usage("Detail of an entry of put-events is a string that holds JSON")
    try:
        told = read_json(detail)
    except (ValueError, RecursionError) as error:
        raise Usage(f"Detail is no JSON: {error}") from None
    return {"detail-type": one.get("DetailType"), "source": one.get("Source"), "detail": told}


# -- telling -----------------------------------------------------------------------------------------------


def _checked(event: Mapping[str, Any], facts: StackFacts, output: Output) -> bool:
    """Print what one event would do; return whether it would be planned."""
    try:
        told = _parsed(json.dumps(event), facts)
        if isinstance(told, MessageRequest):
            _show_request(told, output)
        else:
            _show_ticket(told, facts, output)
    except (InvalidEvent, TemplateFailed) as refusal:
        violations = refusal.violations if isinstance(refusal, InvalidEvent) else (str(refusal),)
        output.record({"refused": True, "violations": list(violations)})
        output.say("refused, and put aside for 'tocsin dead-letters list --queue events':")
        for violation in violations:
            output.say(f"    {violation}")
        return False
    for note in _notes(told):
        output.say(f"note: {note}")
    return True


def _parsed(body: str, facts: StackFacts) -> TicketEvent | MessageRequest:
    """Raises InvalidEvent."""
    region, area, accounts = facts.default_region, facts.default_area, facts.accounts
    request = parse_request(
        body, default_region=region, default_area=area, accounts=accounts, attachments=True
    )
    return request or parse_event(
        body, default_region=region, default_area=area, accounts=accounts, attachments=True
    )


def _show_ticket(event: TicketEvent, facts: StackFacts, output: Output) -> None:
    """Raises TemplateFailed."""
    templates = Templates(*([facts.texts] if facts.texts else []))
    told, lost = recipients(event), unreachable(event)
    output.say(f"{event.event_type}, ticket {event.ticket.id}, revision {event.ticket.revision}")
    for recipient in told:
        rendered = templates.render(event, recipient, facts.default_language)
        files = [one.attachment.file_name for one in event.enclosures if one.is_for(recipient.audience)]
        _show(recipient, rendered.language, rendered.text, files, output)
    _show_lost(lost, output)
    if not told and not lost:
        output.say("it tells nobody: it names no customer, no technician and no group whom it concerns")


def _show_request(request: MessageRequest, output: Output) -> None:
    text = "(sealed)" if request.sealed_text else request.text
    output.say(f"MessageRequested, key {request.key}")
    files = [one.file_name for one in request.files]
    for recipient in request.recipients:
        if recipient.unreachable is None:
            _show(recipient, request.language, text, files, output)
    _show_lost([one for one in request.recipients if one.unreachable is not None], output)


def _show(recipient: Recipient, language: str, text: str, files: list[str], output: Output) -> None:
    # The file is the operator's own, and a wrong number is what they look for: nothing is masked.
    address = recipient.address if recipient.audience == "group" else f"+{recipient.address}"
    told = {"audience": recipient.audience, "to": address, "language": language, "text": text, "files": files}
    output.record({"refused": False, **told})
    output.say()
    named = f" ({recipient.name})" if recipient.name else ""
    output.say(f"{recipient.audience} {address}{named}{f', in {language}' if language else ''}:")
    for line in text.split("\n"):
        output.say(f"  | {line}")
    for name in files:
        output.say(f"  + {name}")


def _show_lost(lost: tuple[Recipient, ...] | list[Recipient], output: Output) -> None:
    for recipient in lost:
        reason = recipient.unreachable
        assert reason is not None  # noqa: S101 - that is what makes it one
        output.record({"audience": recipient.audience, "reason": reason.code, "detail": reason.detail})
        output.say()
        output.say(f"{recipient.audience}: can't be told, {reason.detail} ({reason.code})")


def _notes(told: TicketEvent | MessageRequest) -> Iterator[str]:
    yield from (f"{field} is unknown and ignored" for field in told.ignored)
    yield from (f"{field} is too long and cut" for field in told.cut)
    yield from (f"left out: {what}" for what in told.left_out)
