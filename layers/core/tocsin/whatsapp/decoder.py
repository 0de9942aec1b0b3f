"""Frame plaintexts become binary nodes.

Any legal coding of a string is accepted. Input is never trusted: every malformed frame raises `DecodeError`,
and nothing is sized from a claimed count.

Each reader takes the data and an index and returns a value and the next index. Reads past the end surface as
IndexError (single bytes) or as an explicit check (slices).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from tocsin.whatsapp.errors import DecodeError
from tocsin.whatsapp.jid import INTEROP, JID, MAX_SERVER, MAX_USER, MESSENGER, PN
from tocsin.whatsapp.node import Content, Node
from tocsin.whatsapp.node_tags import (
    AD_JID,
    AFTER_BOOKS,
    BINARY_8,
    BINARY_20,
    BINARY_32,
    DEFAULT_LIMITS,
    DOMAIN_SERVERS,
    FB_JID,
    FIRST_BOOK,
    HEX_8,
    INTEROP_JID,
    JID_PAIR,
    JID_PART,
    LIST_8,
    LIST_16,
    LIST_EMPTY,
    NIBBLE_8,
    Limits,
)
from tocsin.whatsapp.tokens import DICTIONARIES, SINGLE_BYTE

_COMPRESSED: Final = 2


def decode(frame: bytes, limits: Limits = DEFAULT_LIMITS) -> Node:
    """The node in a frame plaintext. Raises `DecodeError`, and nothing else, on any malformed input."""
    if not frame:
        raise DecodeError("empty")
    data = _inflate(frame, limits.inflated_size) if frame[0] & _COMPRESSED else frame[1:]
    try:
        node, end = _read_node(data, 0, limits.depth, [limits.nodes - 1])
    except IndexError:
        raise DecodeError("truncated") from None
    if end != len(data):
        raise DecodeError("trailing", f"{len(data) - end} bytes")
    return node


def _inflate(frame: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(memoryview(frame)[1:], limit + 1)
    except zlib.error as exc:
        raise DecodeError("zlib") from exc
    if len(data) > limit:
        raise DecodeError("inflated-size")
    if not stream.eof:
        raise DecodeError("zlib", "unfinished stream")
    return data


# A frozen dataclass sets each of its fields through a detour; its slots can be set directly, once.
_new_node: Final = object.__new__
_set_tag, _set_attrs, _set_content = (vars(Node)[name].__set__ for name in ("tag", "attrs", "content"))


def _read_node(data: bytes, at: int, depth: int, budget: list[int]) -> tuple[Node, int]:
    """`depth`: levels still allowed, this one included. `budget`: one cell, nodes still allowed.

    What nearly every attribute is, a token or some digits, is read here, and the rest by the readers below:
    every stanza passes here, and one call more for each node makes it 2 to 7 % slower.
    """
    if not depth:
        raise DecodeError("depth")
    code = data[at]
    if code == LIST_8:
        size = data[at + 1]
        at += 2
    elif code == LIST_16:
        size = data[at + 1] << 8 | data[at + 2]
        at += 3
    else:
        raise DecodeError("node-header")
    if not size:
        raise DecodeError("node-size-zero")
    code = data[at]
    if 0 < code < FIRST_BOOK:
        tag = SINGLE_BYTE[code]
        at += 1
    else:
        tag, at = _read_name(data, at, "node-tag")
    attrs: dict[str, str | JID] = {}
    pairs = (size - 1) >> 1
    budget[0] -= pairs
    if budget[0] < 0:
        raise DecodeError("node-count")
    value: str | JID
    for _ in range(pairs):
        code = data[at]
        if 0 < code < FIRST_BOOK:
            name = SINGLE_BYTE[code]
            at += 1
        elif FIRST_BOOK <= code < AFTER_BOOKS:
            name = DICTIONARIES[code - FIRST_BOOK][data[at + 1]]
            at += 2
        else:
            name, at = _read_name(data, at, "attr-key")
        code = data[at]
        if 0 < code < FIRST_BOOK:
            value = SINGLE_BYTE[code]
            at += 1
        elif code in (NIBBLE_8, HEX_8):
            value, at = _read_packed(data, at, code)
        elif code in _JID_READERS:
            value, at = _JID_READERS[code](data, at + 1)
        elif code == LIST_EMPTY:
            value = ""
            at += 1
        elif code in (LIST_8, LIST_16):
            raise DecodeError("attr-value")
        else:
            value, at = _read_string(data, at, strict=False)
        attrs[name] = value
    if len(attrs) != pairs:
        raise DecodeError("duplicate-attr")
    content: Content = None
    if not size & 1:
        code = data[at]
        if code == BINARY_8:
            end = at + 2 + data[at + 1]
            content = data[at + 2 : end]
            if end > len(data):
                raise DecodeError("truncated")
            at = end
        else:
            content, at = _read_content(data, at, depth, budget)
    node: Node = _new_node(Node)
    _set_tag(node, tag)
    _set_attrs(node, attrs)
    _set_content(node, content)
    return node, at


def _read_content(data: bytes, at: int, depth: int, budget: list[int]) -> tuple[Content, int]:
    code = data[at]
    if code == LIST_8:
        count = data[at + 1]
        at += 2
    elif code == LIST_16:
        count = data[at + 1] << 8 | data[at + 2]
        at += 3
    elif code == LIST_EMPTY:
        return None, at + 1
    elif code in (BINARY_8, BINARY_20, BINARY_32):
        return _read_raw(data, at)
    elif code in _JID_READERS:
        jid, at = _JID_READERS[code](data, at + 1)
        return str(jid).encode(), at
    else:
        text, at = _read_string(data, at, strict=False)
        return text.encode(), at
    # The smallest node is a header of two bytes and a token.
    if count * 3 > len(data) - at:
        raise DecodeError("truncated", "fewer bytes than children")
    budget[0] -= count
    if budget[0] < 0:
        raise DecodeError("node-count")
    children = []
    for _ in range(count):
        child, at = _read_node(data, at, depth - 1, budget)
        children.append(child)
    return tuple(children) or None, at


def _read_name(data: bytes, at: int, reason: str) -> tuple[str, int]:
    """A tag or an attribute name: a plain string, valid and not empty."""
    code = data[at]
    if code in _NOT_A_STRING:
        raise DecodeError(reason)
    name, at = _read_string(data, at, strict=True)
    if not name:
        raise DecodeError(reason)
    return name, at


def _read_string(data: bytes, at: int, *, strict: bool) -> tuple[str, int]:
    """A plain string. `strict`: invalid UTF-8 is an error; else it becomes U+FFFD."""
    code = data[at]
    if code >= BINARY_8 and code != NIBBLE_8:
        raw, at = _read_raw(data, at)
        try:
            return raw.decode("utf-8", "strict" if strict else "replace"), at
        except UnicodeDecodeError as exc:
            raise DecodeError("utf8") from exc
    if code in (NIBBLE_8, HEX_8):
        return _read_packed(data, at, code)
    if code >= FIRST_BOOK:
        if code < AFTER_BOOKS:
            return DICTIONARIES[code - FIRST_BOOK][data[at + 1]], at + 2
        raise DecodeError("unknown-tag" if code < INTEROP_JID else "wrong-type")
    if not code:
        raise DecodeError("wrong-type")
    return SINGLE_BYTE[code], at + 1


def _read_raw(data: bytes, at: int) -> tuple[bytes, int]:
    code = data[at]
    if code == BINARY_8:
        size = data[at + 1]
        at += 2
    elif code == BINARY_20:
        size = (data[at + 1] & 15) << 16 | data[at + 2] << 8 | data[at + 3]
        at += 4
    else:
        size = data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4]
        at += 5
    end = at + size
    if end > len(data):
        raise DecodeError("truncated")
    return data[at:end], end


_NIBBLES_IN: Final = str.maketrans("ab", "-.")


def _read_packed(data: bytes, at: int, code: int) -> tuple[str, int]:
    head = data[at + 1]
    at += 2
    end = at + (head & 127)
    if end > len(data):
        raise DecodeError("truncated")
    digits = data[at:end].hex()
    odd = head & 128
    if odd:
        if not digits:
            raise DecodeError("packed", "odd length of nothing")
        if code == NIBBLE_8 and digits[-1] in "cde":
            raise DecodeError("packed", "filler")
        digits = digits[:-1]
    if code == HEX_8:
        return digits.upper(), end
    if digits.isdecimal():
        return digits, end
    if digits.strip("0123456789ab"):
        raise DecodeError("packed", "nibble")
    return digits.translate(_NIBBLES_IN), end


def _checked_jid(user: str, server: str, device: int = 0, agent: int = 0, integrator: int = 0) -> JID:
    """One of any length, for its stanza must be answered; but thousands of long ones aren't remembered."""
    long = len(user) > MAX_USER or len(server) > MAX_SERVER
    make = _known_jid.__wrapped__ if long else _known_jid
    return make(user, server, device, agent, integrator)


