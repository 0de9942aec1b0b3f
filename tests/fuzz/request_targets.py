"""What strangers put on the bus as requests for messages, URLs that they name, and orders of webhooks."""

from __future__ import annotations

import json
from contextlib import suppress

from tests.fuzz.engine import Target
from tests.support.sealed_texts import TEXTS
from tocsin.guarded_http import UrlRefused, checked, is_public
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import Order
from tocsin.notify.events.checks import InvalidEvent
from tocsin.notify.events.message_request import kept_body, opened, parse_request
from tocsin.notify.events.samples import sample_request
from tocsin.notify.requested_files import is_allowed
from tocsin.notify.store.texts import TextWithheld


def request(data: bytes) -> str:
    """It is read, or refused with what is wrong; kept, it reads as before, and sealed words come back."""
    body = data.decode("utf-8", "surrogateescape")
    kept = kept_body(body, TEXTS)
    told = []
    for one in (body, kept):
        try:
            found = parse_request(one, default_region="ID", accounts=("default",), attachments=True)
        except InvalidEvent as error:
            told.append(f"{len(error.violations)} violations")
            continue
        if found is None:
            told.append("none")
            continue
        with suppress(TextWithheld):
            told.append(f"{len(opened(found, TEXTS).text)} characters")
    return " ".join(told)


def url(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    allowed = is_allowed(text, ["files.example.com", "*.cdn.example.net"])
    try:
        target = checked(text)
    except UrlRefused as refusal:
        return refusal.why
    assert target.is_tls
    assert target.port == 443
    assert "\n" not in target.path
    return f"{allowed} {is_public(target.host)}"


def order(data: bytes) -> str:
    try:
        one = Order.parse(data.decode("utf-8", "replace"))
    except (ValueError, KeyError, TypeError) as error:
        return type(error).__name__
    return one.group.rpartition(".")[2]


_TOLD = Told.of("ReplyReceived", {"id": "o-1", "ticket_id": "TCK-1", "text": "hi"}, 1_800_000_000_000)


def targets() -> tuple[Target, ...]:
    sensitive = sample_request(
        sensitive=True, files=[{"name": "a.pdf", "content": "JVBERi0=", "caption": "x"}]
    )
    return (
        Target("message request", request, (sample_request().encode(), sensitive.encode())),
        Target("url", url, (b"https://files.example.com/a?b=c", b"https://[::ffff:10.0.0.1]:443/#x")),
        Target("webhook order", order, (Order.of("h-1", _TOLD).to_json().encode(), json.dumps({}).encode())),
    )
