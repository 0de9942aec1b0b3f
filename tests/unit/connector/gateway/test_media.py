"""Uploads to the media hosts of the local server, over TLS that is verified."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from hashlib import sha256
from typing import Any

import pytest

from tests.support.dribbling import dribbling
from tests.support.local_server import SITI, Clock
from tocsin.connector.gateway import media
from tocsin.connector.gateway.media import DownloadFailed, Uploader, UploadFailed, UploadRefused
from tocsin.connector.https import fetch
from tocsin.whatsapp.media import download_path, encrypt
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.media import MediaServer
from tocsin_whatsapp_server.switchboard import Switchboard

BLOB = encrypt(b"%PDF-1.7", "document", bytes(32)).blob

LONG_ENOUGH = 60
"""Seconds after which a test has failed."""


@dataclass
class Hosts:
    """A media server, an account that may upload, and what the account's uploader asks for."""

    board: Switchboard
    server: MediaServer
    uploader: Uploader
    clock: Clock
    asked: list[Node] = field(default_factory=list)
    before: list[str] = field(default_factory=list)

    async def ask(self, node: Node) -> Node:
        self.asked.append(node)
        device = self.board.directory.by_number(SITI).devices[0]
        numbered = Node(node.tag, {**node.attrs, "id": "1"}, node.content)
        answer = self.board._queries.answer(device, numbered, 0).stanza
        connection = answer.child("media_conn")
        if connection is None:
            return answer
        extra = tuple(Node("host", {"hostname": name}) for name in self.before)
        told = Node("media_conn", connection.attrs, extra + connection.children())
        return Node("iq", answer.attrs, (told,))

    async def upload(self, blob: bytes = BLOB) -> tuple[str, str]:
        return await self.uploader.upload(self.ask, "document", blob)


@asynccontextmanager
async def hosts(*, trusted: bool = True) -> AsyncIterator[Hosts]:
    from tocsin_whatsapp_server.phone import Phone

    clock = Clock()
    board = Switchboard(clock=clock, random=os.urandom)
    Phone(board.directory.register(SITI, "Siti"), board)
    server = MediaServer(board.media, "127.0.0.1")
    await server.start()
    try:
        authority = server.certificate if trusted else None
        uploader = Uploader(clock=clock, trust=lambda: ssl.create_default_context(cadata=authority))
        yield Hosts(board, server, uploader, clock)
    finally:
        await server.stop()


def with_hosts(**options: Any) -> Callable[..., Any]:
    def decorate(test: Any) -> Any:
        @wraps(test)
        def run() -> None:
            async def body() -> None:
                async with asyncio.timeout(LONG_ENOUGH), hosts(**options) as there:
                    await test(there)

            asyncio.run(body())

        del run.__wrapped__  # type: ignore[attr-defined]
        return run

    return decorate


@with_hosts()
async def test_a_file_is_uploaded_and_can_be_fetched_where_it_is_said_to_be(there):
    url, path = await there.upload()
    assert url == f"https://{there.board.media.host}{path}"
    assert there.board.media.fetch(path + "&hash=x") == BLOB


@with_hosts()
async def test_the_hosts_are_asked_for_once_in_their_lifetime(there):
    await there.upload()
    await there.upload()
    assert len(there.asked) == 1
    there.clock.now += 3600
    await there.upload()
    assert len(there.asked) == 2


@with_hosts()
async def test_a_host_that_fails_is_passed_over(there):
    there.board.faults.make({"kind": "upload-error", "code": 503, "n": 1})
    await there.upload()
    assert len(there.asked) == 1


@pytest.mark.parametrize("code", [401, 403, 404, 405, 410, 429, 451, 500, 507])
def test_what_one_host_says_of_itself_is_final_for_no_other(code: int) -> None:
    @with_hosts()
    async def run(there):
        there.board.faults.make({"kind": "upload-error", "code": code, "n": 1})
        _, path = await there.upload()
        assert there.board.media.fetch(path) == BLOB

    run()


@with_hosts()
async def test_the_host_that_stands_in_for_another_is_asked_in_its_place(there):
    there.board.media.host, kept = "127.0.0.1:1", there.board.media.host
    await there.upload()
    assert there.board.media.fallback not in ("", kept)


@with_hosts()
async def test_a_host_that_answers_by_drops_is_given_up_in_time(there):
    with dribbling() as url, pytest.MonkeyPatch.context() as quick:
        slow = url.removeprefix("http://")
        ended: list[str] = []

        def fetched(method: str, url: str, **how: Any) -> tuple[int, bytes]:
            if slow not in url:
                return fetch(method, url, **how)
            try:
                return fetch(method, url.replace("https", "http", 1), **how | {"seconds": 0.3})
            except TimeoutError as exc:
                ended.append(str(exc))
                raise

        quick.setattr(media, "fetch", fetched)
        there.before = [slow]
        await there.upload()
        assert ended == ["no whole answer within 0.3 s"]


