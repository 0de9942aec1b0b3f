"""Files, quotes, edits and reactions between Tocsin and two clients that nobody here wrote."""

import base64
import ssl
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Condition
from urllib.request import urlopen

import pytest

from tests.bench.client import ACCOUNT, Client
from tests.interop import whatsmeow_client
from tests.interop.baileys_client import Baileys, missing
from tests.interop.driven_client import DrivenClient
from tests.interop.whatsmeow_client import WhatsMeow
from tocsin.keys.timers import ChatTimer
from tocsin.multidevice.transport import MultiDevice
from tocsin.multidevice.uploads import Uploads
from tocsin.notify.attachments import Stored
from tocsin.notify.content import Attachment, Content, Edit, File, Preview, Quote, Reaction, Text
from tocsin.notify.transport import Outgoing
from tocsin.tables.names import message_id_of
from tocsin.whatsapp.content import content_of
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.media import DOCUMENT, IMAGE, decrypt
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin.whatsapp.timer import Timer
from tocsin_whatsapp_server.control_client import LocalWhatsApp

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

DESK, SITI, BUDI = "6281100000001", "6281200000001", "6281200000002"


def png(width: int, height: int) -> bytes:
    """A black image."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(width)) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PDF = b"%PDF-1.7\n" + bytes(range(256)) * 700
FILES = {"ticket.pdf": PDF, "photo.png": png(40, 30)}


class Bucket:
    """Files as the bucket holds them."""

    name = "files"

    def read(self, attachment: Attachment) -> Stored:
        body = FILES[attachment.key]
        return Stored(body, sha256(body).hexdigest())


@dataclass
class Tocsin:
    """Tocsin's transport, one message after the other; `heard`: what others wrote, by message id."""

    client: Client
    transport: MultiDevice
    heard: dict[str, Message] = field(default_factory=dict)
    arrived: Condition = field(default_factory=Condition)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def hear(self, message_id: str, message: Message) -> None:
        with self.arrived:
            self.heard[message_id] = message
            self.arrived.notify_all()

    def await_message(self, message_id: str) -> Message:
        def wait() -> bool:
            with self.arrived:
                return self.arrived.wait_for(lambda: message_id in self.heard, timeout=60)

        assert self.client.meanwhile(wait), f"nothing under {message_id}"
        return self.heard[message_id]

    def send(self, content: Content, to: str = SITI) -> str:
        notification = f"{next(self.numbers):018x}"
        address = self.transport.address_of(
            ACCOUNT, to, self.client.keys.contacts.address_item(f"{to}@s.whatsapp.net")
        )
        self.transport.send(Outgoing(ACCOUNT, to, notification, content, address)).settle()
        return message_id_of(notification)


@pytest.fixture(scope="module")
def whatsapp() -> Iterator[LocalWhatsApp]:
    with LocalWhatsApp.start() as server:
        server.control.add_phone(DESK, "Desk")
        server.control.add_phone(SITI, "Siti")
        server.control.add_phone(BUDI, "Budi")
        yield server


@pytest.fixture(scope="module")
def tocsin(whatsapp: LocalWhatsApp) -> Iterator[Tocsin]:
    heard: list[Tocsin] = []
    with Client(
        whatsapp.url,
        bytes.fromhex(whatsapp.root_public_key),
        media_certificate=whatsapp.media_certificate,
        on_message=lambda *message: heard[0].hear(*message),
    ) as client:
        heard.append(Tocsin(client, client.transport(lambda: Uploads(Bucket()))))  # type: ignore[arg-type]
        client.link(whatsapp.control, DESK)
        yield heard[0]


@pytest.fixture(scope="module")
def baileys(whatsapp: LocalWhatsApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baileys]:
    with Baileys.start(
        whatsapp.url, tmp_path_factory.mktemp("siti"), media_certificate=whatsapp.media_certificate
    ) as client:
        client.link(whatsapp.control, SITI)
        yield client


@pytest.mark.cell("Tocsin", "media")
@pytest.mark.cell("Baileys", "media")
@pytest.mark.parametrize(
    ("key", "media_type", "kind"),
    [("ticket.pdf", "application/pdf", "documentMessage"), ("photo.png", "image/png", "imageMessage")],
)
def test_baileys_downloads_what_tocsin_sends_and_it_is_the_same_to_the_byte(
    tocsin, baileys, whatsapp, key, media_type, kind
):
    message_id = tocsin.send(File(Attachment(key, f"for Siti {key}", media_type), "for your ticket"))
    message = baileys.wait("message", id=message_id)
    assert (message["kind"], message["caption"], message["mimetype"]) == (kind, "for your ticket", media_type)
    if kind == "documentMessage":
        assert message["file_name"] == f"for Siti {key}"
    else:
        assert (message["width"], message["height"]) == (40, 30)
    got = baileys.command("download", id=message_id)
    assert base64.b64decode(got["base64"]) == FILES[key]
    assert got["told"] == got["sha256"] == sha256(FILES[key]).hexdigest()
    shown = whatsapp.control.wait_for_message(SITI, message_id)
    assert shown["media"]["verified"]
    assert whatsapp.control.file(SITI, message_id) == FILES[key]


