"""The control API: scripts phones, injects faults, reads the audit. HTTP with JSON, on a port of its own.

Whoever waits passes `wait=seconds` and is answered as soon as there is something new: no test has to sleep.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web

from tocsin_whatsapp_server.directory import Account, UnknownNumber
from tocsin_whatsapp_server.faults import KINDS, InvalidFault
from tocsin_whatsapp_server.groups import ADMIN, MEMBER, MODES, Change, Group, UnknownGroup
from tocsin_whatsapp_server.inbox import InvalidRequest
from tocsin_whatsapp_server.linking import LinkFailed
from tocsin_whatsapp_server.pairing import InvalidQr
from tocsin_whatsapp_server.passkey import FLAGS, ORIGIN, CeremonyRefused
from tocsin_whatsapp_server.passkey_gate import Shown
from tocsin_whatsapp_server.phone import Phone
from tocsin_whatsapp_server.server import NumberTaken, WhatsAppServer

MAX_WAIT_SECONDS = 60.0
MAX_BODY_BYTES = 1_000_000

STATUS: dict[type[Exception], int] = {
    InvalidRequest: 400,
    InvalidFault: 400,
    UnknownNumber: 404,
    UnknownGroup: 404,
    InvalidQr: 409,
    NumberTaken: 409,
    LinkFailed: 422,
}
"""What the caller did wrong, and the status that says so."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")


