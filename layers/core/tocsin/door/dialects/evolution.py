"""Evolution API v2: `sendText`, `sendMedia`, `connectionState`, `fetchInstances`, `whatsappNumbers`.

An instance is an account, or the source's own name for its first one. A success is 201: Apprise takes nothing
else but 200 for one. Unlike Evolution itself, nobody is told which instances exist before the key was right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tocsin.accounts.state import LOGGED_IN, PENDING, AccountState
from tocsin.door.answer import Answer, Refused, json_answer, not_found
from tocsin.door.bodies import fields
from tocsin.door.dialect import ANY, Accepted, Call, Route, Send, account_named, idempotency_key, is_sensitive
from tocsin.door.files import file_of, file_of_part
from tocsin.door.message import File, Message
from tocsin.door.request import Request
from tocsin.door.written import Address, address_of

KIND = "evolution"
MAX_NUMBERS = 100
_MEDIA_TYPES = ("image", "document", "video", "audio")
_ERRORS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
}


def token_of(request: Request) -> str:
    return request.header("apikey")


def send_text(call: Call) -> Send:
    account = _account(call)
    told = fields(call.request)
    return _send(call, account, told.text("number"), told.text("text"))


def send_media(call: Call) -> Send:
    account = _account(call)
    told = fields(call.request)
    kind = told.text("mediatype").lower()
    if kind not in _MEDIA_TYPES:
        raise Refused(400, "invalid", f"mediatype: is none of {', '.join(_MEDIA_TYPES)}")
    name, mime = told.text("fileName"), told.text("mimetype")
    part = told.files.get("file") or told.files.get("media")
    if part is not None:
        sent = file_of_part(part, name=name)
    else:
        media = told.text("media")
        if not media:
            raise Refused(400, "invalid", "media: is empty")
        sent = file_of(media, name=name, mime=mime)
        if kind == "document" and sent.content and not name:
            raise Refused(400, "invalid", "fileName: is missing, and a document in base64 has no other name")
    return _send(call, account, told.text("number"), told.text("caption"), (sent,))


def _send(call: Call, account: str, number: str, text: str, files: tuple[File, ...] = ()) -> Send:
    message = Message(
        (address_of(number, "number"),),
        text,
        account=account,
        files=files,
        key=idempotency_key(call.request),
        sensitive=is_sensitive(call.source),
    )
    return Send((message,), accepted)


def accepted(done: Sequence[Accepted]) -> Answer:
    (one,) = done
    return json_answer(
        201,
        {
            "key": {"remoteJid": _jid(one.message.to[0]), "fromMe": True, "id": one.id},
            "pushName": "",
            "status": "PENDING",
            "message": {},
            "contextInfo": None,
            "messageType": "documentMessage" if one.message.files else "conversation",
            "messageTimestamp": one.at // 1000,
            "instanceId": one.message.account,
            "source": "unknown",
        },
    )


def connection_state(call: Call) -> Answer:
    account = _account(call)
    state = state_word(call.facts.states([account])[account])
    return json_answer(200, {"instance": {"instanceName": call.parts[0], "state": state}})


def fetch_instances(call: Call) -> Answer:
    wanted = call.request.query_field("instanceName")
    accounts = call.source.accounts
    if wanted:
        account = account_named(call.source, wanted)
        if account is None:
            raise _no_instance(wanted)
        accounts = (account,)
    states = call.facts.states(accounts)
    return json_answer(200, [_instance(account, states[account]) for account in accounts])


def _instance(account: str, state: AccountState) -> dict[str, Any]:
    return {
        "id": account,
        "name": account,
        "connectionStatus": state_word(state),
        "ownerJid": None,
        "profileName": None,
        "integration": "WHATSAPP-BAILEYS",
    }


def state_word(state: AccountState) -> str:
    """The state in Evolution's words."""
    if state in LOGGED_IN:
        return "open"
    return "connecting" if state in PENDING else "close"


def whatsapp_numbers(call: Call) -> Answer:
    """Whether a number could be written to, as its digits tell: only sending asks WhatsApp. A number that
    can't exist anywhere doesn't."""
    _account(call)
    numbers = fields(call.request).values.get("numbers")
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MAX_NUMBERS:
        raise Refused(400, "invalid", f"numbers: is no list of 1 to {MAX_NUMBERS}")
    return json_answer(200, [_existence(call, number) for number in numbers])


def _existence(call: Call, number: object) -> dict[str, Any]:
    shown = number if isinstance(number, str) else str(number)
    try:
        address = address_of(number, "numbers")
        digits = address.group or call.facts.normal(address.phone)
    except (Refused, ValueError):
        return {"jid": "", "exists": False, "number": shown}
    return {
        "jid": _jid(Address(group=digits) if address.group else Address(digits)),
        "exists": True,
        "number": shown,
    }


def _jid(address: Address) -> str:
    return address.group or f"{address.digits}@s.whatsapp.net"


def _account(call: Call) -> str:
    """Raises Refused (404)."""
    account = account_named(call.source, call.parts[0])
    if account is None:
        raise _no_instance(call.parts[0])
    return account


def _no_instance(name: str) -> Refused:
    return not_found(f'The "{name[:64]}" instance does not exist')


def refuse(refused: Refused) -> Answer:
    message: Any = [refused.reason]
    if refused.status == 401:
        message = "Unauthorized"
    elif refused.code == "invalid-recipient":
        number = str(refused.facts.get("number", ""))
        message = [{"jid": "", "exists": False, "number": number}]
    elif refused.status == 400:
        message = [[one] for one in refused.violations or (refused.reason,)]
    error = _ERRORS.get(refused.status, "Internal Server Error")
    body = {"status": refused.status, "error": error, "response": {"message": message}}
    return json_answer(refused.status, body)._replace(headers=refused.headers)


ROUTES = (
    Route("POST", ("message", "sendText", ANY), send_text),
    Route("POST", ("message", "sendMedia", ANY), send_media),
    Route("GET", ("instance", "connectionState", ANY), connection_state),
    Route("GET", ("instance", "fetchInstances"), fetch_instances),
    Route("POST", ("chat", "whatsappNumbers", ANY), whatsapp_numbers),
)
