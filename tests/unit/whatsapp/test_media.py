"""Files as they are uploaded: what comes back is the same to the byte, or is refused by name.

That others read them, and we theirs: tests/interop/test_kinds.py.
"""

import json
import os
import struct
from dataclasses import replace
from hashlib import sha256

import pytest

from tests.support.stanzas import media_answer
from tocsin.whatsapp import media, outgoing
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.iq import IqRefused
from tocsin.whatsapp.media import DOCUMENT, IMAGE, DamagedMedia
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import Message

KEY = bytes(range(32))
FILE = b"%PDF-1.7 a ticket"


@pytest.mark.parametrize("kind", [IMAGE, DOCUMENT])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 100_000])
def test_a_file_comes_back_as_it_was(kind: str, size: int) -> None:
    file = os.urandom(size)
    encrypted = media.encrypt(file, kind, KEY)
    assert len(encrypted.blob) == size // 16 * 16 + 16 + media.MAC_BYTES
    assert encrypted.file_sha256 == sha256(file).digest()
    assert media.decrypt(encrypted.blob, kind, KEY, encrypted.file_sha256, encrypted.file_enc_sha256) == file


def test_the_same_file_under_another_key_is_another_upload() -> None:
    assert media.encrypt(FILE, IMAGE, KEY).blob != media.encrypt(FILE, IMAGE, bytes(32)).blob
    assert media.encrypt(FILE, IMAGE, KEY).blob != media.encrypt(FILE, DOCUMENT, KEY).blob


@pytest.mark.parametrize("at", [0, 20, -11, -1])
def test_any_changed_byte_is_refused(at: int) -> None:
    encrypted = media.encrypt(FILE, IMAGE, KEY)
    blob = bytearray(encrypted.blob)
    blob[at] ^= 1
    with pytest.raises(DamagedMedia, match="hash of the download"):
        media.decrypt(bytes(blob), IMAGE, KEY, encrypted.file_sha256, encrypted.file_enc_sha256)
    # Even where the hash was forged along with it.
    with pytest.raises(DamagedMedia, match="MAC"):
        media.decrypt(bytes(blob), IMAGE, KEY, encrypted.file_sha256, sha256(blob).digest())


def test_another_key_kind_or_file_is_refused() -> None:
    encrypted = media.encrypt(FILE, IMAGE, KEY)
    for kind, key in ((IMAGE, bytes(32)), (DOCUMENT, KEY)):
        with pytest.raises(DamagedMedia, match="MAC"):
            media.decrypt(encrypted.blob, kind, key, encrypted.file_sha256, encrypted.file_enc_sha256)
    with pytest.raises(DamagedMedia, match="hash of the file"):
        media.decrypt(encrypted.blob, IMAGE, KEY, bytes(32), encrypted.file_enc_sha256)


@pytest.mark.parametrize("blob", [b"", b"short", bytes(10), bytes(26)])
def test_what_is_no_upload_at_all_is_refused(blob: bytes) -> None:
    with pytest.raises(DamagedMedia):
        media.decrypt(blob, IMAGE, KEY, bytes(32), sha256(blob).digest())


# The hosts


def test_hosts_come_in_the_servers_order_and_live_as_long_as_the_shorter_of_both() -> None:
    hosts = media.parse_hosts(media_answer("mmg.whatsapp.net", "127.0.0.1:8443"))
    assert (hosts.hosts, hosts.lifetime) == (("mmg.whatsapp.net", "127.0.0.1:8443"), 100)
    assert "a+/b" not in repr(hosts)


def test_a_host_is_followed_by_the_one_that_stands_in_for_it() -> None:
    answer = media_answer("one.net", "two.net")
    connection = answer.require_child("media_conn")
    first, second = connection.children()
    told = (
        Node("host", {**first.attrs, "fallback_hostname": "one-fallback.net"}),
        Node("host", {**second.attrs, "fallback_hostname": "no/host"}),
    )
    answer = Node("iq", answer.attrs, (Node("media_conn", connection.attrs, told),))
    assert media.parse_hosts(answer).hosts == ("one.net", "one-fallback.net", "two.net")