@pytest.mark.cell("Baileys", "media")
@pytest.mark.parametrize(("key", "kind"), [("ticket.pdf", DOCUMENT), ("photo.png", IMAGE)])
def test_tocsin_reads_what_baileys_uploads(tocsin, baileys, tmp_path: Path, key, kind, whatsapp):
    assert uploaded(baileys, tocsin, whatsapp, tmp_path, key, kind) == FILES[key]


def uploaded(
    sender: DrivenClient, tocsin: Tocsin, whatsapp: LocalWhatsApp, folder: Path, key: str, kind: str
) -> bytes:
    """What Tocsin makes of a file that a client sends it."""
    path = folder / key
    path.write_bytes(FILES[key])
    about = {"caption": "look", "file_name": key, "mimetype": "application/pdf"}
    sent = sender.command("send-file", to=DESK, kind=kind, path=str(path), **about)
    message = tocsin.await_message(sent["id"])
    reply = content_of(message)
    assert (reply.kind, reply.text, reply.is_reply) == (kind, "look", True)
    if message.HasField("document_with_caption"):
        message = message.document_with_caption.message
    told = getattr(message, kind)
    trust = ssl.create_default_context(cafile=whatsapp.media_certificate)
    with urlopen(told.url, context=trust) as answer:  # noqa: S310  # our own server's
        blob = answer.read()
    return decrypt(blob, kind, told.media_key, told.file_sha256, told.file_enc_sha256)


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        ({"location": {"degreesLatitude": -6.2, "degreesLongitude": 106.8}}, "location", None),
        ({"contacts": {"displayName": "B", "contacts": [{"vcard": "BEGIN:VCARD"}]}}, "contact", None),
        ({"poll": {"name": "When?", "values": ["now", "later"]}}, "poll", "When?"),
        ({"buttonReply": {"displayText": "STOP", "id": "1"}, "type": "plain"}, "button", "STOP"),
    ],
    ids=["location", "contact", "poll", "button"],
)
def test_tocsin_reads_what_baileys_sends_of_each_kind(tocsin, baileys, content, kind, text):
    sent = baileys.command("send-content", to=DESK, content=content)
    read = content_of(tocsin.await_message(sent["id"]))
    assert (read.kind, read.text, read.is_reply) == (kind, text, True)


@pytest.mark.parametrize(("change", "kind"), [({"text": "STOP"}, "edit"), ({}, "deleted")])
def test_tocsin_reads_which_message_baileys_edits_or_deletes(tocsin, baileys, change, kind):
    written = baileys.send(DESK, "START")
    tocsin.await_message(written)
    key = {"remoteJid": str(tocsin.client.own[1]), "fromMe": True, "id": written}
    content = {**change, "edit": key} if change else {"delete": key}
    sent = baileys.command("send-content", to=DESK, content=content)
    read = content_of(tocsin.await_message(sent["id"]))
    assert (read.kind, read.text, read.target_id) == (kind, change.get("text"), written)


@pytest.fixture(scope="module")
def whatsmeow(whatsapp: LocalWhatsApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhatsMeow]:
    if reason := whatsmeow_client.missing():
        pytest.skip(reason)
    with WhatsMeow.start(whatsapp, tmp_path_factory.mktemp("budi")) as client:
        client.link(whatsapp.control, BUDI)
        yield client


@pytest.mark.cell("Tocsin", "media")
@pytest.mark.cell("whatsmeow", "media")
@pytest.mark.parametrize(
    ("key", "media_type", "kind"),
    [("ticket.pdf", "application/pdf", "documentMessage"), ("photo.png", "image/png", "imageMessage")],
)
def test_whatsmeow_downloads_and_checks_what_tocsin_sends(tocsin, whatsmeow, key, media_type, kind):
    message_id = tocsin.send(File(Attachment(key, key, media_type), "for your ticket"), BUDI)
    message = whatsmeow.wait("message", id=message_id)
    assert (message["kind"], message["caption"], message["mimetype"]) == (kind, "for your ticket", media_type)
    assert base64.b64decode(whatsmeow.command("download", id=message_id)["base64"]) == FILES[key]


