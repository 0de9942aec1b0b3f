"""Finding the current client version in WhatsApp's own page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.support.dribbling import dribbling
from tocsin.connector.version import VersionUnknown, look_up, parse, refresh


@pytest.mark.parametrize(
    "page",
    [
        rb'x("{\"client_revision\":1045649367,\"a\":1}")',
        b'{"client_revision":1045649367,"server":2}',
        b'"client_revision" : 1045649367, "client_revision":1999999999',
    ],
)
def test_the_first_revision_counts(page: bytes) -> None:
    assert parse(page) == (2, 3000, 1045649367)


@pytest.mark.parametrize("page", [b"", b"<html>", b'"client_revision":12345', b'"client_revision":null'])
def test_a_page_without_a_plausible_one_is_no_news(page: bytes) -> None:
    with pytest.raises(VersionUnknown):
        parse(page)


PAGES = {
    "/good": b'"client_revision":1045649367',
    "/other": b'"client_revision":1045649999',
    "/empty": b"<html>",
}


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = PAGES.get(self.path)
            self.send_response(404 if page is None else 200)
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_first_page_that_tells_is_believed(site: str) -> None:
    assert look_up("agent", urls=(f"{site}/good", f"{site}/other")) == (2, 3000, 1045649367)


@pytest.mark.parametrize("first", ["/empty", "/missing"])
def test_another_page_is_asked_where_the_first_doesn_t_tell(site: str, first: str) -> None:
    assert look_up("agent", urls=(site + first, f"{site}/other")) == (2, 3000, 1045649999)


def test_where_no_page_tells_both_reasons_are_given(site: str) -> None:
    with pytest.raises(VersionUnknown, match=r"no plausible client_revision.*404"):
        look_up("agent", urls=(f"{site}/empty", f"{site}/missing"))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
    ],
    ids=["without a length", "with one", "in its head"],
)
def test_a_page_that_dribbles_is_given_up_in_time(head: bytes) -> None:
    with dribbling(head) as url, pytest.raises(VersionUnknown, match=r"no whole answer within 0.3 s"):
        look_up("agent", 0.3, urls=(url, url))


async def test_an_older_version_than_ours_is_not_adopted() -> None:
    around: Any = Asked("wss://web.whatsapp.com/ws/chat")
    around.version = (2, 3000, 2000000000)
    await refresh(around)
    assert around.lookups == 1
    assert around.version == (2, 3000, 2000000000)


class Asked:
    """Looks as often as it is asked to."""

    def __init__(self, url: str) -> None:
        self.config, self.aws, self.version = self, self, (2, 3000, 1)
        self.whatsapp_url, self.lookups = url, 0

    async def call(self, function: object, agent: str) -> tuple[int, int, int]:
        self.lookups += 1
        if self.lookups > 1:
            raise VersionUnknown("no page")
        return 2, 3000, 1999999999


async def test_the_next_login_shows_what_was_found_and_keeps_what_it_has_if_nothing_was() -> None:
    around: Any = Asked("wss://web.whatsapp.com/ws/chat")
    for _ in range(2):
        await refresh(around)
        assert around.version == (2, 3000, 1999999999)


async def test_a_local_server_has_nothing_to_ask() -> None:
    around: Any = Asked("ws://127.0.0.1:1/ws/chat")
    await refresh(around)
    assert around.lookups == 0