@with_hosts()
async def test_a_host_that_nobody_answers_at_is_passed_over(there):
    there.before = ["127.0.0.1:1"]
    await there.upload()


@with_hosts()
async def test_a_ticket_that_is_not_known_any_more_is_asked_for_anew(there):
    await there.upload()
    there.board.media.ticket(there.board.directory.by_number(SITI).devices[0])
    await there.upload()
    assert len(there.asked) == 2


@with_hosts()
async def test_after_two_rounds_the_upload_failed_and_may_be_tried_again(there):
    there.board.faults.make({"kind": "upload-error", "code": 500, "n": 100})
    with pytest.raises(UploadFailed, match="answered 500"):
        await there.upload()
    assert len(there.asked) == 2


@with_hosts()
async def test_what_a_host_will_never_take_is_refused_at_once(there):
    there.board.faults.make({"kind": "upload-error", "code": 413, "n": 100})
    with pytest.raises(UploadRefused, match="answered 413"):
        await there.upload()
    assert there.board.faults.waiting()[0].left == 99


@with_hosts(trusted=False)
async def test_a_host_whose_certificate_is_not_trusted_gets_nothing(there):
    with pytest.raises(UploadFailed, match="CERTIFICATE_VERIFY_FAILED"):
        await there.upload()
    assert there.board.events.after(0, "upload") == []


@with_hosts()
async def test_a_server_that_names_no_hosts_is_an_upload_that_failed(there):
    there.board.media.host = ""
    with pytest.raises(UploadFailed, match="no media hosts"):
        await there.upload()


@with_hosts()
async def test_hosts_that_hang_keep_nothing_else_waiting(there):
    """The loop's own threads look up names for the sockets of all accounts."""
    loop, asked, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hang(*_: object) -> tuple[int, bytes]:
        loop.call_soon_threadsafe(asked.set)
        go.wait(LONG_ENOUGH)
        raise OSError("gone")

    loop.set_default_executor(ThreadPoolExecutor(1))
    with pytest.MonkeyPatch.context() as hosts:
        hosts.setattr(media, "_post", hang)
        upload = asyncio.ensure_future(there.upload())
        await asked.wait()
        try:
            async with asyncio.timeout(LONG_ENOUGH / 2):
                await asyncio.to_thread(int)
        finally:
            go.set()
            with pytest.raises(UploadFailed):
                await upload


# Downloads


async def left_by_a_phone(there: Any, body: bytes = BLOB) -> str:
    return there.board.media.keep("md-msg-hist", body)


async def download(there: Any, path: str, digest: bytes | None = None) -> bytes:
    return await there.uploader.download(there.ask, path, digest or sha256(BLOB).digest())


@with_hosts()
async def test_a_file_is_fetched_by_its_path_and_hash(there):
    assert await download(there, await left_by_a_phone(there)) == BLOB


@pytest.mark.parametrize("code", [403, 404, 410, 500])
def test_a_host_that_does_not_give_it_out_is_passed_over(code: int) -> None:
    @with_hosts()
    async def run(there):
        there.board.faults.make({"kind": "download-error", "code": code, "n": 1})
        assert await download(there, await left_by_a_phone(there)) == BLOB

    run()


@with_hosts()
async def test_a_file_that_is_gone_everywhere_is_not_had(there):
    there.board.faults.make({"kind": "download-error", "code": 410, "n": 10})
    with pytest.raises(DownloadFailed, match="answered 410"):
        await download(there, await left_by_a_phone(there))


@with_hosts()
async def test_another_file_under_the_path_is_not_taken(there):
    with pytest.raises(DownloadFailed, match="another file"):
        await download(there, await left_by_a_phone(there, b"something else"))


@with_hosts()
async def test_more_than_may_be_fetched_is_not_read_to_its_end(there):
    with pytest.MonkeyPatch.context() as small:
        small.setattr(media, "MAX_DOWNLOAD", len(BLOB) - 1)
        with pytest.raises(DownloadFailed, match="more than"):
            await download(there, await left_by_a_phone(there))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v/1",
        "//evil.test/v/1",
        "/v/1 HTTP/1.1",
        "/v/1\r\nX: y",
        "/v/1#x",
        "https://evil.test/",
        "/@x\\y",
        "/é",
    ],
)
def test_what_is_no_path_leads_to_no_host(path: str) -> None:
    with pytest.raises(ValueError, match="not a file"):
        download_path("md-msg-hist", path, bytes(32))
