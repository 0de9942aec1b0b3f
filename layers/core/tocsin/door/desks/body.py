"""The body of a webhook, read: JSON, or a form in which `a[b][c]=1` stands for nested objects, as PHP writes
it."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qsl

from tocsin.nesting import nested_too_deep
from tocsin.notify.events.checks import MAX_NESTED

MAX_FIELDS: Final = 2000
MAX_FORM_DEPTH: Final = 10


class Unreadable(ValueError):
    """No object is in it. The text is a violation, which quotes nothing of the body."""


def read_body(raw: bytes, content_type: str) -> dict[str, Any]:
    """The object in a body. Raises Unreadable.

    Bytes that are no UTF-8 become U+FFFD, and line breaks within JSON's texts are taken: templates of help
    desks make both. `content_type`: as the header says; not every help desk sends one.
    """
    text = raw.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise Unreadable("body: is empty")
    form = "form-urlencoded" in content_type.lower()
    if form or not text.startswith(("{", "[")):
        return _of_form(text, form)
    try:
        value = json.loads(text, strict=False, parse_constant=lambda name: None)
    except RecursionError:
        raise Unreadable(f"body: is nested too deep: {MAX_NESTED} levels are the limit") from None
    except ValueError as error:
        at = (
            f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise Unreadable(f"body: is not JSON{at}") from None
    if not isinstance(value, dict):
        raise Unreadable("body: is not a JSON object")
    if nested_too_deep(value, MAX_NESTED):
        raise Unreadable(f"body: is nested too deep: {MAX_NESTED} levels are the limit")
    return value


def _of_form(text: str, told: bool) -> dict[str, Any]:
    if not told and "=" not in text:
        raise Unreadable("body: is neither JSON nor a form")
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        raise Unreadable(f"body: is a form of more than {MAX_FIELDS} fields") from None
    document: dict[str, Any] = {}
    for name, value in fields:
        _put(document, name, value)
    if not document:
        raise Unreadable("body: is a form without fields")
    return document


def _put(document: dict[str, Any], name: str, value: str) -> None:
    head, *rest = name.split("[")
    steps = [head, *(step.removesuffix("]") for step in rest)]
    if len(steps) > MAX_FORM_DEPTH:
        raise Unreadable(f"body: is nested too deep: {MAX_FORM_DEPTH} levels are the limit of a form")
    place = document
    for step in steps[:-1]:
        inner = place.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        place = inner
    place[steps[-1] or str(len(place))] = value


def cleaned(text: str) -> str:
    """Without halves of surrogate pairs and without control characters other than line breaks and tabs: no
    event may hold the former, and nobody wants the latter."""
    if text.isascii() and text.isprintable():
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(one for one in whole if (one >= " " and not "\x7f" <= one <= "\x9f") or one in "\n\t")
