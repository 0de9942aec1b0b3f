"""Binary nodes: the tree that every decrypted frame holds, and its one strict codec.

Any legal coding of a string is accepted; one is written, the same that the official clients write. Input is
never trusted: every malformed frame raises `DecodeError`, and nothing is sized from a claimed count.
"""

from __future__ import annotations

import builtins
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tocsin.whatsapp.bounds import MAX_LABEL, MAX_NUMBER
from tocsin.whatsapp.errors import DecodeError, EncodeError, InvalidJid, InvalidStanza
from tocsin.whatsapp.jid import (
    HOSTED,
    HOSTED_LID,
    INTEROP,
    JID,
    LID,
    MAX_SERVER,
    MAX_USER,
    MESSENGER,
    PN,
    mask,
)
from tocsin.whatsapp.tokens import CODES, DICTIONARIES, SINGLE_BYTE

__all__ = [
    "DEFAULT_LIMITS",
    "DecodeError",
    "EncodeError",
    "InvalidStanza",
    "Limits",
    "Node",
    "decode",
    "encode",
    "present",
]

Content = None | bytes | tuple["Node", ...]

_MAX_DIGITS: Final = len(str(MAX_NUMBER))

# 3-byte frame length, less the AES-GCM tag.
MAX_FRAME_PLAINTEXT: Final = 2**24 - 1 - 16


@dataclass(frozen=True, slots=True)
class Node:
    """One stanza or a part of it. `content`: None, bytes, or child nodes.

    `attrs`: text or JIDs; None is "not there" and is left out on the wire. Readers below raise
    `InvalidStanza`; an attribute that is the empty string counts as absent.
    """

    tag: str
    attrs: Mapping[str, str | JID] = field(default_factory=dict)
    content: Content = None

    def child(self, tag: str) -> Node | None:
        """The first child with this tag."""
        if isinstance(self.content, tuple):
            for node in self.content:
                if node.tag == tag:
                    return node
        return None

    def require_child(self, tag: str) -> Node:
        node = self.child(tag)
        if node is None:
            raise InvalidStanza(f"<{self.tag}> has no <{tag}>")
        return node

    def children(self, tag: str | None = None) -> tuple[Node, ...]:
        """The children, in order; with `tag` only those."""
        if not isinstance(self.content, tuple):
            return ()
        if tag is None:
            return self.content
        return tuple(node for node in self.content if node.tag == tag)

    def optional_str(self, name: str) -> str | None:
        value = self.attrs.get(name)
        return str(value) if value else None

    def attr_str(self, name: str) -> str:
        value = self.optional_str(name)
        if value is None:
            raise InvalidStanza(f"<{self.tag}> has no {name}")
        return value

    def optional_label(self, name: str) -> str | None:
        """The id, type or other short name at `name`, which goes into keys, records and logs."""
        value = self.optional_str(name)
        if value is not None and len(value) > MAX_LABEL:
            raise InvalidStanza(f"{name} of <{self.tag}> is too long")
        return value

    def attr_label(self, name: str) -> str:
        value = self.optional_label(name)
        if value is None:
            raise InvalidStanza(f"<{self.tag}> has no {name}")
        return value

    def optional_jid(self, name: str) -> JID | None:
        """The JID at `name`, which may have come as plain text."""
        value = self.attrs.get(name)
        if isinstance(value, JID):
            if value.is_too_long:
                raise InvalidStanza(f"{name} of <{self.tag}> is too long")
            return value
        if not value:
            return None
        try:
            return JID.parse(value)
        except InvalidJid as exc:
            raise InvalidStanza(f"{name} of <{self.tag}> is no JID") from exc

    def attr_jid(self, name: str) -> JID:
        value = self.optional_jid(name)
        if value is None:
            raise InvalidStanza(f"<{self.tag}> has no {name}")
        return value

    def optional_int(self, name: str, most: int = MAX_NUMBER) -> int | None:
        """The decimal number at `name`: no sign, at most `most`."""
        value = self.attrs.get(name)
        if not value:
            return None
        if not isinstance(value, str) or not value.isascii() or not value.isdecimal():
            raise InvalidStanza(f"{name} of <{self.tag}> is no number")
        if len(value) > _MAX_DIGITS or int(value) > most:
            raise InvalidStanza(f"{name} of <{self.tag}> is too large")
        return int(value)

    def attr_int(self, name: str, most: int = MAX_NUMBER) -> int:
        value = self.optional_int(name, most)
        if value is None:
            raise InvalidStanza(f"<{self.tag}> has no {name}")
        return value

    def bytes(self, length: int | None = None) -> builtins.bytes:
        """The binary content, of exactly `length` bytes if given."""
        if not isinstance(self.content, builtins.bytes):
            raise InvalidStanza(f"<{self.tag}> holds no bytes")
        if length is not None and len(self.content) != length:
            raise InvalidStanza(f"<{self.tag}> holds {len(self.content)} bytes, not {length}")
        return self.content

    def text(self) -> str:
        """The content as text; what is no UTF-8 becomes U+FFFD."""
        return self.bytes().decode("utf-8", "replace")

    def __repr__(self) -> str:
        attrs = "".join(f" {name}={mask(str(value))!r}" for name, value in self.attrs.items())
        if isinstance(self.content, builtins.bytes):
            return f"<{self.tag}{attrs}>[{len(self.content)}]</{self.tag}>"
        if self.content:
            inside = " ".join(child.tag for child in self.content[:8])
            return f"<{self.tag}{attrs}>{len(self.content)}: {inside}</{self.tag}>"
        return f"<{self.tag}{attrs}/>"