@pytest.mark.cell("whatsmeow", "media")
@pytest.mark.parametrize(("key", "kind"), [("ticket.pdf", DOCUMENT), ("photo.png", IMAGE)])
def test_tocsin_reads_what_whatsmeow_uploads(tocsin, whatsmeow, tmp_path: Path, key, kind, whatsapp):
    assert uploaded(whatsmeow, tocsin, whatsapp, tmp_path, key, kind) == FILES[key]


def test_whatsmeow_knows_an_edit_a_quote_and_a_reaction(tocsin, whatsmeow):
    first = tocsin.send(Text("Status: open"), BUDI)
    whatsmeow.wait("message", id=first)
    tocsin.send(Edit(first, "Status: *solved*", 1_800_000_000_000), BUDI)
    assert whatsmeow.wait("message", about=first)["edit"] == "Status: *solved*"
    quoting = tocsin.send(Text("It works again", Quote(first, "Status: open")), BUDI)
    assert whatsmeow.wait("message", id=quoting)["quoted_id"] == first
    written = whatsmeow.send(DESK, "thank you")
    tocsin.await_message(written)
    tocsin.send(Reaction(written, "👍", 1_800_000_000_000), BUDI)
    assert whatsmeow.wait("message", about=written)["reaction"] == "👍"


def test_baileys_shows_a_quote(tocsin, baileys):
    first = tocsin.send(Text("No internet since 09:00"))
    message_id = tocsin.send(Text("It works again", Quote(first, "No internet since 09:00")))
    message = baileys.wait("message", id=message_id)
    assert (message["text"], message["quoted_id"]) == ("It works again", first)
    assert message["quoted"] == "No internet since 09:00"
    assert message["quoted_by"] == str(tocsin.client.own[1])


def test_baileys_shows_where_a_link_leads(tocsin, baileys):
    preview = Preview("https://t.example/1042", "No internet", "since 09:00")
    message_id = tocsin.send(Text("See https://t.example/1042", preview=preview))
    message = baileys.wait("message", id=message_id)
    assert message["text"] == "See https://t.example/1042"
    assert message["preview"] == {
        "matched": "https://t.example/1042",
        "title": "No internet",
        "description": "since 09:00",
    }


def test_baileys_shows_an_edit_in_the_place_of_what_was_sent(tocsin, baileys, whatsapp):
    first = tocsin.send(Text("Status: open"))
    baileys.wait("message", id=first)
    tocsin.send(Edit(first, "Status: *solved*", 1_800_000_000_000))
    assert baileys.wait("edit", id=first)["text"] == "Status: *solved*"
    shown = whatsapp.control.wait_for_message(SITI, first)
    whatsapp.control.wait_for_text(SITI, "Status: *solved*")
    assert whatsapp.control.wait_for_message(SITI, first)["edited"] or shown["edited"]


def test_baileys_shows_a_reaction_on_what_it_wrote(tocsin, baileys):
    written = baileys.send(DESK, "thank you")
    tocsin.await_message(written)
    tocsin.send(Reaction(written, "👍", 1_800_000_000_000))
    reaction = baileys.wait("reaction", id=written)
    assert (reaction["text"], reaction["from_me"]) == ("👍", True)


TIMED = {
    "text": Text("timed"),
    "quote": Text("timed", Quote("3EB0AA", "before")),
    "link": Text("see https://t.example/1", None, Preview("https://t.example/1", "No internet", "since 9")),
    "document": File(Attachment("ticket.pdf", "timed.pdf", "application/pdf"), "timed"),
    "image": File(Attachment("photo.png", "timed.png", "image/png"), ""),
}


@pytest.fixture(scope="module")
def timer(tocsin, whatsapp) -> Timer:
    """Siti sets it on her phone, and it is kept as it was heard. What comes later in the module is timed."""
    heard = content_of(tocsin.await_message(whatsapp.control.set_timer(SITI, DESK, 86400)["id"])).timer
    assert heard is not None
    keys, siti = tocsin.client.keys, whatsapp.control.phone(SITI)["lid"]
    own = str(JID.parse(keys.account.profile().lid).bare)
    keys.contacts.learn(f"{SITI}@s.whatsapp.net", siti)
    keys.contacts.keep_timer(own, siti, ChatTimer(heard.seconds, heard.at))
    return heard


@pytest.mark.parametrize("content", TIMED.values(), ids=TIMED)
def test_baileys_and_the_phone_see_the_timer_of_the_chat(tocsin, baileys, whatsapp, timer, content):
    message_id = tocsin.send(content)
    message = baileys.wait("message", id=message_id)
    assert (message["timer"], message["timer_set_at"]) == (86400, timer.at)
    assert message["timer_mode"] == {"initiator": "CHANGED_IN_CHAT", "trigger": "CHAT_SETTING"}
    shown = whatsapp.control.wait_for_message(SITI, message_id)
    assert shown["timer"] == {"seconds": 86400, "at": timer.at}
    assert "warning" not in shown
