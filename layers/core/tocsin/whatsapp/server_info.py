"""What the server tells of itself in an `<ib>` that needs no answer."""

from __future__ import annotations

from typing import Final

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.events import Event, PairingHint, RoutingInfo, VersionExpiring
from tocsin.whatsapp.node import Node

MAX_ROUTING_BYTES: Final = 1024
"""It is stored, and sent before every handshake; some ten bytes are usual."""


def told(child: Node) -> list[Event]:
    """What a part of an `<ib>` tells the shell. Raises `InvalidStanza`; other parts say nothing to us."""
    match child.tag:
        case "edge_routing":
            info = child.child("routing_info")
            return [] if info is None else [RoutingInfo(_routing(info.bytes()))]
        case "client_expiration":
            return [VersionExpiring(child.optional_int("t"))]
        case "downgrade_webclient":
            return [PairingHint("multi-device-disabled")]
    return []


def _routing(info: bytes) -> bytes:
    if not 0 < len(info) <= MAX_ROUTING_BYTES:
        raise InvalidStanza("routing information of an impossible length")
    return info
