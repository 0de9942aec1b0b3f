"""Calls: Tocsin takes none, but an offer names the caller."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.whatsapp.bounds import MAX_LABEL
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node


@dataclass(frozen=True, slots=True)
class Call:
    """One stanza of a call. `kind`: `offer`, `terminate` …; `caller_pn`: the caller's number, where told."""

    kind: str
    caller: JID
    caller_pn: JID | None


def parse_call(node: Node) -> Call:
    """Raises `InvalidStanza`."""
    if node.tag != "call":
        raise InvalidStanza("not a call")
    origin = node.attr_jid("from")
    steps = node.children()
    if not steps:
        return Call("unknown", origin, None)
    creator = steps[0].optional_jid("call-creator")
    return Call(steps[0].tag[:MAX_LABEL], creator or origin, steps[0].optional_jid("caller_pn"))
