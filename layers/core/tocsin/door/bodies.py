"""Bodies: JSON, forms and multipart, with bounds that a stranger can't push."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tocsin.door.answer import Refused
from tocsin.door.request import BadRequest, Request, fields_of
from tocsin.nesting import nested_too_deep

MAX_NESTED = 32
"""Lists and objects within each other. The deepest dialect needs five."""

MAX_PARTS = 40
_NAME = re.compile(rb'[;\s]name="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)
_FILE_NAME = re.compile(rb'[;\s]filename="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))', re.IGNORECASE)


class Upload(NamedTuple):
    """A file that came as part of a form. `name` and `mime` as the caller told them, maybe empty."""

    name: str
    mime: str
    content: bytes


class Fields(NamedTuple):
    """What a caller sent, whatever it was written in. A form's values are texts, JSON's are what they are."""

    values: Mapping[str, Any]
    files: Mapping[str, Upload]

    def text(self, *names: str) -> str:
        """The first of these fields that is there; a number is written out. Raises Refused (400)."""
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return str(value)
            if not isinstance(value, str):
                raise Refused(400, "invalid", f"{name}: is not text", violations=(f"{name}: is not text",))
            return value
        return ""


def fields(request: Request) -> Fields:
    """Read the body by its type. Raises Refused (400, 413, 415)."""
    kind = request.media_type
    try:
        if kind == "application/x-www-form-urlencoded":
            text = request.body.decode("ascii", errors="strict")
            return Fields({name: values[0] for name, values in fields_of(text).items()}, {})
        if kind == "multipart/form-data":
            return _multipart(request)
    except UnicodeDecodeError:
        raise Refused(400, "invalid", "the form is not encoded as it says") from None
    except BadRequest as bad:
        raise Refused(400, "invalid", str(bad)) from None
    if kind in ("", "application/json", "text/plain", "text/json") or kind.endswith("+json"):
        return Fields(json_object(request.body), {})
    raise Refused(415, "unsupported-type", "send JSON or a form")


def json_object(body: bytes) -> dict[str, Any]:
    """Raises Refused (400) for what is no JSON object, however hostile."""
    value = json_value(body)
    if not isinstance(value, dict):
        raise Refused(400, "invalid", "the body is not a JSON object")
    return value


def json_value(body: bytes) -> Any:
    """Raises Refused (400)."""
    if not body.strip():
        raise Refused(400, "invalid", "the body is empty")
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant)
        if nested_too_deep(value, MAX_NESTED):
            raise RecursionError
        # Half a surrogate pair is no text, and nothing behind the door could write it down.
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise Refused(400, "invalid", "the body is not UTF-8") from None
    except RecursionError:
        raise Refused(400, "invalid", f"the body is nested deeper than {MAX_NESTED} levels") from None
    except ValueError:
        raise Refused(400, "invalid", "the body is not JSON") from None
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _multipart(request: Request) -> Fields:
    """RFC 7578, as cURL, PHP and browsers write it. Raises Refused, UnicodeDecodeError."""
    found = _BOUNDARY.search(request.header("content-type"))
    if found is None:
        raise Refused(400, "invalid", "the form names no boundary")
    delimiter = b"--" + (found[1] or found[2]).encode()
    parts = (b"\r\n" + request.body).split(b"\r\n" + delimiter)
    if len(parts) > MAX_PARTS + 2:
        raise Refused(400, "invalid", f"the form has more than {MAX_PARTS} parts")
    values: dict[str, Any] = {}
    files: dict[str, Upload] = {}
    for part in parts[1:]:
        head, gap, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not gap or name is None:
            continue
        told = _FILE_NAME.search(head)
        if told is None:
            values.setdefault(name[1].decode(), content.decode())
        else:
            mime = re.search(rb"content-type:\s*([^\r\n;]+)", head, re.IGNORECASE)
            upload = Upload(told[1].decode(), mime[1].decode("latin-1").strip() if mime else "", content)
            files.setdefault(name[1].decode(), upload)
    return Fields(values, files)
