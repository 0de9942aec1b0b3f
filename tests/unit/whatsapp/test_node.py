"""Nodes: what goes in comes out, and nothing that comes in raises anything but its one error."""

import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import DecodeError, EncodeError, InvalidStanza
from tocsin.whatsapp.jid import HOSTED, INTEROP, JID, LID, MESSENGER, PN
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.node_tags import Limits
from tocsin.whatsapp.tokens import CODES, DICTIONARIES, SINGLE_BYTE

numbers = st.from_regex(r"[1-9][0-9]{4,14}", fullmatch=True)
jids = st.one_of(
    st.builds(JID, numbers, st.sampled_from([PN, LID]), st.integers(0, 255)),
    st.builds(JID, numbers, st.just(HOSTED), st.integers(1, 255)),
    st.builds(JID, numbers, st.just(MESSENGER), st.integers(0, 65535)),
    st.builds(JID, numbers, st.just(INTEROP), st.integers(0, 65535), st.just(0), st.integers(0, 65535)),
    st.builds(JID, st.sampled_from(["", "120363041234567890"]), st.just("g.us")),
)
names = st.one_of(st.sampled_from(sorted(CODES)), st.text(min_size=1).filter(str.isprintable))
values = st.one_of(
    names, jids, st.just(""), st.from_regex(r"[0-9.-]{1,130}"), st.from_regex(r"[0-9A-F]{1,130}")
)
attrs = st.dictionaries(names, values, max_size=4)
nodes: st.SearchStrategy[Node] = st.recursive(
    st.builds(Node, names, attrs, st.one_of(st.none(), st.binary(max_size=300))),
    lambda inner: st.builds(Node, names, attrs, st.lists(inner, min_size=1, max_size=4).map(tuple)),
    max_leaves=8,
)


@given(nodes)
@settings(max_examples=200, deadline=None)
def test_what_is_written_can_be_read(node: Node) -> None:
    assert decode(encode(node)) == node


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_random_bytes_raise_nothing_but_the_decode_error(data: bytes) -> None:
    for frame in (data, b"\x00" + data, b"\x00\xf8" + data):
        with suppress(DecodeError):
            decode(frame)


@given(nodes, st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_frame_raises_nothing_but_the_decode_error(node: Node, data: st.DataObject) -> None:
    frame = bytearray(encode(node))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        decode(bytes(frame))


def test_every_token_is_written_as_such() -> None:
    for text in (*SINGLE_BYTE[1:], *(word for book in DICTIONARIES for word in book)):
        frame = encode(Node(text))
        assert len(frame) == 3 + len(CODES[text])
        assert decode(frame).tag == text


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(depth=2), "depth"), (Limits(nodes=3), "node-count"), (Limits(inflated_size=4), "inflated-size")],
)
def test_limits_are_the_caller_s(limits: Limits, reason: str) -> None:
    leaf = Node("item")
    node = Node("list", {}, (Node("list", {}, (leaf, leaf)), leaf))
    frame = encode(node)
    if reason == "inflated-size":
        frame = b"\x02" + zlib.compress(frame[1:])
    with pytest.raises(DecodeError, match=reason):
        decode(frame, limits)


@pytest.mark.parametrize(
    "node",
    [
        Node("iq", {"id": 5}),  # type: ignore[dict-item]
        Node("iq", {}, "text"),  # type: ignore[arg-type]
        Node("iq", {}, ("text",)),  # type: ignore[arg-type]
        Node("iq", {"": "x"}),
        Node("to", {"jid": JID("628111", PN, 256)}),
        Node("list", {}, (Node("x"),) * 65536),
        Node("x", {}, bytes(2**24)),
    ],
)
def test_what_can_t_be_written_is_refused(node: Node) -> None:
    with pytest.raises(EncodeError):
        encode(node)


def nested(depth: int) -> Node:
    node = Node("list")
    for _ in range(depth - 1):
        node = Node("list", {}, (node,))
    return node


def test_depth_is_limited_both_ways() -> None:
    assert decode(encode(nested(64))) == nested(64)
    with pytest.raises(EncodeError):
        encode(nested(65))


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda n: n.attr_str("missing"), "has no missing"),
        (lambda n: n.attr_str("empty"), "has no empty"),
        (lambda n: n.attr_int("name"), "is no number"),
        (lambda n: n.attr_int("arabic"), "is no number"),
        (lambda n: n.attr_int("long"), "is too large"),
        (lambda n: n.attr_jid("name"), "is no JID"),
        (lambda n: n.attr_jid("missing"), "has no missing"),
        (lambda n: n.bytes(2), "holds 3 bytes"),
        (lambda n: n.require_child("enc"), "has no <enc>"),
        (lambda n: Node("x").bytes(), "holds no bytes"),
    ],
)
def test_readers_say_what_is_wrong(read: Any, reason: str) -> None:
    node = Node("iq", {"empty": "", "name": "a@b", "arabic": "٣", "long": "9" * 30}, b"abc")
    with pytest.raises(InvalidStanza, match=reason):
        read(node)


def test_a_jid_may_come_as_text() -> None:
    assert Node("to", {"jid": "628111:3@s.whatsapp.net"}).attr_jid("jid") == JID("628111", PN, 3)


def test_repr_shows_no_content_and_no_whole_number() -> None:
    node = Node("enc", {"jid": JID("6281234567890", PN, 3)}, b"secret")
    assert "secret" not in repr(node)
    assert "6281234567890" not in repr(node)
    assert "6281…90" in repr(node)
    assert "6281234567890" not in repr(JID("6281234567890", PN))
