"""Reading the vector files of the wire, and the little languages they are written in."""

import base64
import zlib
from typing import Any

from tests.vectors.folder import load
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

__all__ = ["load"]


def spec_bytes(spec: dict[str, Any]) -> bytes:
    """The bytes that a byte spec describes."""
    if "hex" in spec:
        return bytes.fromhex(spec["hex"])
    if "base64" in spec:
        return base64.b64decode(spec["base64"])
    if "repeat" in spec:
        return bytes.fromhex(spec["repeat"]) * spec["count"]
    if "zlib" in spec:
        return zlib.compress(spec_bytes(spec["zlib"]), spec["level"])
    return b"".join(spec_bytes(part) for part in spec["parts"])


def is_bytes(spec: Any) -> bool:
    return isinstance(spec, dict) and bool({"hex", "base64", "repeat", "parts", "zlib"} & set(spec))


def spec_jid(spec: str | dict[str, Any]) -> JID:
    if isinstance(spec, str):
        return JID.parse(spec)
    return JID(**{"user": "", "server": "", **spec})


def spec_value(spec: Any) -> Any:
    if isinstance(spec, dict) and "jid" in spec:
        return spec_jid(spec["jid"])
    if isinstance(spec, dict) and "repeatText" in spec:
        return spec["repeatText"] * spec["count"]
    return spec


def spec_node(spec: dict[str, Any]) -> Node:
    attrs = {name: spec_value(value) for name, value in spec.get("attrs", {}).items()}
    return Node(spec["tag"], attrs, spec_content(spec.get("content")))


def spec_content(spec: Any) -> Any:
    """Children, bytes or None; string- and JID-coded content is what a reader makes of it: UTF-8."""
    if spec is None:
        return None
    if is_bytes(spec):
        return spec_bytes(spec)
    if isinstance(spec, dict):
        return str(spec_jid(spec["jid"]) if "jid" in spec else spec["string"]).encode()
    children: list[Node] = []
    for child in spec:
        if "repeatNode" in child:
            children += [spec_node(child["repeatNode"])] * child["count"]
        else:
            children.append(spec_node(child))
    return tuple(children)
