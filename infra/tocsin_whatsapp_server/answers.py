"""What a request is answered with, and what the answer causes besides."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.directory import Account, Device
from tocsin_whatsapp_server.groups import Change


class QueryError(Exception):
    """Answered as an iq error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Answer:
    """`drained`: devices from whose stock a prekey was taken. `removed`: a companion that is to be unlinked.
    `uploaded`: how many prekeys the request brought. `trusted`: to whom a privacy token was issued.
    `change`: what became of a group, for its members to be told. `understood`: False if this server only
    pretends to know the request."""

    stanza: Node
    drained: tuple[Device, ...] = ()
    removed: Device | None = None
    uploaded: int = 0
    trusted: tuple[Account, ...] = ()
    change: Change | None = None
    understood: bool = True
