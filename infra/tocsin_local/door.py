"""The HTTP door on loopback: what a function URL does, in front of the function that the emulator runs.

The emulator has function URLs as well, but below a path and with the query written anew, and callers such as
Apprise know no path. So this listens by itself, and hands each request on as Lambda does (payload 2.0)."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from tocsin_console import sources
from tocsin_console.output import Output
from tocsin_console.source_input import Wanted

if TYPE_CHECKING:
    from tocsin_local.world import World

PARAMETERS: Final[Mapping[str, str]] = {"HttpDoor": "on"}
"""Of the stack that has a door."""

Handler = Callable[[dict[str, Any]], Mapping[str, Any]]
"""An event of a function URL → its answer. May be called by several threads at once."""

MAX_BODY_BYTES: Final = 6 * 1024 * 1024
READ_SECONDS: Final = 10.0

_AS_TEXT = ("text/", "application/json", "application/xml", "application/javascript")


def event_of(
    method: str, target: str, headers: Mapping[str, str], body: bytes, source_ip: str = "127.0.0.1"
) -> dict[str, Any]:
    """The event that Lambda makes of a request. A body that isn't of a type of text is in base64, one without
    a type as well; without a body the key lacks."""
    path, _, query = target.partition("?")
    lower = {name.lower(): value for name, value in headers.items()}
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": source_ip}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": lower,
        "requestContext": {"http": http, "requestId": str(uuid.uuid4()), "stage": "$default"},
        "isBase64Encoded": False,
    }
    if body:
        is_text = lower.get("content-type", "").lower().startswith(_AS_TEXT)
        event["isBase64Encoded"] = not is_text
        event["body"] = body.decode(errors="replace") if is_text else base64.b64encode(body).decode()
    return event


def invoking(client: Any, function: str) -> Handler:
    """Asks a function of the emulator. `client`: of Lambda."""

    def ask(event: dict[str, Any]) -> Mapping[str, Any]:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        told: dict[str, Any] = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            return {"statusCode": 502, "body": "Internal Server Error"}
        return told

    return ask


@contextlib.contextmanager
def door_of(here: World, port: int = 0) -> Iterator[str]:
    """The door of a running stack, while the block lasts; yields the URL."""
    with open_door(
        invoking(here.stack.client("lambda"), here.stack.outputs["DoorFunctionName"]), port
    ) as url:
        yield url


def add_source(here: World, url: str, name: str, kind: str) -> str:
    """Add a source to the stack, as `tocsin sources add` does, and return its key. `url`: of the door."""
    deployment = dataclasses.replace(here.deployment, outputs={**here.deployment.outputs, "DoorUrl": url})
    told = io.StringIO()
    sources.add(deployment, Wanted(name, kind), Output(as_json=True, stream=told))
    key: str = json.loads(told.getvalue())["key"]
    return key


@contextlib.contextmanager
def open_door(handler: Handler, port: int = 0) -> Iterator[str]:
    """Listen on loopback while the block lasts; yields the URL. `port` 0: whichever is free."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = READ_SECONDS

        def answer(self) -> None:
            length = self.headers.get("content-length") or "0"
            if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                return self.say(413, {}, b"")
            body = self.rfile.read(int(length))
            try:
                told = handler(event_of(self.command, self.path, dict(self.headers.items()), body))
            except Exception:  # noqa: BLE001 - as Lambda answers whatever went wrong in it
                told = {"statusCode": 502, "body": "Internal Server Error"}
            text = str(told.get("body", "")).encode()
            return self.say(int(told.get("statusCode", 200)), told.get("headers", {}), text)

        def say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, str(value))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Nothing: a path may hold a key."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", port), Request)
    thread = threading.Thread(target=server.serve_forever, name="door", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