class Control:
    """`start` opens the port; `url` says where. Every answer is JSON, errors as {"error": what to do}."""

    def __init__(self, server: WhatsAppServer, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = server
        self._board = server.switchboard
        self._host, self._port = host, port
        self._changed = asyncio.Event()
        self._board.events.on_event.append(lambda _: self._changed.set())
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(middlewares=[errors_as_json], client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.get("/", self.index),
                web.get("/health", self.health),
                web.get("/audit", self.audit),
                web.get("/events", self.events),
                web.get("/phones", self.phones),
                web.post("/phones", self.add_phone),
                web.get("/phones/{number}", self.phone),
                web.post("/phones/{number}/link", self.link),
                web.get("/phones/{number}/passkey", self.passkey),
                web.post("/phones/{number}/passkey", self.use_passkey),
                web.post("/phones/{number}/companions", self.add_companion),
                web.delete("/phones/{number}/devices/{device}", self.unlink),
                web.get("/phones/{number}/messages", self.messages),
                web.post("/phones/{number}/messages", self.write),
                web.get("/phones/{number}/files/{id}", self.file),
                web.post("/phones/{number}/read", self.read),
                web.post("/phones/{number}/timer", self.set_timer),
                web.post("/phones/{number}/faults", self.phone_fault),
                web.get("/groups", self.groups),
                web.post("/groups", self.add_group),
                web.get("/groups/{id}", self.group),
                web.post("/groups/{id}", self.set_group),
                web.post("/groups/{id}/members", self.add_members),
                web.delete("/groups/{id}/members/{number}", self.remove_member),
                web.get("/faults", self.faults),
                web.post("/faults", self.inject),
                web.delete("/faults", self.clear_faults),
                web.delete("/faults/{id}", self.clear_faults),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    # -- the whole ---------------------------------------------------------------------------------------

    async def index(self, request: web.Request) -> web.Response:
        """This list."""
        routes = [
            {"request": f"{route.method} {route.resource.canonical}", "what": _first_line(route.handler)}
            for route in request.app.router.routes()
            if route.method != "HEAD" and route.resource is not None
        ]
        return web.json_response({"routes": routes})

    async def health(self, request: web.Request) -> web.Response:
        """Up; where clients connect, and how many phones and companions there are."""
        companions = [device for device in self._board.online if device.number]
        return web.json_response(
            {
                "ok": True,
                "url": self._server.url,
                "root_public_key": self._server.root_public_key.hex(),
                "media_certificate": self._server.media_certificate,
                "phones": len(self._server.phones),
                "companions_online": len(companions),
                "uptime_seconds": round(self._board.clock() - self._server.started_at, 1),
            }
        )

    async def audit(self, request: web.Request) -> web.Response:
        """What went through, and what should never have."""
        return web.json_response(self._board.audit.report())

    async def events(self, request: web.Request) -> web.Response:
        """?after=number of the last event seen, ?kind=, ?wait=seconds."""
        after, kind = int(_number(request, "after")), request.query.get("kind")
        found = await self._until(request, lambda: self._board.events.after(after, kind))
        last = max((event.number for event in found), default=after)
        return web.json_response({"events": [event.as_json() for event in found], "last": last})

    async def _until(self, request: web.Request, look: Callable[[], list[T]]) -> list[T]:
        """What `look` finds, as soon as it finds something, or nothing when `wait` is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + min(_number(request, "wait"), MAX_WAIT_SECONDS)
        while not (found := look()) and loop.time() < end:
            self._changed.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._changed.wait()
            except TimeoutError:
                break
        return found

    # -- phones ------------------------------------------------------------------------------------------

    async def phones(self, request: web.Request) -> web.Response:
        """Every phone, with its devices."""
        return web.json_response(
            {"phones": [self._describe(phone) for phone in self._server.phones.values()]}
        )

    async def add_phone(self, request: web.Request) -> web.Response:
        """{"number", "name", "reads": true}: a phone whose owner reads what it gets at once. "passkey":
        companions are linked with its passkey only."""
        body = await _body(
            request, {"number": str, "name": str}, {"reads": bool, "business": bool, "passkey": bool}
        )
        phone = self._server.add_phone(body["number"], body["name"], reads=body.get("reads", False))
        phone.account.business = body.get("business", False)
        phone.account.gated = body.get("passkey", False)
        return web.json_response(self._describe(phone), status=201)

    async def phone(self, request: web.Request) -> web.Response:
        """One phone: its addresses and devices, whether they are online, prekeys left, stanzas queued."""
        return web.json_response(self._describe(self._phone(request)))

    async def link(self, request: web.Request) -> web.Response:
        """{"qr"}: the phone scans a code, or {"code"}: its owner types one. Answered when it is linked, or
        (202) when the account's passkey is wanted first."""
        body = await _body(request, {}, {"qr": str, "code": str})
        number = request.match_info["number"]
        if len(body) != 1:
            raise InvalidRequest("either qr (what the companion shows as a QR code) or code (to be typed in)")
        if "qr" in body:
            device = await self._server.link(number, body["qr"])
        else:
            device = await self._server.link_by_code(number, body["code"])
        if device is None:
            return web.json_response({"passkey": "wanted"}, status=202)
        return web.json_response(
            {
                "device": device.number,
                "jid": str(device.pn),
                "lid": str(device.lid),
                "platform": device.platform,
            },
            status=201,
        )

    async def passkey(self, request: web.Request) -> web.Response:
        """What the phone shows of the last ceremony: step, code to compare, and why it was refused."""
        gate = self._server.phone(request.match_info["number"]).at_gate
        return web.json_response(gate.shown.as_json() if gate is not None else Shown().as_json())

    async def use_passkey(self, request: web.Request) -> web.Response:
        """{"options"}: what a browser that has the account's passkey makes of them, on WhatsApp's own
        page."""
        body = await _body(request, {"options": dict}, {"origin": str, "flags": int})
        passkey = self._server.phone(request.match_info["number"]).passkey
        try:
            answer = passkey.answer(
                body["options"], origin=body.get("origin", ORIGIN), flags=body.get("flags", FLAGS) & 0xFF
            )
        except CeremonyRefused as error:
            raise InvalidRequest(str(error)) from error
        return web.json_response(answer)

    async def add_companion(self, request: web.Request) -> web.Response:
        """A companion in this process; ?companion= its number then means it instead of the phone."""
        body = await _body(request, {}, {"hosted": bool}) if request.can_read_body else {}
        hosted = body.get("hosted", False)
        companion = self._server.add_companion(request.match_info["number"], hosted=hosted)
        return web.json_response({"device": companion.device.number}, status=201)

    async def unlink(self, request: web.Request) -> web.Response:
        """The owner removes a companion under "Linked devices"."""
        account, text = self._phone(request).account, request.match_info["device"]
        device = account.devices.get(int(text)) if text.isdecimal() else None
        if device is None or device.number == 0:
            known = ", ".join(str(number) for number in account.devices if number) or "none"
            raise InvalidRequest(f"no companion {text}; linked now: {known}")
        self._board.unlink(device)
        return web.json_response({"unlinked": device.number})

    async def messages(self, request: web.Request) -> web.Response:
        """What the phone shows. ?after=count of those seen already, ?wait=seconds for one more."""
        phone, after = self._phone(request), int(_number(request, "after"))
        found = await self._until(request, lambda: phone.messages()[after:])
        return web.json_response(
            {
                "messages": [entry.as_json() for entry in found],
                "waiting": [entry.as_json() for entry in phone.waiting()],
                "from_own_devices": [entry.as_json() for entry in phone.from_own_devices()],
                "sent": [entry.as_json() for entry in phone.sent()],
            }
        )

    async def write(self, request: web.Request) -> web.Response:
        """{"to": a number or a group, "text", "quote": id of a message on the phone}"""
        body = await _body(request, {"to": str, "text": str}, {"quote": str})
        phone, to = self._phone(request), body["to"]
        recipient = self._board.groups.get(to) if "@g.us" in to else self._server.phone(to).account
        sent = phone.write(recipient, body["text"], quote=body.get("quote"))
        return web.json_response(sent.as_json(), status=201)

    async def file(self, request: web.Request) -> web.Response:
        """The file of a message on the phone, as it was before it was encrypted."""
        return web.Response(body=self._phone(request).file(request.match_info["id"]))

    async def read(self, request: web.Request) -> web.Response:
        """{"id"}: the owner looks at a message, and its sender gets a read receipt."""
        body = await _body(request, {"id": str})
        self._phone(request).read(body["id"])
        return web.json_response({"read": body["id"]})

    async def set_timer(self, request: web.Request) -> web.Response:
        """{"to": number, "seconds"}: after so long messages in that chat disappear; 0 for never."""
        body = await _body(request, {"to": str, "seconds": int})
        sent = self._phone(request).set_timer(self._server.phone(body["to"]).account, body["seconds"])
        return web.json_response(sent.as_json(), status=201)

    async def phone_fault(self, request: web.Request) -> web.Response:
        """{"kind", "contact": number, "device": number}; the last two narrow session faults down."""
        body = await _body(request, {"kind": str}, {"contact": str, "device": int})
        phone, kind = self._phone(request), body["kind"]
        contact = self._server.phone(body["contact"]).account if "contact" in body else None
        try:
            break_it = PHONE_FAULTS[kind]
        except KeyError:
            raise InvalidFault(f"unknown kind {kind!r}; known: {', '.join(PHONE_FAULTS)}") from None
        hit = break_it(phone, contact, body.get("device"))
        self._board.events.add("phone-fault", phone=phone.account.number, fault=kind, sessions=hit)
        return web.json_response({"kind": kind, "sessions": hit, "online": phone.online})

    def _phone(self, request: web.Request) -> Phone:
        """The phone, or the companion that `?companion=` names."""
        number, companion = request.match_info["number"], int(_number(request, "companion"))
        return self._server.companion(number, companion) if companion else self._server.phone(number)

    def _describe(self, phone: Phone) -> dict[str, Any]:
        account = phone.account
        devices = [
            {
                "device": device.number,
                "platform": device.platform,
                "online": self._board.is_online(device),
                "prekeys": len(device.prekeys),
                "queued": len(device.mailbox),
            }
            for device in account.devices.values()
        ]
        return {
            "number": account.number,
            "name": account.name,
            "jid": str(account.pn),
            "lid": str(account.lid),
            "online": phone.online,
            "reads": phone.reads,
            "devices": devices,
        }

    # -- groups ------------------------------------------------------------------------------------------

    async def groups(self, request: web.Request) -> web.Response:
        """Every group."""
        return web.json_response({"groups": [group.as_json() for group in self._board.groups]})

    async def add_group(self, request: web.Request) -> web.Response:
        """{"subject", "members": numbers, the first one its admin, "addressing_mode": "lid" or "pn"}"""
        body = await _body(request, {"subject": str, "members": list}, {"addressing_mode": str})
        creator, *members = self._accounts(body["members"])
        mode = _mode(body.get("addressing_mode", "lid"))
        change = self._board.groups.create(body["subject"], creator, members, now=self._board.now, mode=mode)
        return self._told(change, status=201)

    async def group(self, request: web.Request) -> web.Response:
        """One group: its members, its mode, who may write."""
        return web.json_response(self._group(request).as_json())

    async def set_group(self, request: web.Request) -> web.Response:
        """{"addressing_mode", "announcement", "suspended", "expiration"}: what is given changes."""
        settings = {"addressing_mode": str, "announcement": bool, "suspended": bool, "expiration": int}
        body, group = await _body(request, {}, settings), self._group(request)
        if "addressing_mode" in body:
            body["mode"] = _mode(body.pop("addressing_mode"))
        for change in self._board.groups.set(group, **body):
            self._board.group_changed(change)
        return web.json_response(group.as_json())

    async def add_members(self, request: web.Request) -> web.Response:
        """{"numbers", "admin": false}: the group's creator adds them, or changes what they are."""
        body = await _body(request, {"numbers": list}, {"admin": bool})
        group, accounts = self._group(request), self._accounts(body["numbers"])
        change = self._board.groups.add(group, group.creator, accounts)
        if "admin" in body:
            self._board.group_changed(change)
            role = ADMIN if body["admin"] else MEMBER
            change = self._board.groups.promote(group, group.creator, accounts, role)
        return self._told(change, status=201)

    async def remove_member(self, request: web.Request) -> web.Response:
        """The creator removes somebody; `?leave=1`: they go by themselves."""
        group, account = self._group(request), self._server.phone(request.match_info["number"]).account
        author = account if _number(request, "leave") else group.creator
        return self._told(self._board.groups.remove(group, author, [account]))

    def _told(self, change: Change, *, status: int = 200) -> web.Response:
        self._board.group_changed(change)
        return web.json_response(change.group.as_json(), status=status)

    def _group(self, request: web.Request) -> Group:
        return self._board.groups.get(request.match_info["id"])

    def _accounts(self, numbers: list[Any]) -> list[Account]:
        if not numbers:
            raise InvalidRequest("at least one number is needed")
        return [self._server.phone(str(number)).account for number in numbers]

    # -- faults ------------------------------------------------------------------------------------------

    async def faults(self, request: web.Request) -> web.Response:
        """The faults that lie in wait, and all kinds with their parameters."""
        kinds = {
            name: {"meaning": kind.meaning, "parameters": sorted(kind.defaults)}
            for name, kind in KINDS.items()
        }
        waiting = [fault.as_json() for fault in self._board.faults.waiting()]
        return web.json_response({"waiting": waiting, "kinds": kinds})

    async def inject(self, request: web.Request) -> web.Response:
        """{"kind", "account", "device", "to", …}; {"kind": "clear"} removes those that lie in wait."""
        body = await _json(request)
        if body.get("kind") == "clear":
            return web.json_response({"cleared": self._board.faults.clear()})
        fault = self._board.faults.make(body)
        hit = self._board.inject(fault)
        return web.json_response({**fault.as_json(), "devices_hit": hit}, status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """End one fault, or all that lie in wait."""
        text = request.match_info.get("id")
        if text is not None and not text.isdecimal():
            raise InvalidFault("the id of a fault is a number; GET /faults lists them")
        return web.json_response({"cleared": self._board.faults.clear(int(text) if text else None)})


def _online(phone: Phone, contact: Account | None, device: int | None) -> int:
    phone.go_online()
    return 0


def _offline(phone: Phone, contact: Account | None, device: int | None) -> int:
    phone.go_offline()
    return 0


def _reinstall(phone: Phone, contact: Account | None, device: int | None) -> int:
    hit = len(phone.sessions_with(None, None))
    phone.reinstall()
    return hit


PHONE_FAULTS: dict[str, Callable[[Phone, Account | None, int | None], int]] = {
    "forget-session": Phone.forget_sessions,
    "corrupt-session": Phone.corrupt_sessions,
    "forget-sender-keys": Phone.forget_sender_keys,
    "corrupt-sender-keys": Phone.corrupt_sender_keys,
    "spoil-retry-keys": Phone.spoil_retry_keys,
    "reinstall": _reinstall,
    "offline": _offline,
    "online": _online,
}
"""Each returns how many sessions it hit."""


def _mode(name: str) -> str:
    if name not in MODES:
        raise InvalidRequest(f"addressing_mode must be one of {', '.join(MODES)}")
    return name


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except tuple(STATUS) as error:
        return web.json_response({"error": str(error)}, status=STATUS[type(error)])
    except web.HTTPNotFound:
        return web.json_response({"error": f"no such page: {request.path}"}, status=404)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return web.json_response({"error": f"{request.path} takes {allowed}"}, status=405)
    except web.HTTPRequestEntityTooLarge:
        return web.json_response({"error": f"more than {MAX_BODY_BYTES} bytes"}, status=413)


def _first_line(handler: Callable[..., Any]) -> str:
    return (handler.__doc__ or "").partition("\n")[0]


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.text())
    except (ValueError, UnicodeDecodeError):
        raise InvalidRequest("the body must be JSON") from None
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    return body


async def _body(
    request: web.Request, required: dict[str, type], optional: dict[str, type] | None = None
) -> dict[str, Any]:
    """The body, with every wrong field named. Raises InvalidRequest."""
    body, known = await _json(request), required | (optional or {})
    problems = [f"{name} is missing" for name in required if name not in body]
    problems += [f"{name} is not known" for name in body if name not in known]
    problems += [
        f"{name} must be {known[name].__name__}"
        for name, value in body.items()
        if name in known and type(value) is not known[name]
    ]
    if problems:
        raise InvalidRequest("; ".join(problems))
    return body


def _number(request: web.Request, name: str) -> float:
    """A query parameter that counts something; 0 if it isn't there."""
    text = request.query.get(name, "0")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise InvalidRequest(f"{name} must be a number from 0 up, not {text!r}")
    return value