@pytest.mark.parametrize("host", ["evil.net/x", "a@b", "", "-x", "[::1]", "a b", "x:y", "a?b=", "a#b"])
def test_a_host_that_could_lead_elsewhere_is_refused(host: str) -> None:
    with pytest.raises(InvalidStanza):
        media.parse_hosts(media_answer("mmg.whatsapp.net", host))


def test_no_hosts_and_a_refusal_are_told_apart() -> None:
    with pytest.raises(InvalidStanza, match="no host"):
        media.parse_hosts(media_answer())
    error = Node("iq", {"type": "error"}, (Node("error", {"code": "429", "text": "slow down"}),))
    with pytest.raises(IqRefused):
        media.parse_hosts(error)


def test_an_upload_is_named_by_its_hash_and_shows_the_ticket() -> None:
    token = "_" * 42 + "8"
    path = media.upload_path(IMAGE, b"\xff" * 32, "a+/b=")
    assert path == f"/mms/image/{token}?auth=a%2B%2Fb%3D&token={token}"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"url": 1, "direct_path": "/v"}', b'{"url": "u", "direct_path": "v"}', b"[" * 9999],
)
def test_a_strange_answer_of_a_host_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidStanza):
        media.parse_uploaded(body)
    assert media.parse_uploaded(json.dumps({"url": "u", "direct_path": "/v"}).encode()) == ("u", "/v")


# What phones lay out before they have it


def jpeg(width: int, height: int, marker: int = 0xC2) -> bytes:
    app = b"\xff\xe0" + struct.pack(">H", 16) + bytes(14)
    frame = b"\xff" + bytes([marker]) + struct.pack(">HBHH", 17, 8, height, width)
    return b"\xff\xd8" + app + frame + bytes(20)


@pytest.mark.parametrize(
    ("file", "size"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", 640, 480), (640, 480)),
        (jpeg(800, 600), (800, 600)),
        (jpeg(800, 600, 0xC0), (800, 600)),
        (jpeg(800, 600, 0xC4), (0, 0)),
        (b"\xff\xd8\xff\xff\xff\xff", (0, 0)),
        (b"\xff\xd8\xff\xe0\x00\x00" + bytes(40), (0, 0)),
        (b"%PDF-1.7", (0, 0)),
        (b"", (0, 0)),
    ],
)
def test_dimensions_are_read_where_the_file_tells_them(file: bytes, size: tuple[int, int]) -> None:
    assert media.dimensions(file) == size


# In the message

UPLOAD = media.Upload(IMAGE, KEY, b"f" * 32, b"e" * 32, 7, "https://h/v", "/v?x=1", 1_800_000_000, 40, 30)


def test_an_image_tells_all_that_is_needed_to_fetch_and_check_it() -> None:
    message = outgoing.image_message(UPLOAD, "image/png", "look")
    assert message.kind == outgoing.Kind("media", "image")
    image = Message.FromString(message.body).image
    assert (image.url, image.direct_path, image.mimetype) == ("https://h/v", "/v?x=1", "image/png")
    assert (image.media_key, image.file_sha256, image.file_enc_sha256) == (KEY, b"f" * 32, b"e" * 32)
    assert (image.file_length, image.width, image.height, image.caption) == (7, 40, 30, "look")
    assert image.media_key_timestamp == 1_800_000_000
    unsized = outgoing.image_message(replace(UPLOAD, width=0), "image/png")
    assert not Message.FromString(unsized.body).image.HasField("width")


def test_a_document_is_wrapped_only_where_it_has_a_caption() -> None:
    plain = Message.FromString(outgoing.document_message(UPLOAD, "application/pdf", "a.pdf").body)
    assert (plain.document.file_name, plain.document.title) == ("a.pdf", "a.pdf")
    assert (plain.document.direct_path, plain.document.media_key) == ("/v?x=1", KEY)
    captioned = Message.FromString(outgoing.document_message(UPLOAD, "text/csv", "a.csv", "look").body)
    assert captioned.document_with_caption.message.document.caption == "look"


def test_the_key_of_an_upload_is_not_shown() -> None:
    assert KEY.hex() not in repr(UPLOAD)
    assert repr(KEY) not in repr(UPLOAD)
