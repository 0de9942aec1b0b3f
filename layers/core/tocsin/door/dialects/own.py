"""Tocsin's own calls: `POST /v1/messages`, `POST /v1/tickets`, `GET /v1/messages/{id}`, `GET /v1/accounts`.

`Authorization: Bearer TOKEN`; `Idempotency-Key`; errors are problem+json (RFC 9457). `openapi.json` describes
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.door.answer import (
    MAX_VIOLATIONS,
    PROBLEM,
    Answer,
    Entry,
    Refused,
    invalid,
    json_answer,
    not_allowed,
    not_found,
)
from tocsin.door.bodies import json_object
from tocsin.door.dialect import (
    ANY,
    Accepted,
    Call,
    Progress,
    Route,
    Send,
    Tell,
    bearer,
    idempotency_key,
    is_sensitive,
)
from tocsin.door.files import file_of
from tocsin.door.message import MAX_RECIPIENTS, File, Message, checked_key, demand_own_files
from tocsin.door.request import Request
from tocsin.door.tickets import restricted
from tocsin.door.written import address_of
from tocsin.timestamps import iso

KIND = "api"
EVENTS: Mapping[str, str] = {
    "created": "TicketCreated",
    "assigned": "TicketAssigned",
    "updated": "TicketUpdated",
    "replied": "TicketReplied",
    "resolved": "TicketResolved",
}
"""What a caller says happened → the event."""

_MESSAGE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

MESSAGE_FIELDS = frozenset(
    {"to", "text", "account", "audience", "language", "sensitive", "priority", "files", "key"}
)
FILE_FIELDS = frozenset({"name", "mime", "url", "key", "content"})


def token_of(request: Request) -> str:
    return bearer(request)


# -- messages ----------------------------------------------------------------------------------------------


def send(call: Call) -> Send:
    """Raises Refused (400, 413)."""
    told = json_object(call.request.body)
    unknown = sorted(set(told) - MESSAGE_FIELDS)
    if unknown:
        raise invalid(
            *(f"{name[:64]}: is unknown; known are {', '.join(sorted(MESSAGE_FIELDS))}" for name in unknown)
        )
    to = told.get("to")
    recipients = to[: MAX_RECIPIENTS + 1] if isinstance(to, list) else [to]
    files = told.get("files") or []
    if not isinstance(files, list):
        raise invalid("files: is not a list")
    message = Message(
        tuple(address_of(one, f"to[{number}]") for number, one in enumerate(recipients)),
        _text(told, "text"),
        account=_text(told, "account"),
        language=_text(told, "language"),
        sensitive=_flag(told, "sensitive", is_sensitive(call.source)),
        urgent=_urgent(told),
        audience=_audience(told),
        key=idempotency_key(call.request) or _text(told, "key"),
        files=tuple(_file(one, f"files[{number}]") for number, one in enumerate(files)),
    )
    return Send((message,), accepted)


def accepted(done: Sequence[Accepted]) -> Answer:
    """202 for what is new, 200 for what the bus had by the same key."""
    (one,) = done
    body: dict[str, Any] = {"id": one.id, "state": "accepted", "account": one.message.account}
    body["recipients"] = [address.recipient for address in one.message.to]
    if one.repeated:
        body["repeated"] = True
    return json_answer(200 if one.repeated else 202, body, location=f"/v1/messages/{one.id}")


def show(call: Call) -> Answer:
    """Raises Refused (404)."""
    message_id = call.parts[0]
    known = _MESSAGE_ID.fullmatch(message_id)
    found = call.facts.progress(call.source.name, message_id) if known else ()
    if not found:
        raise not_found("no message of that id is known: it may not have been planned yet, or was refused")
    return json_answer(200, {"id": message_id, "notifications": [_progress(one) for one in found]})


def _progress(one: Progress) -> dict[str, Any]:
    told: dict[str, Any] = {"id": one.notification, "state": one.state, "at": iso(one.at)}
    return {**told, "reason": one.reason} if one.reason else told


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name}: is not text")
    return value or ""


def _flag(told: Mapping[str, Any], name: str, default: bool) -> bool:
    value = told.get(name, default)
    if not isinstance(value, bool):
        raise invalid(f"{name}: is neither true nor false")
    return value


def _audience(told: Mapping[str, Any]) -> str:
    audience = told.get("audience", "")
    if audience not in ("", "customer", "technician"):
        raise invalid("audience: is neither customer nor technician")
    return str(audience)


def _urgent(told: Mapping[str, Any]) -> bool:
    priority = told.get("priority", "normal")
    if priority not in ("normal", "urgent"):
        raise invalid("priority: is neither normal nor urgent")
    return bool(priority == "urgent")


def _file(told: object, path: str) -> File:
    """Raises Refused (400, 413)."""
    if not isinstance(told, dict) or not set(told) <= FILE_FIELDS:
        raise invalid(f"{path}: is no object of {', '.join(sorted(FILE_FIELDS))}")
    places = [name for name in ("url", "key", "content") if told.get(name)]
    if len(places) != 1:
        raise invalid(f"{path}: needs one of url, key and content")
    name, mime, place = _text(told, "name"), _text(told, "mime"), _text(told, places[0])
    if places[0] == "key":
        return File(name or place.rpartition("/")[2], mime, bucket_key=place)
    return file_of(place, name=name, mime=mime, path=f"{path}.{places[0]}")


# -- tickets -----------------------------------------------------------------------------------------------


def tell_ticket(call: Call) -> Tell:
    """Raises Refused (400, 403, 422)."""
    told = json_object(call.request.body)
    kind = told.pop("event", None)
    detail_type = EVENTS.get(str(kind)) or (kind if kind in EVENTS.values() else None)
    if detail_type is None:
        raise invalid(f"event: is none of {', '.join(EVENTS)}")
    if told.setdefault("account", call.source.account) not in call.source.accounts:
        raise not_allowed("this source may not use that account")
    enclosed = told.get("attachments")
    demand_own_files(
        [one.get("key") for one in enclosed if isinstance(one, dict)] if isinstance(enclosed, list) else []
    )
    entry, left_out = restricted(Entry(str(detail_type), told), call.source, call.facts.normal)
    violations = call.facts.violations(entry, call.source.accounts)
    if violations:
        raise Refused(422, "invalid-event", "the ticket event breaks its schema", violations=violations)
    ticket = told["ticket"]
    body = {"ticket": ticket["id"], "revision": ticket["revision"], "event": detail_type, "state": "accepted"}
    if left_out:
        body["left_out"] = list(left_out[:MAX_VIOLATIONS])
    return Tell(
        (entry,),
        json_answer(202, body),
        key=checked_key(idempotency_key(call.request)),
        again=json_answer(200, {**body, "repeated": True}),
    )


# -- accounts and errors -----------------------------------------------------------------------------------


def accounts(call: Call) -> Answer:
    states = call.facts.states(call.source.accounts)
    return json_answer(
        200, {"accounts": [{"account": name, "state": str(state)} for name, state in states.items()]}
    )


def refuse(refused: Refused) -> Answer:
    body: dict[str, Any] = {
        "type": f"urn:tocsin:problem:{refused.code}",
        "title": refused.code,
        "status": refused.status,
        "detail": refused.reason,
    }
    if refused.violations:
        body["violations"] = list(refused.violations)
    headers = dict(refused.headers)
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return json_answer(refused.status, body, PROBLEM)._replace(headers=headers)


ROUTES = (
    Route("POST", ("v1", "messages"), send),
    Route("GET", ("v1", "messages", ANY), show),
    Route("POST", ("v1", "tickets"), tell_ticket),
    Route("GET", ("v1", "accounts"), accounts),
)
