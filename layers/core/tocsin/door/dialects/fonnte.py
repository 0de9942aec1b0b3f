"""Fonnte: `POST /send`, with the bare token as `Authorization`; or GET with everything in the query.

`target` holds several numbers between commas, each maybe with a name and values for `{name}`, `{var1}` … in
the text: `0812…|Siti|INV-7`. Callers look at `status` of the answer, so a refusal is 200 as well: only of
what is worth another try the status says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tocsin.door.answer import Answer, Refused, json_answer
from tocsin.door.bodies import Fields, fields
from tocsin.door.dialect import Accepted, Call, Route, Send, bearer, idempotency_key, is_sensitive
from tocsin.door.files import file_of, file_of_part
from tocsin.door.message import MAX_RECIPIENTS, MAX_TEXT_CHARACTERS, File, Message
from tocsin.door.request import Request
from tocsin.door.written import Address, address_of

KIND = "fonnte"
COUNTRY_CODE = "62"
"""Takes the place of a leading 0, unless the caller names another one; `0` turns that off."""


def token_of(request: Request) -> str:
    return bearer(request) or request.header("authorization") or request.query_field("token")


def send_by_post(call: Call) -> Send:
    return _send(call, fields(call.request))


def send_by_get(call: Call) -> Send:
    return _send(call, Fields({name: values[0] for name, values in call.request.query.items()}, {}))


def _send(call: Call, told: Fields) -> Send:
    if told.text("schedule") not in ("", "0"):
        raise Refused(400, "invalid", "schedule is not supported")
    code = told.text("countryCode") or COUNTRY_CODE
    targets = [part.strip() for part in told.text("target").split(",") if part.strip()]
    if not 0 < len(targets) <= MAX_RECIPIENTS:
        raise Refused(400, "invalid", f"target: is not 1 to {MAX_RECIPIENTS} numbers")
    said = [_said(target, told.text("message"), code) for target in targets]
    key, files = idempotency_key(call.request), tuple(_files(told))
    messages = [
        Message(
            tuple(address for address, text in said if text == words),
            words,
            files=files,
            key=f"{key}/{number}" if key else "",
            sensitive=is_sensitive(call.source),
        )
        for number, words in enumerate(dict.fromkeys(text for _, text in said))
    ]
    return Send(tuple(messages), accepted)


def _said(target: str, text: str, code: str) -> tuple[Address, str]:
    """Whom a target names, and what is said to them. Raises Refused (400)."""
    number, *values = target.split("|")
    names = ["name", *(f"var{count}" for count in range(1, len(values)))]
    for name, value in zip(names, values, strict=False):
        if len(text) + text.count(f"{{{name}}}") * len(value) > MAX_TEXT_CHARACTERS:
            raise Refused(400, "invalid", f"message: is longer than {MAX_TEXT_CHARACTERS} characters")
        text = text.replace(f"{{{name}}}", value)
    number = number.strip()
    if code != "0" and number.startswith("0") and not number.startswith("00"):
        number = f"+{code.removeprefix('+')}{number[1:]}"
    return address_of(number, "target"), text


def _files(told: Fields) -> Iterator[File]:
    """Raises Refused (400, 413)."""
    part = told.files.get("file")
    if part is not None:
        yield file_of_part(part, name=told.text("filename"))
    elif told.text("url"):
        yield file_of(told.text("url"), name=told.text("filename"), path="url")


def accepted(done: Sequence[Accepted]) -> Answer:
    told = [(one.id, address.digits) for one in done for address in one.message.to]
    return json_answer(
        200,
        {
            "detail": "success! message in queue",
            "id": [message_id for message_id, _ in told],
            "process": "pending",
            "requestid": int(done[0].id[-8:], 16),
            "status": True,
            "target": [target for _, target in told],
        },
    )


def refuse(refused: Refused) -> Answer:
    reason = "token invalid" if refused.status == 401 else refused.reason
    status = refused.status if refused.status in (429, 503) else 200
    return json_answer(status, {"status": False, "reason": reason})._replace(headers=refused.headers)


ROUTES = (Route("POST", ("send",), send_by_post), Route("GET", ("send",), send_by_get))
