"""The console's page, served to a browser that tells everything: its cookies, its headers, what it got."""

from __future__ import annotations

import asyncio
import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from tocsin_console.deployment import Deployment
from tocsin_console.page.door import Door
from tocsin_console.page.server import application, listening
from tocsin_console.page.site import Site


class Answer(NamedTuple):
    """What a browser got. `raw`: the document as it was sent."""

    status: int
    headers: dict[str, str]
    raw: str

    @property
    def text(self) -> str:
        """Its words, as a reader sees them."""
        body = re.sub(r"<(script|style)\b.*?</\1>", " ", self.raw, flags=re.DOTALL)
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body))).strip()


@dataclass
class Browser:
    """A browser that may have come in. `cookie`: as it is sent; `origin`: of the page that is open."""

    site: Site
    cookie: str = ""
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def own(self) -> str:
        return f"http://127.0.0.1:{self.site.door.port}"

    def comes_in(self) -> Browser:
        """Take an invitation."""
        answer = self.get(self.site.door.invitation().removeprefix(self.own))
        assert answer.status == 303, answer.text
        self.cookie = answer.headers["set-cookie"].split(";")[0]
        session = self.site.door.session(self.cookie.partition("=")[2])
        assert session is not None
        self.csrf = session.csrf
        return self

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> Answer:
        """Send a form of this page; `headers` replace its own."""
        body = urlencode({"csrf": self.csrf, **fields})
        usual = {"Origin": self.own, "Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, body, usual | (headers or {}))

    def submit(self, path: str, **fields: str) -> Answer:
        """The same, and what it leads to."""
        answer = self.post(path, **fields)
        assert answer.status == 303, answer.text
        return self.get(answer.headers["location"])

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.site.door.port, timeout=60)
        sent = self.headers | ({"Cookie": self.cookie} if self.cookie else {})
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def served(deployment: Deployment, **more: object) -> Iterator[Browser]:
    """The page of a deployment, and a browser that has not come in yet. `more`: of the `Site`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with listening(0) as door_socket:
        site = Site(deployment, Door(door_socket.getsockname()[1]), **more)  # type: ignore[arg-type]
        runner = web.AppRunner(application(site), access_log=None, shutdown_timeout=0.1)

        async def begin() -> None:
            await runner.setup()
            await web.SockSite(runner, door_socket).start()

        asyncio.run_coroutine_threadsafe(begin(), loop).result(60)
        try:
            yield Browser(site)
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(60)
