"""The media hosts: what they keep, what they refuse by name, and what phones make of it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from hashlib import sha256

import aiohttp
import pytest

from tests.support.local_server import SITI, Clock, LocalServer
from tocsin.whatsapp import outgoing
from tocsin.whatsapp.media import DOCUMENT, IMAGE, Upload, encrypt, token_of
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin_whatsapp_server.display import EDIT_SECONDS, show
from tocsin_whatsapp_server.media import ORIGIN, MediaRefused, MediaServer
from tocsin_whatsapp_server.switchboard import Switchboard

KEY = bytes(32)
FILE = encrypt(b"%PDF-1.7 a ticket", DOCUMENT, KEY)
TOKEN = token_of(FILE.file_enc_sha256)


@pytest.fixture
def local() -> LocalServer:
    local = LocalServer()
    local.board.media.host = "127.0.0.1:1"
    return local


def ticket(local: LocalServer) -> str:
    return local.board.media.ticket(local.phone(SITI).device)


def test_a_file_lies_under_its_direct_path(local):
    path = local.board.media.accept("document", TOKEN, ticket(local), ORIGIN, FILE.blob)
    assert local.board.media.fetch(path) == FILE.blob
    assert local.board.media.fetch(f"{path}&hash=x&mms-type=document") == FILE.blob


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"auth": "another"}, 401),
        ({"origin": "https://evil.example"}, 403),
        ({"kind": "sticker-pack"}, 404),
        ({"token": "A" * 43}, 400),
        ({"body": FILE.blob + b"!"}, 400),
    ],
)
def test_what_real_hosts_refuse_is_refused(local, change, status):
    given = {"kind": "document", "token": TOKEN, "auth": ticket(local), "origin": ORIGIN, "body": FILE.blob}
    with pytest.raises(MediaRefused) as refused:
        local.board.media.accept(**{**given, **change})
    assert refused.value.status == status


def test_a_ticket_ends_with_the_next_one(local):
    phone = local.phone(SITI)
    old = local.board.media.ticket(phone.device)
    local.board.media.ticket(phone.device)
    with pytest.raises(MediaRefused, match="media_conn"):
        local.board.media.accept("document", TOKEN, old, ORIGIN, FILE.blob)


def test_a_fault_makes_a_file_gone_for_clients_and_not_for_phones(local):
    path = local.board.media.accept("document", TOKEN, ticket(local), ORIGIN, FILE.blob)
    local.board.faults.make({"kind": "download-error", "code": 410})
    with pytest.raises(MediaRefused, match="410"):
        local.board.media.fetch(path)
    assert local.board.media.fetch(path) == FILE.blob


# -- what a phone shows ----------------------------------------------------------------------------------


def described(path: str, **changes: object) -> Message:
    values = {
        "kind": DOCUMENT,
        "media_key": KEY,
        "file_sha256": FILE.file_sha256,
        "file_enc_sha256": FILE.file_enc_sha256,
        "length": 17,
        "url": "https://127.0.0.1:1",
        "direct_path": path,
        "uploaded_at": 1,
    }
    upload = Upload(**{**values, **changes})  # type: ignore[arg-type]
    return Message.FromString(outgoing.document_message(upload, "application/pdf", "a.pdf", "look").body)


def test_a_phone_fetches_decrypts_and_checks_a_file(local):
    path = local.board.media.accept("document", TOKEN, ticket(local), ORIGIN, FILE.blob)
    shown = show(described(path), local.board.media)
    assert (shown.kind, shown.text, shown.file) == ("document", "look", b"%PDF-1.7 a ticket")
    assert shown.media == {
        "mimetype": "application/pdf",
        "length": 17,
        "sha256": sha256(b"%PDF-1.7 a ticket").hexdigest(),
        "file_name": "a.pdf",
        "verified": True,
    }


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"direct_path": "/v/document/none.enc"}, "no such file"),
        ({"media_key": bytes([1]) * 32}, "MAC"),
        ({"file_sha256": bytes(32)}, "hash of the file"),
        ({"file_enc_sha256": bytes(32)}, "hash of the download"),
    ],
)
def test_a_file_that_is_not_what_the_message_says_is_shown_as_such(local, change, problem):
    path = local.board.media.accept("document", TOKEN, ticket(local), ORIGIN, FILE.blob)
    shown = show(described(path, **({"direct_path": path} | change)), local.board.media)
    assert shown.file is None
    assert not shown.media["verified"]
    assert problem in shown.media["problem"]


def test_a_length_that_is_not_so_is_not_verified(local):
    path = local.board.media.accept("document", TOKEN, ticket(local), ORIGIN, FILE.blob)
    assert not show(described(path, length=18), local.board.media).media["verified"]


# -- over HTTPS ------------------------------------------------------------------------------------------


def test_a_range_is_served_as_players_ask_for_it():
    async def body() -> None:
        board = Switchboard(clock=Clock(), random=os.urandom)
        server = MediaServer(board.media, "127.0.0.1")
        await server.start()
        town_like = LocalServer()
        phone = town_like.phone(SITI)
        auth = board.media.ticket(phone.device)
        trust = ssl.create_default_context(cadata=server.certificate)
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
                url = f"https://{board.media.host}/mms/image/{TOKEN}?auth={auth}&token={TOKEN}"
                async with session.post(url, data=FILE.blob, headers={"Origin": ORIGIN}) as answer:
                    told = await answer.json()
                    assert answer.status == 200
                async with session.get(told["url"]) as answer:
                    assert await answer.read() == FILE.blob
                async with session.get(told["url"], headers={"Range": "bytes=2-5"}) as answer:
                    assert (answer.status, await answer.read()) == (206, FILE.blob[2:6])
                    assert answer.headers["Content-Range"] == f"bytes 2-5/{len(FILE.blob)}"
                async with session.get(told["url"], headers={"Range": "lines=1"}) as answer:
                    assert answer.status == 416
                async with session.get(f"https://{board.media.host}/v/image/none") as answer:
                    assert answer.status == 404
        finally:
            await server.stop()

    asyncio.run(body())


def test_images_are_shown_with_their_size(local):
    image = encrypt(b"\x89PNG", IMAGE, KEY)
    token = token_of(image.file_enc_sha256)
    path = local.board.media.accept("image", token, ticket(local), ORIGIN, image.blob)
    upload = Upload(IMAGE, KEY, image.file_sha256, image.file_enc_sha256, 4, "https://x", path, 1, 40, 30)
    message = Message.FromString(outgoing.image_message(upload, "image/png").body)
    shown = show(message, local.board.media)
    assert (shown.media["width"], shown.media["height"], shown.file) == (40, 30, b"\x89PNG")


# -- edits -----------------------------------------------------------------------------------------------


def told(local: LocalServer, write: Callable[[str], bytes]) -> tuple[str, bool]:
    """What Siti's phone shows of a message after somebody wrote again."""
    siti, budi = local.phone(SITI), local.phone("6281200000002")
    first = budi.write(siti.account, "open")
    local.clock.now += write.seconds  # type: ignore[attr-defined]
    again = budi.write(siti.account, "x")
    entry = next(one for one in siti.messages() if one.id == again.id)
    siti._inbox.understand(entry, write(first.id))
    shown = next(one for one in siti.messages() if one.id == first.id)
    return shown.text or "", shown.edited_at is not None


@pytest.mark.parametrize(
    ("seconds", "shown"), [(EDIT_SECONDS, ("solved", True)), (EDIT_SECONDS + 1, ("open", False))]
)
def test_an_edit_counts_for_twenty_minutes(local, seconds, shown):
    def write(message_id: str) -> bytes:
        body = outgoing.text_message("solved")
        return outgoing.edit_message(local.board.directory.by_number(SITI).lid, message_id, body, 1).body

    write.seconds = seconds  # type: ignore[attr-defined]
    assert told(local, write) == shown
