"""Somebody's system that hears outcomes by webhook: on loopback, it verifies each before it believes it."""

from __future__ import annotations

import contextlib
import dataclasses
import hmac
import io
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tocsin.hooks.signing import signature
from tocsin_console import hooks
from tocsin_console.output import Output
from tocsin_local.world import World

PARAMETERS: Final[Mapping[str, str]] = {"OutcomeHooks": "on"}
"""Of the stack that tells outcomes to webhooks."""

MAX_BODY_BYTES = 300_000
READ_SECONDS = 10


@dataclass
class Listener:
    """`heard`: what was verified; `refused`: how many were not."""

    hook: str = ""
    secret: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Hear one webhook. Return the status to answer with."""
        identity, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        told = headers.get("webhook-signature", "").split()
        own = signature(self.secret, identity, int(moment), body) if moment.isdecimal() else ""
        if not own or not any(hmac.compare_digest(own.encode(), one.encode()) for one in told):
            self.refused += 1
            return 401
        self.heard.append(json.loads(body))
        return 204

    def types(self, notification: str) -> list[str]:
        """What it heard of one notification, in its order."""
        return [one["type"] for one in self.heard if one["data"].get("notification_id") == notification]


@contextlib.contextmanager
def listener_of(here: World) -> Iterator[Listener]:
    """A webhook of a running stack while the block lasts, added as `tocsin hooks add` does."""
    listener = Listener()

    class Request(BaseHTTPRequestHandler):
        timeout = READ_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("content-length") or "0"
            if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                self.send_error(413)
                return
            body = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(listener.take(headers, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the demo says what was heard."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        added = add_hook(here, f"http://127.0.0.1:{server.server_address[1]}/tocsin")
        listener.hook, listener.secret = added["hook"], added["secret"]
        yield listener
        server.shutdown()


def add_hook(here: World, url: str) -> dict[str, str]:
    """Add a webhook that hears of everything; its id and its secret."""
    # What the console learns of a stack that it looks up: this one is on one machine.
    deployment = dataclasses.replace(here.deployment, parameters={"Timing": "trial"})
    told = io.StringIO()
    output = Output(as_json=True, stream=told)
    hooks.add(deployment, url, events=(), accounts=(), form="standard", output=output)
    added: dict[str, str] = json.loads(told.getvalue())
    return added
