"""A stand-in for the parts of Lambda's API by which the connector's task gets its code.

GetLayerVersionByArn links to the archive, and `fetch_layer` is the function of connector.yaml, run as it is
written there.
"""

from __future__ import annotations

import json
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

from tests.support.templates import properties

FUNCTION = "tocsin-FetchLayerFunction-1ABCDEFGHIJKL"

RESPONSE_BYTES = 6 * 1024 * 1024
"""What a synchronous invocation may answer at most (Lambda's quotas)."""


@dataclass
class LambdaApi:
    """`digest`: the SHA-256 that it tells of `content`, in Base64. `before`: asked ahead of each invocation
    with its number, from 1; it returns another answer (status, error code if any, body), or None. `ranges`:
    whether the link knows parts. `actions`: what was asked for; `invocations`: event and bytes of answer.
    """

    content: bytes
    digest: str
    before: Callable[[int], tuple[int, str, bytes] | None] = lambda number: None
    ranges: bool = True
    url: str = ""
    actions: list[str] = field(default_factory=list)
    invocations: list[tuple[dict[str, Any], int]] = field(default_factory=list)

    def invoke(self, payload: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, as Lambda answers."""
        event = json.loads(payload)
        self.actions.append("lambda:InvokeFunction")
        changed = self.before(len(self.invocations) + 1)
        if changed is not None:
            status, code, body = changed
            self.invocations.append((event, len(body)))
            name = "x-amzn-ErrorType" if status != 200 else "X-Amz-Function-Error"
            return status, {name: code} if code else {}, body
        try:
            body = json.dumps(self._handler()(event, None)).encode()
        except Exception as error:  # noqa: BLE001  as Lambda does
            told = {"errorMessage": str(error), "errorType": type(error).__name__}
            traceback.print_exc()
            return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(told).encode()
        self.invocations.append((event, len(body)))
        if len(body) > RESPONSE_BYTES:
            told = {"errorType": "Function.ResponseSizeTooLarge"}
            return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(told).encode()
        return 200, {}, body

    def _handler(self) -> Callable[[dict[str, Any], None], str]:
        """What the template's code makes of its handler's name: a new process of the function each time."""
        its = properties("FetchLayerFunction", "infra/connector.yaml")
        module, _, name = its["Handler"].partition(".")
        assert module == "index"
        code: dict[str, Any] = {}
        environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        with patch.dict(os.environ, environment):
            exec(its["Code"]["ZipFile"], code)  # noqa: S102  our own template's code
        handler: Callable[[dict[str, Any], None], str] = code[name]
        return handler

    def part(self, wanted: str | None) -> tuple[int, bytes]:
        """What S3 answers to a Range header, or to none."""
        if wanted is None or not self.ranges:
            return 200, self.content
        start, _, end = wanted.removeprefix("bytes=").partition("-")
        return 206, self.content[int(start) : int(end) + 1]


@contextmanager
def lambda_api(content: bytes, digest: str, **more: Any) -> Iterator[LambdaApi]:
    """One that listens while the block lasts."""
    api = LambdaApi(content, digest, **more)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "find=LayerVersion" not in self.path:
                self.answer(*api.part(self.headers["Range"]))
                return
            api.actions.append("lambda:GetLayerVersion")
            told = {"Location": f"{api.url}/layer.zip", "CodeSha256": digest, "CodeSize": len(content)}
            self.answer(200, json.dumps({"Content": told, "Version": 7}).encode())

        def do_POST(self) -> None:
            assert self.path.endswith(f"/functions/{FUNCTION}/invocations"), self.path
            status, headers, body = api.invoke(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(status, body, headers)

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
