"""The media hosts: files come in as ciphertext, are checked against the name they were given, and lie there.

`MediaStore` decides, `MediaServer` is its HTTPS. Clients build `https://host/…` themselves, so the port is
part of the host name, and the certificate must be given to them (`NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`).
"""

from __future__ import annotations

import asyncio
import datetime
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import urlsplit

from aiohttp import web

from tocsin.connector.certificate import make_certificate
from tocsin_whatsapp_server.directory import Device
from tocsin_whatsapp_server.events import EventLog
from tocsin_whatsapp_server.faults import Faults

Random = Callable[[int], bytes]

MAX_BYTES = 100 * 2**20
TICKET_SECONDS = 3600
ORIGIN = "https://web.whatsapp.com"
KINDS = ("image", "document", "video", "audio")


class MediaRefused(Exception):
    """Answered with an HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status = status
        self.why = why


class MediaStore:
    """`host`: where the files can be had, as clients write it; empty until the server listens. `fallback`: an
    address that stands in for it."""

    def __init__(self, random: Random, events: EventLog, faults: Faults) -> None:
        self._random = random
        self._events = events
        self._faults = faults
        self._tickets: dict[str, Device] = {}
        self._files: dict[str, bytes] = {}
        self.host = ""
        self.fallback = ""

    def ticket(self, device: Device) -> str:
        """What the device shows when it uploads. The one before holds no longer."""
        self._tickets = {ticket: owner for ticket, owner in self._tickets.items() if owner is not device}
        ticket = self._random(24).hex()
        self._tickets[ticket] = device
        return ticket

    def accept(self, kind: str, token: str, auth: str, origin: str, body: bytes) -> str:
        """Keep an uploaded file; its direct path. Raises MediaRefused."""
        owner = self._tickets.get(auth)
        if owner is None:
            raise MediaRefused(401, "auth is no ticket of ours: ask media_conn again")
        account = owner.account.number
        if fault := self._faults.take("upload-error", account, owner.number):
            raise MediaRefused(fault.params["code"], "injected")
        if kind not in KINDS:
            raise MediaRefused(404, f"no media of kind {kind}")
        if origin != ORIGIN:
            raise MediaRefused(403, f"Origin must be {ORIGIN}")
        if not hmac.compare_digest(token.rstrip("="), _token(body)):
            raise MediaRefused(400, "token isn't the hash of the body")
        path = f"/v/{kind}/{token.rstrip('=')}.enc?ccb=1"
        self._files[path] = body
        self._events.add("upload", account=account, device=owner.number, media=kind, bytes=len(body))
        return path

    def keep(self, kind: str, body: bytes) -> str:
        """Keep what a phone in this process leaves here; its direct path."""
        path = f"/v/{kind}/{_token(body)}.enc?ccb=1"
        self._files[path] = body
        return path

    def slowness(self) -> float:
        """A fault: seconds before an upload is answered."""
        fault = self._faults.take("upload-slow", "", -1)
        return float(fault.params["seconds"]) if fault else 0.0

    def fetch(self, path: str) -> bytes:
        """What lies under a direct path. Raises MediaRefused."""
        if fault := self._faults.take("download-error", "", -1):
            raise MediaRefused(fault.params["code"], "injected")
        return self.look(path)

    def look(self, path: str) -> bytes:
        """The same for the phones in this process, which meet no faults."""
        split = urlsplit(path)
        for known, body in self._files.items():
            if urlsplit(known).path == split.path:
                return body
        raise MediaRefused(404, "no such file")


class MediaServer:
    """`start`, then `certificate` is what clients must trust."""

    def __init__(self, store: MediaStore, host: str) -> None:
        self._store = store
        self._host = host
        self._runner: web.AppRunner | None = None
        self.certificate = ""

    async def start(self) -> None:
        app = web.Application(client_max_size=MAX_BYTES)
        app.add_routes(
            [
                web.post("/mms/{kind}/{token}", self._upload),
                web.get("/v/{kind}/{name}", self._download),
            ]
        )
        certificate = make_certificate(self._host, datetime.datetime.now(datetime.UTC))
        self.certificate = certificate.pem
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        for _ in range(2):
            await web.TCPSite(self._runner, self._host, 0, ssl_context=certificate.server_context()).start()
        host = f"[{self._host}]" if ":" in self._host else self._host
        ports = [address[1] for address in self._runner.addresses]
        self._store.host, self._store.fallback = (f"{host}:{port}" for port in ports)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _upload(self, request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(self._store.slowness())
        try:
            path = self._store.accept(
                request.match_info["kind"],
                request.query.get("token", ""),
                request.query.get("auth", ""),
                request.headers.get("Origin", ""),
                body,
            )
        except MediaRefused as refusal:
            return web.json_response({"error": refusal.why}, status=refusal.status)
        return web.json_response({"url": f"https://{self._store.host}{path}", "direct_path": path})

    async def _download(self, request: web.Request) -> web.Response:
        try:
            body = self._store.fetch(request.path)
        except MediaRefused as refusal:
            return web.json_response({"error": refusal.why}, status=refusal.status)
        return _part(request, body)


def _part(request: web.Request, body: bytes) -> web.Response:
    """All of it, or the range that was asked for."""
    try:
        wanted = request.http_range
    except ValueError:
        raise web.HTTPRequestRangeNotSatisfiable from None
    if "Range" not in request.headers:
        return web.Response(body=body)
    start, stop, _ = wanted.indices(len(body))
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
    return web.Response(status=206, body=body[start:stop], headers=headers)


def _token(body: bytes) -> str:
    return urlsafe_b64encode(sha256(body).digest()).decode().rstrip("=")