@lru_cache(maxsize=4096)
def _known_jid(user: str, server: str, device: int, agent: int, integrator: int) -> JID:
    """The few people one talks to come again and again; making a JID anew costs more than all else of it."""
    if (user and not JID_PART(user)) or not JID_PART(server):
        raise DecodeError("jid")
    return JID(user, server, device, agent, integrator)


def _read_jid_part(data: bytes, at: int) -> tuple[str, int]:
    code = data[at]
    if code in _NOT_A_STRING:
        raise DecodeError("jid")
    text, at = _read_string(data, at, strict=True)
    if not text:
        raise DecodeError("jid")
    return text, at


def _read_jid_pair(data: bytes, at: int) -> tuple[JID, int]:
    code = data[at]
    if code == LIST_EMPTY:
        user, at = "", at + 1
    elif code in _NOT_A_STRING:
        raise DecodeError("jid")
    else:
        user, at = _read_string(data, at, strict=True)
    server, at = _read_jid_part(data, at)
    return _checked_jid(user, server), at


def _read_ad_jid(data: bytes, at: int) -> tuple[JID, int]:
    domain, device = data[at], data[at + 1]
    user, at = _read_jid_part(data, at + 2)
    server = DOMAIN_SERVERS.get(domain)
    if server is None:
        return _checked_jid(user, PN, device, domain), at
    return _checked_jid(user, server, device), at


def _read_fb_jid(data: bytes, at: int) -> tuple[JID, int]:
    user, at = _read_jid_part(data, at)
    device = data[at] << 8 | data[at + 1]
    server, at = _read_jid_part(data, at + 2)
    if server != MESSENGER:
        raise DecodeError("jid", "server")
    return _checked_jid(user, server, device), at


def _read_interop_jid(data: bytes, at: int) -> tuple[JID, int]:
    user, at = _read_jid_part(data, at)
    device = data[at] << 8 | data[at + 1]
    integrator = data[at + 2] << 8 | data[at + 3]
    server, at = _read_jid_part(data, at + 4)
    if server != INTEROP:
        raise DecodeError("jid", "server")
    return _checked_jid(user, server, device, 0, integrator), at


_JID_READERS: Final[dict[int, Callable[[bytes, int], tuple[JID, int]]]] = {
    INTEROP_JID: _read_interop_jid,
    FB_JID: _read_fb_jid,
    AD_JID: _read_ad_jid,
    JID_PAIR: _read_jid_pair,
}

_NOT_A_STRING: Final = frozenset((LIST_EMPTY, LIST_8, LIST_16, *_JID_READERS))
