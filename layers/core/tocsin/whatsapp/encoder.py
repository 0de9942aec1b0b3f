"""Binary nodes become frame plaintexts: of each string the one coding that the official clients write."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from tocsin.whatsapp.errors import EncodeError
from tocsin.whatsapp.jid import HOSTED, HOSTED_LID, INTEROP, JID, MESSENGER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.node_tags import (
    AD_JID,
    BINARY_8,
    DEFAULT_LIMITS,
    DOMAINS,
    HEX_8,
    JID_PART,
    LIST_8,
    NIBBLE_8,
)
from tocsin.whatsapp.tokens import CODES

# 3-byte frame length, less the AES-GCM tag.
MAX_FRAME_PLAINTEXT: Final = 2**24 - 1 - 16


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


_SHORT_LISTS: Final = (b"\x00", *(bytes((LIST_8, size)) for size in range(1, 256)))


def _list_header(size: int) -> bytes:
    if size < 256:
        return _SHORT_LISTS[size]
    if size < 65536:
        return b"\xf9" + size.to_bytes(2, "big")
    raise EncodeError(f"a list of {size}")


def _length(size: int) -> bytes:
    if size < 256:
        return bytes((BINARY_8, size))
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
            return _packed(NIBBLE_8, text.translate(_NIBBLES_OUT), size)
        if not text.strip("0123456789ABCDEF"):
            return _packed(HEX_8, text, size)
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
    domain = DOMAINS.get(server)
    if domain is not None and (device or domain & 128):
        if not 0 <= device < 256:
            raise EncodeError(f"device {device}")
        return bytes((AD_JID, domain, device)) + _jid_part(user)
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
    if not JID_PART(text):
        raise EncodeError("a character that no JID may hold")
    return _string(text)
