"""Binary nodes: the tree that every decrypted frame holds, and its readers.

`encoder` writes one, `decoder` reads one.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tocsin.whatsapp.bounds import MAX_LABEL, MAX_NUMBER
from tocsin.whatsapp.errors import InvalidJid, InvalidStanza
from tocsin.whatsapp.jid import JID, mask

Content = None | bytes | tuple["Node", ...]

_MAX_DIGITS: Final = len(str(MAX_NUMBER))


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
