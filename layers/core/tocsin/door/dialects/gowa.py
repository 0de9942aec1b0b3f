"""go-whatsapp-web-multidevice: `/send/message`, `/send/image`, `/send/file`, `/app/status`, over HTTP Basic.

The password is the token, or what stands behind its dot where the user is the source's name. A device is an
account: header `X-Device-Id` or `?device_id=`; without one it is the source's first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from tocsin.accounts.state import LOGGED_IN, PAIRED
from tocsin.door.answer import Answer, Refused, json_answer
from tocsin.door.bodies import Fields, fields
from tocsin.door.dialect import (
    Accepted,
    Call,
    Route,
    Send,
    account_named,
    basic,
    idempotency_key,
    is_sensitive,
)
from tocsin.door.files import file_of, file_of_part
from tocsin.door.message import File, Message
from tocsin.door.request import Request
from tocsin.door.sources import name_in
from tocsin.door.written import Address, address_of

KIND = "gowa"
MAX_PERSON_CHARACTERS = 15
_CODES = {
    "invalid": "VALIDATION_ERROR",
    "invalid-recipient": "INVALID_JID",
    "unauthorised": "UNAUTHORIZED",
    "not-found": "DEVICE_NOT_FOUND",
    "rate-limited": "TOO_MANY_REQUESTS",
    "unavailable": "GATEWAY_TIMEOUT",
}


def token_of(request: Request) -> str:
    user, password = basic(request)
    return password if name_in(password) is not None else f"{user}.{password}"


def send_message(call: Call) -> Send:
    told = fields(call.request)
    return _send(call, told, told.text("message"))


def send_image(call: Call) -> Send:
    return _send_file(call, "image")


def send_file(call: Call) -> Send:
    return _send_file(call, "file")


def _send_file(call: Call, field: str) -> Send:
    told = fields(call.request)
    part, url = told.files.get(field), told.text(f"{field}_url") or told.text(field)
    if part is None and not url:
        raise Refused(400, "invalid", f"{field}: cannot be blank.")
    sent = file_of_part(part, path=field) if part is not None else file_of(url, path=f"{field}_url")
    return _send(call, told, told.text("caption"), (sent,))


def _send(call: Call, told: Fields, text: str, files: tuple[File, ...] = ()) -> Send:
    message = Message(
        (_address(told.text("phone")),),
        text,
        account=_account(call),
        files=files,
        key=idempotency_key(call.request),
        sensitive=is_sensitive(call.source),
    )
    return Send((message,), accepted)


def _address(phone: str) -> Address:
    """Raises Refused (400)."""
    if phone.startswith("0"):
        raise Refused(400, "invalid", "phone: must be in international format, without a 0 in front")
    if "@" not in phone and len(phone.removeprefix("+")) > MAX_PERSON_CHARACTERS and phone:
        phone = f"{phone}@g.us"
    return address_of(phone, "phone")


def accepted(done: Sequence[Accepted]) -> Answer:
    (one,) = done
    to = one.message.to[0].digits
    said = f"Message queued for {to if '@' in to else to + '@s.whatsapp.net'}"
    results = {"message_id": one.id, "status": said}
    return json_answer(200, {"code": "SUCCESS", "message": said, "results": results})


def status(call: Call) -> Answer:
    account = _account(call)
    state = call.facts.states([account])[account]
    results: dict[str, Any] = {
        "is_connected": state in LOGGED_IN,
        "is_logged_in": state in PAIRED,
        "device_id": account,
        "jid": "",
    }
    return json_answer(200, {"code": "SUCCESS", "message": "Connection status retrieved", "results": results})


def _account(call: Call) -> str:
    """Raises Refused (404)."""
    device = unquote(call.request.header("x-device-id")) or call.request.query_field("device_id")
    account = account_named(call.source, device)
    if account is None:
        raise Refused(404, "not-found", "the device is none of this source's accounts")
    return account


def refuse(refused: Refused) -> Answer:
    code = _CODES.get(refused.code, refused.code.upper().replace("-", "_"))
    body = {"code": code, "message": refused.reason, "results": None}
    headers = dict(refused.headers)
    if refused.status == 401:
        headers["www-authenticate"] = 'Basic realm="tocsin"'
    return json_answer(refused.status, body)._replace(headers=headers)


ROUTES = (
    Route("POST", ("send", "message"), send_message),
    Route("POST", ("send", "image"), send_image),
    Route("POST", ("send", "file"), send_file),
    Route("GET", ("app", "status"), status),
)
