"""PHPNuxBill's `wa_url`: one GET, the number and the text in its query.

    https://…/wa_url?number=[number]&text=[text]&secret=TOKEN

PHPNuxBill looks at the body alone: whatever is neither empty nor `0` it takes for success, whatever the
status. So a refusal has no body, and says its reason in a header. Its texts hold invoices, codes and
passwords: they are sensitive unless the source says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.door.answer import TEXT, Answer, Refused
from tocsin.door.dialect import ON, Accepted, Call, Route, Send, idempotency_key, is_sensitive
from tocsin.door.message import Message
from tocsin.door.request import Request
from tocsin.door.written import address_of

KIND = "phpnuxbill"
REASON_HEADER = "x-tocsin-refused"


def token_of(request: Request) -> str:
    return request.query_field("secret")


def send(call: Call) -> Send:
    number = call.request.query_field("number") or call.request.query_field("param_number")
    text = call.request.query_field("text") or call.request.query_field("param_text")
    message = Message(
        (address_of(number, "number"),),
        text,
        key=idempotency_key(call.request),
        sensitive=is_sensitive(call.source, ON),
    )
    return Send((message,), accepted)


def accepted(done: Sequence[Accepted]) -> Answer:
    return Answer(200, f"queued {done[0].id}", TEXT)


def refuse(refused: Refused) -> Answer:
    return Answer(refused.status, "", TEXT, {REASON_HEADER: refused.code, **refused.headers})


ROUTES = (Route("GET", ("wa_url",), send),)
