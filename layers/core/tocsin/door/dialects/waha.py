"""WAHA: `POST /api/sendText`, `sendImage`, `sendFile`, the deprecated GET, and its sessions.

A session is an account; `default`, or none, is the source's first one. A success is 201 with a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tocsin.accounts.state import LINK_LOST, LOGGED_IN, AccountState
from tocsin.door.answer import Answer, Refused, json_answer, not_found
from tocsin.door.bodies import fields
from tocsin.door.dialect import ANY, Accepted, Call, Route, Send, account_named, idempotency_key, is_sensitive
from tocsin.door.files import file_of
from tocsin.door.message import File, Message
from tocsin.door.request import Request
from tocsin.door.written import address_of

KIND = "waha"
DEFAULT_SESSION = "default"
_STATUS_TEXTS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 422: "Unprocessable Entity"}


def token_of(request: Request) -> str:
    return request.header("x-api-key") or request.query_field("x-api-key")


def send_text(call: Call) -> Send:
    told = fields(call.request)
    return _send(call, told.text("session"), told.text("chatId", "phone"), told.text("text"))


def send_text_by_get(call: Call) -> Send:
    ask = call.request.query_field
    return _send(call, ask("session"), ask("chatId") or ask("phone"), ask("text"))


def send_media(call: Call) -> Send:
    told = fields(call.request)
    file = told.values.get("file")
    if not isinstance(file, dict) or not (file.get("url") or file.get("data")):
        raise Refused(400, "invalid", "file: has neither url nor data", violations=("file: has neither",))
    media, name, mime = (
        str(file.get("url") or file.get("data")),
        str(file.get("filename") or ""),
        str(file.get("mimetype") or ""),
    )
    sent = file_of(media, name=name, mime=mime, path="file")
    return _send(call, told.text("session"), told.text("chatId"), told.text("caption"), (sent,))


def _send(call: Call, session: str, chat: str, text: str, files: tuple[File, ...] = ()) -> Send:
    message = Message(
        (address_of(chat, "chatId"),),
        text,
        account=_account(call, session),
        files=files,
        key=idempotency_key(call.request),
        sensitive=is_sensitive(call.source),
    )
    return Send((message,), accepted)


def accepted(done: Sequence[Accepted]) -> Answer:
    (one,) = done
    chat = one.message.to[0]
    return json_answer(
        201,
        {
            "id": f"true_{_chat_id(chat.digits)}_{one.id}",
            "timestamp": one.at // 1000,
            "from": one.message.account,
            "fromMe": True,
            "source": "api",
            "to": _chat_id(chat.digits),
            "body": "",
            "hasMedia": bool(one.message.files),
            "ack": 0,
            "ackName": "PENDING",
        },
    )


def _chat_id(digits: str) -> str:
    return digits if "@" in digits else f"{digits}@c.us"


def sessions(call: Call) -> Answer:
    states = call.facts.states(call.source.accounts)
    return json_answer(200, [_session(account, states[account]) for account in call.source.accounts])


def session(call: Call) -> Answer:
    account = _account(call, call.parts[0])
    return json_answer(200, _session(call.parts[0], call.facts.states([account])[account]))


def _session(name: str, state: AccountState) -> dict[str, Any]:
    me = {"id": "", "pushName": name} if state in LOGGED_IN else None
    return {"name": name, "status": status_of(state), "config": {}, "me": me, "engine": {"engine": "TOCSIN"}}


def status_of(state: AccountState) -> str:
    """The state in WAHA's words."""
    if state in LOGGED_IN:
        return "WORKING"
    if state in LINK_LOST:
        return "FAILED"
    if state in (AccountState.PAIRING, AccountState.UNPAIRED):
        return "SCAN_QR_CODE"
    return "STARTING" if state is AccountState.CONNECTING else "STOPPED"


def _account(call: Call, session: str) -> str:
    """Raises Refused (404)."""
    account = account_named(call.source, session)
    if account is None and session == DEFAULT_SESSION:
        account = call.source.account
    if account is None:
        raise not_found("Session not found")
    return account


def refuse(refused: Refused) -> Answer:
    if refused.status == 401:
        body: dict[str, Any] = {"message": "Unauthorized", "statusCode": 401}
    else:
        body = {"statusCode": refused.status, "message": refused.reason}
        body["error"] = _STATUS_TEXTS.get(refused.status, refused.code)
    return json_answer(refused.status, body)._replace(headers=refused.headers)


ROUTES = (
    Route("POST", ("api", "sendText"), send_text),
    Route("GET", ("api", "sendText"), send_text_by_get),
    Route("POST", ("api", "sendImage"), send_media),
    Route("POST", ("api", "sendFile"), send_media),
    Route("GET", ("api", "sessions"), sessions),
    Route("GET", ("api", "sessions", ANY), session),
)
