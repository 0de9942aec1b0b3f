"""Attachments: encrypted under a key of their own, uploaded as ciphertext, described in the message.

    media key ── HKDF ── IV, cipher key, MAC key        AES-256-CBC, then 10 bytes of HMAC-SHA256
    SHA-256 of the file, SHA-256 of what is uploaded    checked by whoever downloads it

Pure: the key comes in, bytes go out. See PROTOCOL.md, "Files".
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.iq import checked, request
from tocsin.whatsapp.node import Node

IMAGE: Final = "image"
DOCUMENT: Final = "document"
HISTORY: Final = "md-msg-hist"

KEY_BYTES: Final = 32
MAC_BYTES: Final = 10

_INFO: Final = {
    IMAGE: b"WhatsApp Image Keys",
    DOCUMENT: b"WhatsApp Document Keys",
    HISTORY: b"WhatsApp History Keys",
}
_EXPANDED_BYTES: Final = 112
_BLOCK_BITS: Final = 128

MAX_HOSTS: Final = 16
MAX_TICKET_CHARS: Final = 4096
"""Of `auth`, which goes into the path of an upload; some hundreds are usual."""
MAX_LIFETIME: Final = 24 * 3600
"""Seconds. WhatsApp says some hours; a ticket that holds longer is asked for again after a day."""
MAX_URL_CHARS: Final = 2048
"""Of what a host says of an upload: it is stored, and part of every message about the file."""

# A name as the DNS has them, and on a local server a port: nothing that could lead an URL elsewhere, nor
# anything that a resolver refuses to encode.
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(
    rf"(?=[^:]{{1,253}}(:|\Z)){_LABEL}(\.{_LABEL})*(:(?P<port>[0-9]{{1,5}}))?", re.ASCII
)


_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%?-][A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,2000}", re.ASCII)


class DamagedMedia(Exception):
    """What was downloaded isn't what was uploaded: `what` says which check failed. Nothing was decrypted."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Encrypted:
    """`blob`: what is uploaded. The digests go into the message."""

    blob: bytes = field(repr=False)
    file_sha256: bytes
    file_enc_sha256: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file, as messages describe it. `kind`: `image` or `document`; `uploaded_at`: seconds.

    `width`, `height`: of an image, 0 where they aren't known.
    """

    kind: str
    media_key: bytes = field(repr=False)
    file_sha256: bytes
    file_enc_sha256: bytes
    length: int
    url: str
    direct_path: str
    uploaded_at: int
    width: int = 0
    height: int = 0


def encrypt(file: bytes, kind: str, media_key: bytes) -> Encrypted:
    """`media_key`: 32 random bytes, fresh for each file."""
    iv, cipher_key, mac_key = _keys(media_key, kind)
    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = Cipher(AES(cipher_key), CBC(iv)).encryptor()
    body = encryptor.update(padder.update(file) + padder.finalize())
    blob = body + hmac.digest(mac_key, iv + body, "sha256")[:MAC_BYTES]
    return Encrypted(blob, sha256(file).digest(), sha256(blob).digest())


def decrypt(blob: bytes, kind: str, media_key: bytes, file_sha256: bytes, file_enc_sha256: bytes) -> bytes:
    """The file. Raises `DamagedMedia` for whatever isn't exactly what the message described."""
    if not hmac.compare_digest(sha256(blob).digest(), file_enc_sha256):
        raise DamagedMedia("hash of the download")
    iv, cipher_key, mac_key = _keys(media_key, kind)
    body, mac = blob[:-MAC_BYTES], blob[-MAC_BYTES:]
    if not hmac.compare_digest(hmac.digest(mac_key, iv + body, "sha256")[:MAC_BYTES], mac):
        raise DamagedMedia("MAC")
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    try:
        padded = Cipher(AES(cipher_key), CBC(iv)).decryptor().update(body)
        file = unpadder.update(padded) + unpadder.finalize()
    except ValueError as exc:
        raise DamagedMedia("padding") from exc
    if not hmac.compare_digest(sha256(file).digest(), file_sha256):
        raise DamagedMedia("hash of the file")
    return file


def _keys(media_key: bytes, kind: str) -> tuple[bytes, bytes, bytes]:
    """IV (16), cipher key (32), MAC key (32); the rest of what HKDF yields has no use here."""
    expanded = HKDF(hashes.SHA256(), _EXPANDED_BYTES, salt=None, info=_INFO[kind]).derive(media_key)
    return expanded[:16], expanded[16:48], expanded[48:80]


