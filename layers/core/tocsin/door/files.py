"""Files that callers bring along: base64, a data URL, a link, or a part of a form."""

from __future__ import annotations

import base64
import binascii
import re

from tocsin.door.answer import Refused
from tocsin.door.bodies import Upload
from tocsin.door.message import File

MAX_FILE_BYTES = 4 * 1024 * 1024
"""A request has 6 MB, and base64 takes a third of it."""

_DATA = re.compile(r"data:([^;,]{0,100})[^,]{0,100},", re.DOTALL)
_ENDINGS = {
    "application/pdf": "pdf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "text/csv": "csv",
    "text/plain": "txt",
}


def file_of(media: str, *, name: str = "", mime: str = "", path: str = "media") -> File:
    """A file by its URL or in base64, maybe as a data URL. `path`: of the field, for a refusal. Raises
    Refused (400, 413)."""
    text = media.strip()
    if re.match(r"https?://", text, re.IGNORECASE):
        return File(name or _name_in(text), mime, url=text)
    data = _DATA.match(text)
    if data is not None:
        text, mime = text[data.end() :], mime or data[1]
    if len(text) > MAX_FILE_BYTES * 4 // 3 + 8:
        raise _too_large(path)
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _bad(path, "is neither a URL nor base64") from None
    return _with_content(name, mime, content, path)


def file_of_part(upload: Upload, *, name: str = "", path: str = "file") -> File:
    """Raises Refused (400, 413)."""
    return _with_content(name or upload.name, upload.mime, upload.content, path)


def _with_content(name: str, mime: str, content: bytes, path: str) -> File:
    if not content:
        raise _bad(path, "is empty")
    if len(content) > MAX_FILE_BYTES:
        raise _too_large(path)
    return File(name or f"file.{_ENDINGS.get(mime, 'bin')}", mime, content=content)


def _name_in(url: str) -> str:
    return url.partition("?")[0].partition("#")[0].rpartition("/")[2][:200]


def _bad(path: str, reason: str) -> Refused:
    return Refused(400, "invalid", f"{path}: {reason}", violations=(f"{path}: {reason}",))


def _too_large(path: str) -> Refused:
    return Refused(413, "too-large", f"{path}: is larger than {MAX_FILE_BYTES} bytes")
