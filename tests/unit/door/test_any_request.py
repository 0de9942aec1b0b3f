"""Whatever is sent to the door is answered: no request raises, none is sent elsewhere, none gets in without a
key."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.doors import OpenDoor
from tocsin.door.dialect import ANY
from tocsin.door.request import BadRequest, request_of
from tocsin.door.routing import DIALECTS

WORDS = [
    "v1",
    "messages",
    "tickets",
    "accounts",
    "api",
    "sendText",
    "sendFile",
    "sessions",
    "message",
    "send",
]
WORDS += ["sendMedia", "instance", "connectionState", "fetchInstances", "chat", "whatsappNumbers", "default"]
WORDS += [
    "image",
    "file",
    "app",
    "status",
    "wa_url",
    "hooks",
    "evolution",
    "waha",
    "desk",
    "nobody",
    "%2e",
    "é",
]
FIELDS = [
    "to",
    "text",
    "number",
    "message",
    "phone",
    "chatId",
    "media",
    "mediatype",
    "fileName",
    "file",
    "files",
]
FIELDS += ["target", "session", "numbers", "ticket", "event", "account", "key", "caption", "url", "image"]
TYPES = [
    "",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=X",
    "x/y",
]

leaves: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(
        [
            "6281234567890",
            "120363000000000000@g.us",
            "created",
            "image",
            "https://a.example/b.pdf",
            "JVBERi0=",
        ]
    ),
)
bodies = st.dictionaries(
    st.sampled_from(FIELDS),
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)
        ),
    ),
    max_size=6,
)
GOOD = {
    **dict.fromkeys(("to", "number", "phone", "chatId", "target"), "6281234567890"),
    **dict.fromkeys(("text", "message"), "Halo"),
}
"""Enough for a message in each dialect but ours, which knows no field too many."""

raw = st.one_of(
    bodies.map(lambda value: json.dumps({**GOOD, **value}).encode()),
    bodies.map(lambda value: json.dumps({"to": "6281234567890", "text": "Halo", **value}).encode()),
    st.just(json.dumps({"to": "6281234567890", "text": "Halo"}).encode()),
    bodies.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
    st.binary(max_size=60).map(
        lambda part: b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + part
    ),
)
KNOWN = [
    (kind, route.method, "/" + "/".join("default" if part == ANY else part for part in route.pattern))
    for kind, dialect in DIALECTS.items()
    for route in dialect.ROUTES
] + [("desk", "POST", "/hooks/desk")]
"""Who calls what."""

paths = st.lists(st.sampled_from(WORDS), max_size=4).map(lambda parts: "/" + "/".join(parts))
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", ""])
people = st.sampled_from(["", "nobody", *sorted({who for who, _, _ in KNOWN})])
calls = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(KNOWN),
    st.sampled_from(KNOWN),
    st.tuples(people, methods, paths),
    st.tuples(people, st.sampled_from(KNOWN)).map(lambda pair: (pair[0], *pair[1][1:])),
)
queries = st.lists(st.tuples(st.sampled_from([*FIELDS, "secret", "token"]), st.text(max_size=10)), max_size=3)


SEEN: Counter[tuple[str, int]] = Counter()
"""Of whom how many were taken (2), refused (4), and told to the bus (100)."""


def basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"gowa:{token}".encode()).decode()


def made() -> OpenDoor:
    door = OpenDoor()
    for kind in ("api", "evolution", "waha", "gowa", "fonnte", "phpnuxbill"):
        door.add(kind, per_minute=100_000)
    door.add("generic", "desk", per_minute=100_000)
    return door


@settings(max_examples=600, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls, queries, raw, st.sampled_from(TYPES), st.booleans())
def test_any_request_is_answered(
    call: tuple[str, str, str], query: list[tuple[str, str]], body: bytes, kind: str, encoded: bool
) -> None:
    who, method, path = call
    door = made()
    token = door.tokens.get(who, "")
    event = {
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in query),
        "headers": {
            "content-type": kind,
            "authorization": basic(token) if who == "gowa" else f"Bearer {token}",
            "apikey": token,
            "x-api-key": token,
        },
        "requestContext": {"http": {"method": method}},
        "body": base64.b64encode(body).decode() if encoded else body.decode("latin-1"),
        "isBase64Encoded": encoded,
    }
    try:
        request = request_of(event)
    except BadRequest:
        return
    answer, told = door.door.answer(request, door.now)
    SEEN[who, answer.status // 100] += 1
    assert 200 <= answer.status < 300 or 400 <= answer.status < 500, answer
    answer.for_lambda()
    if not token:
        assert door.events.entries == []
    SEEN[who, 100 * bool(door.events.entries)] += 1
    for entry in door.events.entries:
        assert json.loads(entry["Detail"])
        assert told.source == who


@pytest.mark.slow
def test_many_of_them_were_let_in_and_understood() -> None:
    """Else the test above would show nothing."""
    if not SEEN:
        test_any_request_is_answered()
    for kind in ("api", "evolution", "waha", "gowa", "fonnte"):
        assert SEEN[kind, 2], kind
    assert sum(number for (_, what), number in SEEN.items() if what == 100) > 5
    assert SEEN["", 4]