# The media hosts


@dataclass(frozen=True, slots=True)
class MediaHosts:
    """Where files may be uploaded, best first. `auth`: the ticket for it; `lifetime`: seconds."""

    auth: str = field(repr=False)
    hosts: tuple[str, ...]
    lifetime: int


def hosts_request() -> Node:
    return request("set", "w:m", Node("media_conn"))


def parse_hosts(answer: Node) -> MediaHosts:
    """Raises `IqRefused`, `InvalidStanza`."""
    connection = checked(answer).require_child("media_conn")
    told = connection.children("host")[:MAX_HOSTS]
    hosts = tuple(host.attr_str("hostname") for host in told)
    if not hosts:
        raise InvalidStanza("media_conn names no host")
    if not all(map(_is_host, hosts)):
        raise InvalidStanza("media_conn names something that is no host")
    lifetimes = [connection.optional_int(name) for name in ("ttl", "auth_ttl")]
    lives = [min(seconds, MAX_LIFETIME) for seconds in lifetimes if seconds is not None]
    auth = connection.attr_str("auth")
    if len(auth) > MAX_TICKET_CHARS:
        raise InvalidStanza("media_conn's ticket is too long")
    return MediaHosts(auth, _with_fallbacks(told), min(lives, default=0))


def _with_fallbacks(told: Sequence[Node]) -> tuple[str, ...]:
    """Each host, then the one that stands in for it, where that is one."""
    names: list[str] = []
    for host in told:
        names.append(host.attr_str("hostname"))
        fallback = host.attrs.get("fallback_hostname")
        if isinstance(fallback, str) and _is_host(fallback):
            names.append(fallback)
    return tuple(names)


def _is_host(text: str) -> bool:
    match = _HOST.fullmatch(text)
    return match is not None and int(match["port"] or 0) < 65536


def upload_path(kind: str, file_enc_sha256: bytes, auth: str) -> str:
    """Path and query of an upload; the file is named by what it hashes to."""
    token = token_of(file_enc_sha256)
    return f"/mms/{kind}/{token}?auth={quote(auth, safe='')}&token={token}"


def download_path(kind: str, direct_path: str, file_enc_sha256: bytes) -> str:
    """Path and query of a download. Raises ValueError for a path that is none: a host must stay that host."""
    if len(file_enc_sha256) != sha256().digest_size or not _PATH.fullmatch(direct_path):
        raise ValueError("not a file of a media host")
    joint = "&" if "?" in direct_path else "?"
    return f"{direct_path}{joint}hash={token_of(file_enc_sha256)}&mms-type={kind}&__wa-mms="


def token_of(file_enc_sha256: bytes) -> str:
    return urlsafe_b64encode(file_enc_sha256).decode().rstrip("=")


def parse_uploaded(body: bytes) -> tuple[str, str]:
    """URL and direct path in a media host's answer. Raises `InvalidStanza`."""
    try:
        answer = json.loads(body)
        url, path = answer["url"], answer["direct_path"]
    except (ValueError, LookupError, TypeError, RecursionError) as exc:
        raise InvalidStanza("a media host's answer") from exc
    if not _is_place(url) or not _is_place(path) or not path.startswith("/"):
        raise InvalidStanza("a media host's answer")
    return url, path


def _is_place(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and len(value) <= MAX_URL_CHARS


# Width and height, which let a phone lay the image out before it is there.


def dimensions(file: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG; (0, 0) for whatever doesn't say."""
    if file.startswith(b"\x89PNG\r\n\x1a\n") and file[12:16] == b"IHDR":
        return int.from_bytes(file[16:20], "big"), int.from_bytes(file[20:24], "big")
    return _jpeg_dimensions(file) if file.startswith(b"\xff\xd8") else (0, 0)


# The frame headers of JPEG (SOF0 to SOF15) but for three markers in between that mean other things.
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg_dimensions(file: bytes) -> tuple[int, int]:
    """From the frame header, past the segments before it."""
    at = 2
    while at + 9 <= len(file) and file[at] == 0xFF:
        marker, length = file[at + 1], int.from_bytes(file[at + 2 : at + 4], "big")
        if marker in _FRAME_HEADERS:
            height, width = file[at + 5 : at + 7], file[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        if marker == 0xFF:  # a fill byte
            at += 1
        elif length < 2:
            break
        else:
            at += 2 + length
    return 0, 0