def present(attrs: Mapping[str, str | JID | None]) -> dict[str, str | JID]:
    """The attributes that are there."""
    return {name: value for name, value in attrs.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one frame may claim. A choice of ours: no client has any. `nodes`: attributes count as well,
    since either costs memory far beyond its bytes."""

    inflated_size: int = 16_777_216
    depth: int = 64
    nodes: int = 262_144


DEFAULT_LIMITS: Final = Limits()

_LIST_EMPTY: Final = 0
_FIRST_BOOK: Final = 236
_AFTER_BOOKS: Final = 240
_INTEROP_JID: Final = 245
_FB_JID: Final = 246
_AD_JID: Final = 247
_LIST_8: Final = 248
_LIST_16: Final = 249
_JID_PAIR: Final = 250
_HEX_8: Final = 251
_BINARY_8: Final = 252
_BINARY_20: Final = 253
_BINARY_32: Final = 254
_NIBBLE_8: Final = 255

_COMPRESSED: Final = 2

_DOMAINS: Final = {PN: 0, LID: 1, HOSTED: 128, HOSTED_LID: 129}
_DOMAIN_SERVERS: Final = {number: server for server, number in _DOMAINS.items()}

_JID_PART: Final = re.compile(r"[!-9;-?A-~]+").fullmatch


# Writing


def encode(node: Node) -> bytes:
    """The frame plaintext of `node`: a flags byte (never compressed) and the tree. Raises `EncodeError`."""
    out: list[bytes] = [b"\x00"]
    try:
        _write_node(node, out.append, out, DEFAULT_LIMITS.depth)
    except (AttributeError, TypeError) as exc:
        raise EncodeError(f"not a node: {exc}") from exc
    frame = b"".join(out)
    if len(frame) > MAX_FRAME_PLAINTEXT:
        raise EncodeError(f"a node of {len(frame)} bytes fits no frame")
    return frame


def _write_node(node: Node, put: Callable[[bytes], None], out: list[bytes], depth: int) -> None:
    if not depth:
        raise EncodeError("nodes nested too deep")
    header = len(out)
    put(b"")
    if not node.tag:
        raise EncodeError("empty tag")
    put(CODES.get(node.tag) or _string(node.tag))
    size = 1
    for name, value in node.attrs.items():
        if value is None:
            continue
        if not name:
            raise EncodeError(f"empty attribute name in <{node.tag}>")
        put(CODES.get(name) or _string(name))
        if value.__class__ is str:
            put(CODES.get(value) or _string(value))
        elif isinstance(value, JID):
            put(_jid(value))
        else:
            raise EncodeError(f"{name} of <{node.tag}> is neither text nor JID")
        size += 2
    content = node.content
    if content is None:
        out[header] = _list_header(size)
        return
    out[header] = _list_header(size + 1)
    if isinstance(content, (tuple, list)):
        put(_list_header(len(content)))
        for child in content:
            _write_node(child, put, out, depth - 1)
    elif isinstance(content, (bytes, bytearray, memoryview)):
        put(_length(len(content)))
        put(bytes(content))
    else:
        raise EncodeError(f"content of <{node.tag}> is neither bytes nor nodes")


_SHORT_LISTS: Final = (b"\x00", *(bytes((_LIST_8, size)) for size in range(1, 256)))


def _list_header(size: int) -> bytes:
    if size < 256:
        return _SHORT_LISTS[size]
    if size < 65536:
        return b"\xf9" + size.to_bytes(2, "big")
    raise EncodeError(f"a list of {size}")


def _length(size: int) -> bytes:
    if size < 256:
        return bytes((_BINARY_8, size))
    if size < 1 << 20:
        return b"\xfd" + size.to_bytes(3, "big")
    if size < 1 << 32:
        return b"\xfe" + size.to_bytes(4, "big")
    raise EncodeError(f"a value of {size} bytes")


_NIBBLES_OUT: Final = str.maketrans("-.", "ab")


def _string(text: str) -> bytes:
    """A string that no table abbreviates: packed if its alphabet allows, else UTF-8."""
    size = len(text)
    if 0 < size < 128:
        # strip() removes whole alphabets from both ends: nothing left means nothing else inside.
        if not text.strip("0123456789-."):
            return _packed(_NIBBLE_8, text.translate(_NIBBLES_OUT), size)
        if not text.strip("0123456789ABCDEF"):
            return _packed(_HEX_8, text, size)
    try:
        raw = text.encode()
    except UnicodeEncodeError as exc:
        raise EncodeError("text with a lone surrogate") from exc
    return _length(len(raw)) + raw


def _packed(code: int, digits: str, size: int) -> bytes:
    if size & 1:
        return bytes((code, 0x80 | (size + 1) >> 1)) + bytes.fromhex(digits + "f")
    return bytes((code, size >> 1)) + bytes.fromhex(digits)


def _jid(jid: JID) -> bytes:
    return _write_jid.__wrapped__(jid) if jid.is_too_long else _write_jid(jid)


@lru_cache(maxsize=4096)
def _write_jid(jid: JID) -> bytes:
    """Remembered for the same reason as in reading: the same few people, again and again."""
    user, server, device = jid.user, jid.server, jid.device
    if not server:
        raise EncodeError("JID without server")
    if not user:
        if device or server in (HOSTED, HOSTED_LID, MESSENGER, INTEROP):
            raise EncodeError(f"JID of {server} without user")
        return b"\xfa\x00" + _jid_part(server)
    if server in (MESSENGER, INTEROP):
        return _foreign_jid(jid)
    domain = _DOMAINS.get(server)
    if domain is not None and (device or domain & 128):
        if not 0 <= device < 256:
            raise EncodeError(f"device {device}")
        return bytes((_AD_JID, domain, device)) + _jid_part(user)
    if device:
        raise EncodeError(f"a device on {server}")
    return b"\xfa" + _jid_part(user) + _jid_part(server)


def _foreign_jid(jid: JID) -> bytes:
    """JIDs of other messengers: the user first, then 16-bit numbers, then the server."""
    if not 0 <= jid.device < 65536 or not 0 <= jid.integrator < 65536:
        raise EncodeError("device or integrator too large")
    device = jid.device.to_bytes(2, "big")
    if jid.server == MESSENGER:
        return b"\xf6" + _jid_part(jid.user) + device + _jid_part(jid.server)
    return b"\xf5" + _jid_part(jid.user) + device + jid.integrator.to_bytes(2, "big") + _jid_part(jid.server)


def _jid_part(text: str) -> bytes:
    code = CODES.get(text)
    if code is not None:
        return code
    if not _JID_PART(text):
        raise EncodeError("a character that no JID may hold")
    return _string(text)


# Reading. Each reader takes the data and an index and returns a value and the next index. Reads past the end
# surface as IndexError (single bytes) or as an explicit check (slices).


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

    What nearly every attribute is, a token or some digits, is read here, and the rest by the readers below.
    """
    if not depth:
        raise DecodeError("depth")
    code = data[at]
    if code == _LIST_8:
        size = data[at + 1]
        at += 2
    elif code == _LIST_16:
        size = data[at + 1] << 8 | data[at + 2]
        at += 3
    else:
        raise DecodeError("node-header")
    if not size:
        raise DecodeError("node-size-zero")
    code = data[at]
    if 0 < code < _FIRST_BOOK:
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
        if 0 < code < _FIRST_BOOK:
            name = SINGLE_BYTE[code]
            at += 1
        elif _FIRST_BOOK <= code < _AFTER_BOOKS:
            name = DICTIONARIES[code - _FIRST_BOOK][data[at + 1]]
            at += 2
        else:
            name, at = _read_name(data, at, "attr-key")
        code = data[at]
        if 0 < code < _FIRST_BOOK:
            value = SINGLE_BYTE[code]
            at += 1
        elif code in (_NIBBLE_8, _HEX_8):
            value, at = _read_packed(data, at, code)
        elif code in _JID_READERS:
            value, at = _JID_READERS[code](data, at + 1)
        elif code == _LIST_EMPTY:
            value = ""
            at += 1
        elif code in (_LIST_8, _LIST_16):
            raise DecodeError("attr-value")
        else:
            value, at = _read_string(data, at, strict=False)
        attrs[name] = value
    if len(attrs) != pairs:
        raise DecodeError("duplicate-attr")
    content: Content = None
    if not size & 1:
        code = data[at]
        if code == _BINARY_8:
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
    if code == _LIST_8:
        count = data[at + 1]
        at += 2
    elif code == _LIST_16:
        count = data[at + 1] << 8 | data[at + 2]
        at += 3
    elif code == _LIST_EMPTY:
        return None, at + 1
    elif code in (_BINARY_8, _BINARY_20, _BINARY_32):
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
    if code >= _BINARY_8 and code != _NIBBLE_8:
        raw, at = _read_raw(data, at)
        try:
            return raw.decode("utf-8", "strict" if strict else "replace"), at
        except UnicodeDecodeError as exc:
            raise DecodeError("utf8") from exc
    if code in (_NIBBLE_8, _HEX_8):
        return _read_packed(data, at, code)
    if code >= _FIRST_BOOK:
        if code < _AFTER_BOOKS:
            return DICTIONARIES[code - _FIRST_BOOK][data[at + 1]], at + 2
        raise DecodeError("unknown-tag" if code < _INTEROP_JID else "wrong-type")
    if not code:
        raise DecodeError("wrong-type")
    return SINGLE_BYTE[code], at + 1


def _read_raw(data: bytes, at: int) -> tuple[bytes, int]:
    code = data[at]
    if code == _BINARY_8:
        size = data[at + 1]
        at += 2
    elif code == _BINARY_20:
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
        if code == _NIBBLE_8 and digits[-1] in "cde":
            raise DecodeError("packed", "filler")
        digits = digits[:-1]
    if code == _HEX_8:
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
    if (user and not _JID_PART(user)) or not _JID_PART(server):
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
    if code == _LIST_EMPTY:
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
    server = _DOMAIN_SERVERS.get(domain)
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
    _INTEROP_JID: _read_interop_jid,
    _FB_JID: _read_fb_jid,
    _AD_JID: _read_ad_jid,
    _JID_PAIR: _read_jid_pair,
}

_NOT_A_STRING: Final = frozenset((_LIST_EMPTY, _LIST_8, _LIST_16, *_JID_READERS))
