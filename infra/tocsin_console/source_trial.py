"""`tocsin sources test`: what a sample of a request would become. Nothing is sent, and nobody is told.

A sample is a body, or a whole request: `POST /message/sendText/default`, headers, an empty line, the body.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.accounts.state import AccountState
from tocsin.door.answer import Answer, Entry, Refused, json_answer
from tocsin.door.desks.foreign import translate_event
from tocsin.door.desks.of_source import BUS, kind_of_source, options_of_source
from tocsin.door.desks.translate import Refusal, Translation, translate
from tocsin.door.dialect import Call, Progress, Send, Tell
from tocsin.door.message import checked, entry_of
from tocsin.door.request import Request
from tocsin.door.routing import HOOKS, find
from tocsin.door.tickets import restricted
from tocsin.timestamps import from_seconds
from tocsin_console import masking, source_urls
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output
from tocsin_console.source_records import find as find_source

if TYPE_CHECKING:
    from tocsin.door.sources import Source
    from tocsin_console.deployment import Deployment

_PATHS = {
    "api": "/v1/messages",
    "evolution": "/message/sendText/{account}",
    "waha": "/api/sendText",
    "gowa": "/send/message",
    "fonnte": "/send",
}
_METHODS = ("GET ", "POST ", "PUT ", "PATCH ")


class _Facts:
    """What a trial is told: all accounts connected, no message known."""

    def __init__(self, deployment: Deployment, now: int) -> None:
        self._deployment = deployment
        self.now = now

    def states(self, accounts: Sequence[str]) -> Mapping[str, AccountState]:
        return dict.fromkeys(accounts, AccountState.CONNECTED)

    def normal(self, phone: str) -> str:
        return self._deployment.phone(phone)

    def violations(self, entry: Entry, accounts: Sequence[str]) -> Sequence[str]:
        from tocsin.door.tickets import violations_of

        return violations_of(
            entry,
            accounts=accounts,
            default_region=self._deployment["DefaultRegion"],
            default_area=self._deployment.default_area,
            attachments=bool(self._deployment.attachments_bucket),
        )

    def progress(self, source: str, message_id: str) -> Sequence[Progress]:
        return ()


def show_trial(
    deployment: Deployment,
    name: str,
    sample: Path,
    output: Output,
    *,
    clock: Callable[[], float] = time.time,
) -> None:
    """Print the events that a sample would become. Raises NotFound, Usage, ConsoleError."""
    source = find_source(deployment, name)
    facts = _Facts(deployment, from_seconds(clock()))
    try:
        entries = _entries(source, _request(source, sample), facts, output)
    except Refused as refused:
        found = list(refused.violations) or [refused.reason]
        output.record({"refused": refused.code, "violations": found})
        for line in found:
            output.say(f"refused: {line}")
        raise ConsoleError(f"the sample is refused: {refused.code}") from None
    for entry in entries:
        _show(entry, facts, output, source)


def _entries(source: Source, request: Request, facts: _Facts, output: Output) -> Sequence[Entry]:
    """Raises Refused, ConsoleError."""
    if source_urls.is_dialect(source.kind):
        found = find(request)
        if found is None or found.route is None or source.kind != found.dialect.KIND:
            raise ConsoleError(f"the sample's path is none that the kind {source.kind} answers")
        result = found.route.handle(Call(request, found.parts, source, facts))
    else:
        result = _translated(source, request, facts, output)
    if isinstance(result, Tell):
        return result.entries
    if isinstance(result, Answer):
        raise ConsoleError(f"no event would come of it; the answer is {result.status} {result.body[:400]}")
    assert isinstance(result, Send)  # noqa: S101 - there is no fourth
    messages = [checked(message, source, facts.normal) for message in result.messages]
    return [entry_of(one, "sample", source.name, _files(one.files)) for one in messages]


def _files(files: Sequence[Any]) -> list[dict[str, str]]:
    return [{"name": file.name, "mime": file.mime, "url": file.url or "…"} for file in files]


def _translated(source: Source, request: Request, facts: _Facts, output: Output) -> Tell | Answer:
    found = _tried(source, request, facts.now)
    if isinstance(found, Answer):
        return found
    if isinstance(found, Refusal):
        raise Refused(422, "invalid-event", "no event can be made of it", violations=found.violations)
    if found.entry is None:
        return json_answer(200, {"ignored": found.ignored})
    entry, left_out = restricted(found.entry, source, facts.normal)
    for repair in found.repairs:
        output.say(f"repaired: {repair}")
    for path in left_out:
        output.say(f"left out: {path}, whom this source may not reach")
    for wanted in found.wanted:
        output.say(f"asked for: the phone of {wanted.id}, if the source has a client")
    return Tell((entry,), json_answer(200, {}))


def _tried(source: Source, request: Request, now: int) -> Translation | Answer | Refusal:
    """Raises Usage for what is no event of a bus."""
    if source.kind == BUS:
        try:
            event = json.loads(request.body)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "detail" not in event:
            raise Usage(
                "a sample for a source of kind bus is a whole event, with source, detail-type and detail"
            )
        return translate_event(source, event)
    kind, options = kind_of_source(source), options_of_source(source)
    return translate(kind, request.headers, request.body, request.raw_query, now / 1000, options)


def _request(source: Source, sample: Path) -> Request:
    """Raises Usage."""
    try:
        raw = sample.read_bytes()
    except OSError as error:
        raise Usage(f"{sample} can't be read: {error.strerror or error}") from None
    if not raw.startswith(tuple(method.encode() for method in _METHODS)):
        path = _PATHS.get(source.kind, f"/{HOOKS}/{source.name}").format(account=source.account)
        if source.kind == "api" and b'"ticket"' in raw:
            path = "/v1/tickets"
        return Request("POST", path, "", {"content-type": "application/json"}, raw)
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, target, *_ = first.split(" ")
    path, _, query = target.partition("?")
    headers = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines)
        if colon
    }
    if headers.get("content-transfer-encoding") == "base64":
        body = base64.b64decode(body)
    return Request(method, path, query, headers, body)


def _show(entry: Entry, facts: _Facts, output: Output, source: Source) -> None:
    detail = entry.detail
    output.record({"event": entry.detail_type, "detail": detail})
    ticket = detail.get("ticket")
    about = f" of ticket {ticket['id']}, revision {ticket['revision']}" if isinstance(ticket, dict) else ""
    output.say(f"{entry.detail_type}{about}, account {detail.get('account', source.account)}")
    if isinstance(ticket, dict):
        output.say(f"  subject     {ticket['subject']}")
        for field in ("customer", "technicians", "groups"):
            for one in (detail.get(field) and _listed(detail[field])) or ():
                output.say(f"  {field:<11} {_reached(one, facts)}")
        for violation in facts.violations(entry, source.accounts):
            output.say(f"  the planner would refuse it: {violation}")
        return
    for one in detail["recipients"]:
        output.say(f"  to          {_reached(one.get('group') or one, facts)}")
    sensitive = bool(detail.get("sensitive"))
    output.say(f"  text        {'(sensitive)' if sensitive else detail['text'][:200]}")
    for file in detail.get("files", ()):
        output.say(f"  file        {file['name']}")


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _reached(one: Any, facts: _Facts) -> str:
    """Who it is, with the number masked, or why nobody can be told by it."""
    if isinstance(one, str):
        return one
    name, phone = str(one.get("name") or ""), str(one.get("phone") or "")
    if not phone:
        return f"{name} (no phone)".strip()
    try:
        return f"{name} +{masking.phone(facts.normal(phone))}".strip()
    except ValueError as error:
        return f"{name} ({error})".strip()
